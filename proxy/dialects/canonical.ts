/**
 * The shape in the middle: OpenAI's chat completions and embeddings. A dialect translates between what a client
 * speaks and this; a provider translates between this and what its upstream speaks. So there are N + M
 * translations, not N × M. Types list only the fields that are acted upon; others survive in the index signature.
 */

import type { BilledUnit } from "../config/price.ts";
import type { FailureCode, ProviderWords } from "../failure.ts";
import type { JsonObject } from "../wire/json.ts";

export interface TextPart {
  type: "text";
  text: string;
}
export interface ImagePart {
  type: "image_url";
  image_url: { url: string; detail?: string };
}
export interface AudioPart {
  type: "input_audio";
  input_audio: { data: string; format: string };
}
export interface FilePart {
  type: "file";
  file: { file_data?: string; file_id?: string; filename?: string };
}
export interface RefusalPart {
  type: "refusal";
  refusal: string;
}
export type ContentPart = TextPart | ImagePart | AudioPart | FilePart | RefusalPart;

export interface ToolCall {
  id: string;
  type: "function";
  /** `arguments` is a JSON text; "" stands for no arguments. */
  function: { name: string; arguments: string };
}

export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool" | "function";
  content?: string | ContentPart[] | null;
  name?: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
  refusal?: string | null;
  /** Extension: reasoning text of an assistant's turn. */
  reasoning_content?: string | null;
  /** Extension: a provider's signed reasoning blocks, to be handed back as they are. */
  thinking_blocks?: JsonObject[];
  [key: string]: unknown;
}

export interface FunctionTool {
  type: "function";
  function: { name: string; description?: string; parameters?: JsonObject; strict?: boolean | null };
}

export type ToolChoice = "auto" | "none" | "required" | { type: "function"; function: { name: string } };

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean; [key: string]: unknown } | null;
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  n?: number | null;
  stop?: string | string[] | null;
  seed?: number | null;
  presence_penalty?: number | null;
  frequency_penalty?: number | null;
  logit_bias?: Record<string, number> | null;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  tools?: FunctionTool[] | null;
  tool_choice?: ToolChoice | null;
  parallel_tool_calls?: boolean | null;
  response_format?:
    | { type: "text" }
    | { type: "json_object" }
    | {
        type: "json_schema";
        json_schema: { name: string; schema?: JsonObject; strict?: boolean | null; description?: string };
      }
    | null;
  reasoning_effort?: string | null;
  user?: string | null;
  [key: string]: unknown;
}

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "function_call";

/** Normalised: `prompt` includes cache reads and writes, `completion` includes reasoning. All are token counts. */
export interface Usage {
  prompt: number;
  cachedPrompt: number;
  cacheWrite: number;
  completion: number;
  reasoning: number;
  /** No provider's figure was to be had; counted by the gateway. */
  estimated: boolean;
  /** Absent: plain tokens only. */
  units?: Units;
  /**
   * How the provider says that it processed the call, where that has a price of its own: `batch`, `flex`, `priority`,
   * `fast`, `geo-us`. Absent: the ordinary way.
   */
  modes?: readonly string[];
  /** What is charged, where the provider says that it is other than what went through the model. */
  billed?: { prompt: number; completion: number };
  /** One of the provider's figures can't be a count: it is negative, no number, or beyond all measure. */
  implausible?: true;
}

/**
 * What is charged apart from plain tokens. Token units are parts of the counts above: inputAudio is all the audio of
 * the prompt, what was read from the cache included (cachedAudio); cacheWrite1h is a part of cacheWrite. Use units are
 * numbers of uses.
 */
export type Units = Partial<Record<BilledUnit, number>>;

export interface ChatChoice {
  index: number;
  message: {
    role: "assistant";
    content: string | null;
    refusal?: string | null;
    tool_calls?: ToolCall[];
    reasoning_content?: string;
    thinking_blocks?: JsonObject[];
    [key: string]: unknown;
  };
  logprobs?: unknown;
  finish_reason: FinishReason;
  /** The provider's own word, where it differs. */
  native_finish_reason?: string;
}

export interface ChatReply {
  id: string;
  /** Epoch seconds. */
  created: number;
  /** The model as the provider names it; the client sees the name that it asked for. */
  model: string;
  choices: ChatChoice[];
  usage: Usage | null;
  /** Top-level members that survive translation, such as system_fingerprint. */
  extra?: JsonObject;
}

export interface ToolCallDelta {
  /** Position among the choice's tool calls, stable over the stream. */
  index: number;
  id?: string;
  type?: "function";
  function?: { name?: string; arguments?: string };
}

export interface ChatDelta {
  role?: "assistant";
  content?: string | null;
  refusal?: string | null;
  reasoning_content?: string;
  thinking_blocks?: JsonObject[];
  tool_calls?: ToolCallDelta[];
}

/** What a provider's stream amounts to, in order: start, deltas and finishes, at most one usage, then end or error. */
export type StreamEvent =
  | { kind: "start"; id: string | null; model: string | null }
  | { kind: "delta"; choice: number; delta: ChatDelta; logprobs?: unknown }
  | { kind: "finish"; choice: number; reason: FinishReason; native?: string }
  | { kind: "usage"; usage: Usage }
  | { kind: "ping" }
  | { kind: "end" }
  | { kind: "error"; error: ProviderError };

export interface EmbeddingsRequest {
  model: string;
  input: string | string[] | number[] | number[][];
  encoding_format?: "float" | "base64" | null;
  dimensions?: number | null;
  user?: string | null;
  [key: string]: unknown;
}

export interface EmbeddingsReply {
  model: string;
  /** One vector an input, in the input's order. */
  vectors: number[][];
  usage: Usage | null;
}

/** How an attempt failed, for the choice of what to do next. BadRequest is the caller's to mend and is never retried. */
export type ProviderErrorClass =
  | "RateLimited"
  | "Unavailable"
  | "Timeout"
  | "ServerError"
  | "Unauthorized"
  | "BadRequest"
  | "NotFound";

export interface ProviderError {
  class: ProviderErrorClass;
  code: FailureCode;
  /** The provider's own words where they are safe to show (never for Unauthorized), else ours. */
  message: string;
  param: string | null;
  retryAfterMs: number | null;
  /** Status that the upstream answered; null where none came. */
  upstreamStatus: number | null;
  /**
   * Who caused it, where that is certain. `caller`: the gateway's own size caps, the caller's deadline, a rate limit that
   * this request alone exceeds. `provider`: no request could have succeeded. Absent: another caller might have been answered.
   */
  fault?: "caller" | "provider";
  /** What the provider itself said, where that is safe to show. */
  theirs?: ProviderWords;
}

/** Something in the request that the other side has no form for and whose loss would change its meaning. */
export interface Refusal {
  refused: true;
  code: FailureCode;
  param: string | null;
  message: string;
}

export function refusal(param: string | null, message: string, code: FailureCode = "unsupported_parameter"): Refusal {
  return { refused: true, code, param, message };
}

export function isRefusal(value: object): value is Refusal {
  return (value as { refused?: unknown }).refused === true;
}
