/**
 * The interface that each provider folder exports. The pipeline knows only this interface; no code outside a folder
 * names a provider.
 */
import type { Capabilities, WireFormat } from "../config/capabilities.ts";
import type { ModelConfig, ProviderConfig } from "../config/provider.ts";
import type {
  ChatReply,
  ChatRequest,
  EmbeddingsReply,
  EmbeddingsRequest,
  ProviderError,
  Refusal,
  StreamEvent,
} from "../dialects/canonical.ts";
import type { WebSearchWish, webSearch } from "../dialects/web-search.ts";
import type { JsonObject } from "../wire/json.ts";
import type { UpstreamTls } from "../wire/upstream-address.ts";

/** Headers and query parameters in clear text. Never logged. */
export interface CallAdditions {
  readonly headers: Readonly<Record<string, string>>;
  /** Encoded, without "?"; "" if there is none. */
  readonly query: string;
  /** Values that are secret, in `headers` or `query`. */
  readonly secrets: readonly string[];
}

/** An LLMProvider object, ready to be called. Lives as long as its snapshot. */
export interface ProviderAccount {
  readonly config: ProviderConfig;
  /** `scheme://host:port` of the endpoint. */
  readonly origin: string;
  /** Path of the endpoint without a trailing slash, "" if there is none. */
  readonly basePath: string;
  /** Credential fields in clear text. Never logged. */
  readonly credentials: Readonly<Record<string, string>>;
  /** Additions to every call; absent if there are none. */
  readonly additions?: CallAdditions;
  /** TLS settings for the token service. Absent: public authorities, and no client certificate. */
  readonly tokenTls?: UpstreamTls;
}

/** A provider's model. */
export interface ProviderModel {
  /** Name used in routes. */
  readonly name: string;
  readonly config: ModelConfig;
}

/** A request to the upstream. Header names are lower-case. `content-type: application/json` is set unless given. */
export interface Outgoing {
  method: "POST" | "GET" | "DELETE";
  /** Path and query, including the base path. */
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array | null;
}

export interface CallOptions {
  stream: boolean;
  /** Milliseconds left for the whole answer. */
  deadlineMs: number;
  /** The caller's headers that cross the gateway. */
  forwarded?: Readonly<Record<string, string>>;
}

/** One translated call: what to send, and how to read the answer. The call's state is kept in its closures. */
export interface ChatCall {
  path: string;
  headers?: Record<string, string>;
  body: string;
  /** Parameters left out because the provider doesn't support them. */
  dropped: string[];
  /** A whole answer (2xx). `headers` are lower-case. */
  decodeReply(
    body: unknown,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): ChatReply | ProviderError;
  /** `maxEventBytes`: largest event of the stream, in bytes. */
  decoder(maxEventBytes?: number): ChatStreamDecoder;
}

export interface ChatStreamDecoder {
  /**
   * Feeds bytes as they arrive, split anywhere. Returns the events that are now complete. Returns nothing after `end`
   * or `error`.
   */
  push(bytes: Uint8Array): StreamEvent[];
  /**
   * The upstream closed: returns `end` if the format's own marker was seen, otherwise the error
   * upstream_stream_truncated.
   */
  end(): StreamEvent[];
}

export interface EmbeddingsCall {
  path: string;
  headers?: Record<string, string>;
  body: string;
  dropped: string[];
  decodeReply(
    body: unknown,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): EmbeddingsReply | ProviderError;
}

/** A call to reranking that is translated. */
export interface RerankCall {
  path: string;
  body: string;
  dropped: string[];
  /** A whole answer (2xx) in Cohere's shape. */
  decodeReply(body: JsonObject): JsonObject | ProviderError;
}

/** A chat that asks for web search. */
export type SearchingRequest = ChatRequest & { [webSearch]: WebSearchWish };

/** A request whose prompt's tokens are to be counted. */
export interface CountedPrompt {
  request: ChatRequest;
  /** As the caller wrote it. */
  body: JsonObject;
  format: WireFormat;
}

/** A question for the number of tokens in a prompt. */
export interface TokenCountCall {
  path: string;
  body: string;
  /** Returns null if the answer has no number. */
  read(body: unknown): number | null;
}

/** An answer that isn't 2xx. */
export interface ErrorReply {
  status: number;
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** At most 64 KiB of the body: parsed if it is JSON, otherwise as text. */
  body: unknown;
  nowMs: number;
}

/** Temporary credentials of AWS. */
export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** The identities that the cloud gives the proxies' Pods, for accounts whose config has `identity`. */
export interface CloudCredentials {
  aws(account: ProviderAccount): Promise<AwsCredentials>;
  /** A bearer token of Azure or Google. `scope` as the cloud's token service takes it. */
  bearer(account: ProviderAccount, scope: string): Promise<string>;
  /** Forgets what the provider refused. */
  forget(account: ProviderAccount): void;
}

/** What authorisation may use: the clock, and cached tokens. */
export interface AuthEnvironment {
  nowMs(): number;
  /**
   * A short-lived token under `key` (which must hold no secret: use a digest). Taken from memory, or made by `make`
   * once for all waiting callers and renewed after 80 % of its lifetime.
   */
  token(key: string, make: () => Promise<{ value: string; expiresAtMs: number }>): Promise<string>;
  /** Forgets a token that the upstream refused. */
  forget(key: string): void;
  readonly cloud: CloudCredentials;
  /**
   * A small call outside the request's own, to token endpoints. Subject to the same destination rules as any upstream.
   */
  send(
    url: string,
    request: {
      method: "POST" | "GET";
      headers: Record<string, string>;
      body: string | null;
      allowPrivate: boolean;
      tls: UpstreamTls | null;
    },
  ): Promise<{ status: number; body: string }>;
}

/** How a provider lists its models, for LLMProviders that discover them. */
export interface ModelList {
  /** Path with base path and query, for GET. */
  path(account: ProviderAccount): string;
  /** Paths of further lists. */
  more?(account: ProviderAccount): readonly string[];
  /** The account to use for the lists, if they are at another host; or why there is none, as text. */
  elsewhere?(account: ProviderAccount): ProviderAccount | string;
  headers?(account: ProviderAccount): Record<string, string>;
  /** Path of the page after the one that was read at `path`; null for none. Absent: one page is read. */
  next?(path: string, body: unknown): string | null;
  /** The models' names in an answer's body; null if it is no list. */
  names(body: unknown): string[] | null;
}

export interface Provider {
  readonly capabilities: Capabilities;
  /** Whether this chat is translated although the provider has the API, because there it is sure to be refused. */
  translatesChat?(body: JsonObject, account: ProviderAccount, model: ProviderModel): boolean;
  /** Whether the provider can search the web for this request as it asks. Absent: never. */
  searches?(request: SearchingRequest, account: ProviderAccount, model: ProviderModel): boolean;
  /** What this model's translation carries, for types with several APIs. Absent: the same for all, as in `capabilities`. */
  carries?(account: ProviderAccount, model: ProviderModel): Capabilities["carries"];
  /**
   * Path (with base path) for bytes in `format` that pass through untouched; null if they can't. `stream`: whether the
   * caller asks for a stream; absent if it makes no difference.
   */
  passthroughPath(format: WireFormat, account: ProviderAccount, model: ProviderModel, stream?: boolean): string | null;
  /** Path of the call that compacts a conversation of the Responses API; null or absent if the provider has none. */
  compactPath?(account: ProviderAccount): string | null;
  /**
   * Top-level edits that a passthrough body needs: member → new value, or undefined to remove it. The pipeline itself
   * renames the model and sets include_usage. Most providers need no edits.
   */
  passthroughEdits?(
    format: WireFormat,
    account: ProviderAccount,
    model: ProviderModel,
    body: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> | Refusal;
  /** The caller's headers as this model's API takes them, where a body passes through. Absent: unchanged. */
  passthroughHeaders?(
    headers: Readonly<Record<string, string>>,
    account: ProviderAccount,
    model: ProviderModel,
  ): Record<string, string>;
  /** Parameters of a passthrough body that `passthroughEdits` leaves out because the server refuses them. */
  passthroughDrops?(
    format: WireFormat,
    body: Readonly<Record<string, unknown>>,
    account: ProviderAccount,
    model: ProviderModel,
  ): string[];
  /**
   * Adds credentials. Called for each attempt, after the body is final. May be async only if a token must be fetched.
   */
  authorize(outgoing: Outgoing, account: ProviderAccount, env: AuthEnvironment): Outgoing | Promise<Outgoing>;
  readonly chat:
    | ((
        request: ChatRequest,
        account: ProviderAccount,
        model: ProviderModel,
        options: CallOptions,
      ) => ChatCall | Refusal)
    | null;
  readonly embeddings:
    | ((request: EmbeddingsRequest, account: ProviderAccount, model: ProviderModel) => EmbeddingsCall | Refusal)
    | null;
  /**
   * Translates calls to reranking, given in the shape of Cohere's API; null or absent if this model doesn't rank, or if
   * they pass through.
   */
  rerank?(account: ProviderAccount, model: ProviderModel): ((body: JsonObject) => RerankCall | Refusal) | null;
  decodeError(reply: ErrorReply): ProviderError;
  /** The upstream refused the token that `authorize` added: forgets the token. Returns whether a retry makes sense. */
  renew?(account: ProviderAccount, reply: ErrorReply, env: AuthEnvironment): boolean;
  /** How the provider is asked for the number of tokens in a prompt; null or absent if it can't be. */
  tokenCount?(prompt: CountedPrompt, account: ProviderAccount, model: ProviderModel): TokenCountCall | Refusal | null;
  /** Largest answer of a model, in tokens; null or absent if unknown. */
  maxOutput?(model: ProviderModel): number | null;
  /** Set for types that list their models. */
  readonly modelList?: ModelList;
  /** Base path for files, batches and fine-tuning that pass through under `/v1/…`. Absent if there is none. */
  resourcePath?(path: string, account: ProviderAccount): string | null;
}
