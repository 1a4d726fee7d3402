/**
 * How a test writes an answer, a stream or an error in a provider's own format, and reads the request that the provider
 * got.
 */
import type { Buffer } from "node:buffer";
import type { UpstreamRequest } from "../../../harness/upstream.ts";

type Json = Record<string, unknown>;

export interface Said {
  text?: string;
  calls?: { id: string; name: string; args: Json }[];
  usage: { prompt: number; cached: number; completion: number };
}

/** What a provider understood of a request. */
export interface Asked {
  system: string | null;
  prompt: string | null;
  image: boolean;
  tools: string[];
  toolResults: string[];
  schema: boolean;
  stream: boolean;
}

export interface Wire {
  /** `spec.type`. */
  type: string;
  /** What it is, if its type stands for several APIs or servers. */
  variant?: string;
  /** Name of the model at the provider. Default: model-1. */
  upstream?: string;
  /** The upstream's URL → what the LLMProvider needs in addition to type, credentials and models. */
  spec(url: string): Json;
  secret: Record<string, string>;
  contentType: string;
  /** Whether frames can be interleaved with SSE comments and CRLF. */
  sse: boolean;
  asked(request: UpstreamRequest): Asked;
  /** Whether the credential arrived in the right place. */
  authorized(request: UpstreamRequest): boolean;
  whole(said: Said): Json;
  frames(said: Said): (string | Buffer)[];
  error(status: number, message: string): Json;
  /** Answers a call that doesn't ask for a completion, such as for a token; null for other requests. */
  aside?(request: UpstreamRequest): Json | null;
  /** What the provider can't do and refuses. */
  refuses?: ReadonlySet<"image" | "schema">;
}

export type { Json };

export const own = (value: unknown): Json =>
  value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {};
export const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(own) : []);
export const words = (value: unknown): string =>
  typeof value === "string"
    ? value
    : list(value)
        .map((part) => String(part["text"] ?? ""))
        .join("");
