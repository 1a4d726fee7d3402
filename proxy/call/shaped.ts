/** A request with the route's defaults, overrides and prompts applied. */
import type { WireFormat } from "../config/capabilities.ts";
import type { TargetConfig } from "../config/route.ts";
import type { ChatRequest, EmbeddingsRequest, Refusal } from "../dialects/canonical.ts";
import type { JsonObject } from "../wire/json.ts";
import type { Received } from "./received.ts";

/** A call for a shorter form of a conversation. */
export interface Compaction {
  /** Whether the provider's own call can't be used: the policy reads or changes what it would hide. */
  byGateway: boolean;
}

export interface Shaped {
  format: WireFormat;
  received: Received;
  /** The model asked for, after overrides and defaults; null if only the target determines it. */
  model: string | null;
  /** The target or provider that the caller prefers: `prefer_provider` in the body. */
  preferred: string | null;
  /** Prompt texts of the route, filled in, that depend on the caller or the day and are not among the edits. */
  filled: readonly string[];
  /** Edits of the top level of the client's body. */
  edits: JsonObject;
  /** Edits that the parsed body already has, because ids in it were opened. */
  readonly opened: string[];
  /**
   * Whether only the canonical form can carry what the route adds, so that a body in this format can't pass through
   * unchanged.
   */
  mustTranslate: boolean;
  /** null for an ordinary call. */
  readonly compaction: Compaction | null;
  /** Returns the canonical request, decoded on first use. `model` is the name that the client sees. */
  chat(): ChatRequest | Refusal;
  /** The request as this target gets it; the same object if the target sets nothing. */
  forTarget(target: TargetConfig): Shaped;
  embeddings(): EmbeddingsRequest | Refusal;
}

/** The member that each format requires. */
export const requiredMember: Readonly<Record<WireFormat, string>> = {
  "openai.chat": "messages",
  "openai.completions": "prompt",
  "openai.embeddings": "input",
  "openai.responses": "input",
  "anthropic.messages": "messages",
  "openai.images": "prompt",
  "openai.image_edits": "prompt",
  "openai.image_variations": "image",
  "openai.speech": "input",
  "openai.transcriptions": "file",
  "openai.translations": "file",
  "openai.moderations": "input",
  "cohere.rerank": "query",
};
