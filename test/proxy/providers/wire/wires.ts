import { anthropic } from "./anthropic.ts";
import { bedrock, bedrockMessages, bedrockOpenAi, invokeModel } from "./bedrock.ts";
import { cloudWires } from "./clouds.ts";
import { cohere } from "./cohere.ts";
import { gemini } from "./gemini.ts";
import { azure, mistral, openai, openaiCompatible, watsonx } from "./openai.ts";
import { openAiResponses } from "./openai-responses.ts";
import { presetWires } from "./presets.ts";
import type { Wire } from "./wire.ts";

export const wires: readonly Wire[] = [
  openai,
  openaiCompatible,
  azure,
  mistral,
  watsonx,
  anthropic,
  gemini,
  bedrock,
  cohere,
];

/** Types that stand for several APIs, one of them each. */
export const variantWires: readonly Wire[] = [
  openAiResponses,
  invokeModel,
  bedrockMessages,
  bedrockOpenAi,
  ...cloudWires,
];

/** Each preset is a server with habits of its own. */
export const allWires: readonly Wire[] = [...wires, ...variantWires, ...presetWires];
