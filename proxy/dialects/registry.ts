/** The dialects that have a chat form, by wire format. */
import type { WireFormat } from "../config/capabilities.ts";
import { dialect as anthropicMessages } from "./anthropic-messages/index.ts";
import type { Dialect } from "./dialect.ts";
import { dialect as openAiChat } from "./openai-chat/index.ts";
import { dialect as openAiCompletions } from "./openai-completions/index.ts";
import { dialect as openAiResponses } from "./openai-responses/index.ts";

export const dialects: Readonly<Partial<Record<WireFormat, Dialect>>> = {
  "openai.chat": openAiChat,
  "openai.completions": openAiCompletions,
  "openai.responses": openAiResponses,
  "anthropic.messages": anthropicMessages,
};
