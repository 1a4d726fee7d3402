import { anthropic } from "./anthropic.ts";
import { bedrock } from "./bedrock.ts";
import { cohere } from "./cohere.ts";
import { gemini } from "./gemini.ts";
import { azure, mistral, openai, openaiCompatible, watsonx } from "./openai.ts";
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
