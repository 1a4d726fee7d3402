/**
 * The canonical format: OpenAI's chat completions and embeddings. A dialect translates between a client's format and
 * this one; a provider translates between this one and its upstream's. This takes N + M translations rather than N × M.
 * The types list only fields that the gateway uses; others pass through in the index signature.
 */

import type { BilledUnit } from "../config/price.ts";
import type { FailureCode, ProviderWords } from "../failure.ts";
import type { JsonObject } from "../wire/json.ts";
import type { blockOrder, OrderedBlock } from "./block-order.ts";
import type { claudeCitations, DocumentWish, documentWish, PlacedCitation } from "./citations.ts";
import type { WebSearch, WebSearchWish, webSearch, webSearches } from "./web-search.ts";

/** Asks Claude's providers to cache the prompt up to here. */
interface CacheMark {
  cache_control?: JsonObject;
}

export interface TextPart extends CacheMark {
  type: "text";
  text: string;
}
export interface ImagePart extends CacheMark {
  type: "image_url";
  image_url: { url: string; detail?: string };
}
export interface AudioPart extends CacheMark {
  type: "input_audio";
  input_audio: { data: string; format: string };
}
export interface FilePart extends CacheMark {
  type: "file";
  /** `file_data`: a data URI, or an address where the provider can fetch the file. */
  file: { file_data?: string; file_id?: string; filename?: string };
  [documentWish]?: DocumentWish;
}
export interface RefusalPart extends CacheMark {
  type: "refusal";
  refusal: string;
}
export type ContentPart = TextPart | ImagePart | AudioPart | FilePart | RefusalPart;

export interface ToolCall {
  id: string;
  type: "function";
  /** `arguments` is JSON text; "" means no arguments. */
  function: { name: string; arguments: string };
}

export interface ChatMessage extends CacheMark {
  role: "system" | "developer" | "user" | "assistant" | "tool" | "function";
  content?: string | ContentPart[] | null;
  name?: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
  /** Extension: the tool failed. */
  is_error?: boolean;
  refusal?: string | null;
  /** Extension: reasoning text of an assistant turn. */
  reasoning_content?: string | null;
  /** Extension: a provider's signed reasoning blocks, to be returned unchanged. */
  thinking_blocks?: JsonObject[];
  /** Extension: pictures that the assistant made. */
  images?: MessageImage[];
  /** Absent if reasoning comes first, then text, then calls. */
  [blockOrder]?: readonly OrderedBlock[];
  [key: string]: unknown;
}

export interface FunctionTool extends CacheMark {
  type: "function";
  function: { name: string; description?: string; parameters?: JsonObject; strict?: boolean | null };
}

export type ToolChoice = "auto" | "none" | "required" | { type: "function"; function: { name: string } };

/**
 * What a caller of Anthropic's API wrote that OpenAI's format can only approximate. No JSON holds it, so only providers
 * that look for it see it.
 */
export const claudeWish = Symbol("Claude's own parameters");

export interface ClaudeWish {
  thinking: JsonObject | null;
  effort: string | null;
}

export interface ChatRequest {
  [claudeWish]?: ClaudeWish;
  [webSearch]?: WebSearchWish;
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

/** Normalised token counts: `prompt` includes cache reads and writes, `completion` includes reasoning. */
export interface Usage {
  prompt: number;
  cachedPrompt: number;
  cacheWrite: number;
  completion: number;
  reasoning: number;
  /** Whether the gateway counted the tokens because the provider sent no counts. */
  estimated: boolean;
  /** Absent if only plain tokens were used. */
  units?: Units;
  /**
   * How the provider says it processed the call, if that has its own price: `batch`, `flex`, `priority`, `fast`,
   * `geo-us`. Absent for the standard way.
   */
  modes?: readonly string[];
  /** Shape of the images that the unit `image` counts. */
  image?: ImageShape;
  /** Charged usage, if the provider reports that it differs from the usage of the model. */
  billed?: { prompt: number; completion: number };
  /** Whether any of the provider's counts is implausible: negative, not a number, or far too large. */
  implausible?: true;
}

/** As the images API names them. Absent: not known. */
export interface ImageShape {
  size?: string;
  quality?: string;
}

/**
 * What is charged in addition to plain tokens. Token units are included in the counts above: inputAudio is all the
 * audio of the prompt, including what was read from the cache (cachedAudio); cacheWrite1h is part of cacheWrite. Use
 * units count uses.
 */
export type Units = Partial<Record<BilledUnit, number>>;

/** A picture that the model made, at a data URL. */
export interface MessageImage {
  type: "image_url";
  image_url: { url: string };
}

export interface ChatChoice {
  index: number;
  message: {
    role: "assistant";
    content: string | null;
    refusal?: string | null;
    tool_calls?: ToolCall[];
    reasoning_content?: string;
    thinking_blocks?: JsonObject[];
    images?: MessageImage[];
    [blockOrder]?: readonly OrderedBlock[];
    /** Absent if the text cites nothing but web pages, or nothing. */
    [claudeCitations]?: readonly PlacedCitation[];
    /** Absent if the provider made none. */
    [webSearches]?: readonly WebSearch[];
    [key: string]: unknown;
  };
  logprobs?: unknown;
  finish_reason: FinishReason;
  /** The provider's own reason, if it differs. */
  native_finish_reason?: string;
  /** Which of `stop` ended the answer, if the provider says so. */
  stop_sequence?: string;
}

export interface ChatReply {
  id: string;
  /** Seconds since the Unix epoch. */
  created: number;
  /** The model's name at the provider. The client sees the name it requested. */
  model: string;
  choices: ChatChoice[];
  usage: Usage | null;
  /** Top-level members that translation keeps, such as system_fingerprint. */
  extra?: JsonObject;
}

export interface ToolCallDelta {
  /** Position among the choice's tool calls, constant throughout the stream. */
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
  images?: MessageImage[];
  /** Extension: places that the text comes from, in Cohere's form. */
  citations?: readonly JsonObject[];
  /** Extension: how safe the provider thinks the answer is. */
  safety_ratings?: readonly JsonObject[];
  /** As a chat message has them, for text that has been sent. */
  annotations?: JsonObject[];
  [claudeCitations]?: readonly PlacedCitation[];
  [webSearches]?: readonly WebSearch[];
  tool_calls?: ToolCallDelta[];
}

/** The events of a provider's stream, in order: start, deltas and finishes, at most one usage, then end or error. */
export type StreamEvent =
  /** `fingerprint`: OpenAI's `system_fingerprint`. */
  | { kind: "start"; id: string | null; model: string | null; fingerprint?: string }
  | { kind: "delta"; choice: number; delta: ChatDelta; logprobs?: unknown }
  | { kind: "finish"; choice: number; reason: FinishReason; native?: string; stopSequence?: string }
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
  /** One vector per input, in the order of the inputs. */
  vectors: number[][];
  usage: Usage | null;
}

/** How an attempt failed, which decides what happens next. The caller must fix a BadRequest, so it is never retried. */
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
  /** The provider's own message if it is safe to show (never for Unauthorized), otherwise the gateway's. */
  message: string;
  param: string | null;
  retryAfterMs: number | null;
  /** Status that the upstream returned; null if it didn't answer. */
  upstreamStatus: number | null;
  /**
   * Who caused the failure, if that is certain. `caller`: the gateway's own size limits, the caller's deadline, or a
   * rate limit that this request alone exceeds. `provider`: no request could have succeeded. Absent: another caller's
   * request might have succeeded.
   */
  fault?: "caller" | "provider";
  /** The provider's own error, if it is safe to show. */
  theirs?: ProviderWords;
}

/** Only `refusal` sets it: a caller's JSON may have members of any name, but never this symbol. */
const refused: unique symbol = Symbol("refused");

/** Refuses something in the request that the other format can't express and whose loss would change the meaning. */
export interface Refusal {
  readonly [refused]: true;
  code: FailureCode;
  param: string | null;
  message: string;
}

export function refusal(param: string | null, message: string, code: FailureCode = "unsupported_parameter"): Refusal {
  return { [refused]: true, code, param, message };
}

export function isRefusal(value: object): value is Refusal {
  return refused in value;
}
