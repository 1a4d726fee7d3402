/** Dialects by the wire format that they read and write. */
import type { WireFormat } from "../config/capabilities.ts";
import type { Dialect } from "./dialect.ts";
import { dialect as openaiChat } from "./openai-chat/index.ts";

export const dialects: Readonly<Partial<Record<WireFormat, Dialect>>> = {
  "openai.chat": openaiChat,
};
