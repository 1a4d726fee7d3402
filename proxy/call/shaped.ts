/** A request with the route's defaults, overrides and prompts applied. */
import type { WireFormat } from "../config/capabilities.ts";
import type { ChatRequest, EmbeddingsRequest, Refusal } from "../dialects/canonical.ts";
import type { JsonObject } from "../wire/json.ts";
import type { Received } from "./received.ts";

export interface Shaped {
  format: WireFormat;
  received: Received;
  /** The model asked for once overrides and defaults had their say; null where only the target knows. */
  model: string | null;
  /** The target or provider that the caller would like best: `prefer_provider` of the body. */
  preferred: string | null;
  /** What of the route's prompts depends on the caller or the day, and is not among the edits: the texts, filled in. */
  filled: readonly string[];
  /** Edits of the top level of the client's body. */
  edits: JsonObject;
  /** Only the canonical form can carry what the route adds, so bytes in this format can't pass through. */
  mustTranslate: boolean;
  /** The canonical request, decoded on first use. `model` is what the client shall see. */
  chat(): ChatRequest | Refusal;
  embeddings(): EmbeddingsRequest | Refusal;
}

/** The member that a format can't do without. */
export const requiredMember: Readonly<Record<WireFormat, string>> = {
  "openai.chat": "messages",
  "openai.completions": "prompt",
  "openai.embeddings": "input",
  "openai.responses": "input",
  "anthropic.messages": "messages",
};
