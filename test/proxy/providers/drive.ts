/** Calls a provider as the pipeline does, without a network. */

import { Buffer } from "node:buffer";
import {
  type ChatReply,
  type ChatRequest,
  isRefusal,
  type ProviderError,
  type Refusal,
  type StreamEvent,
} from "../../../proxy/dialects/canonical.ts";
import type {
  AuthEnvironment,
  ChatCall,
  ChatStreamDecoder,
  CloudCredentials,
  Provider,
  ProviderAccount,
  ProviderModel,
} from "../../../proxy/providers/provider.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";

export interface Setting {
  endpoint?: string;
  upstream?: string;
  options?: Record<string, string>;
  credentials?: Record<string, string>;
  maxOutputTokens?: number;
  stream?: boolean;
}

export function accountOf({
  endpoint = "https://upstream.test",
  options = {},
  credentials = {},
}: Setting): ProviderAccount {
  const url = new URL(endpoint);
  return {
    config: {
      id: "default/under-test",
      type: "UnderTest",
      endpoint,
      allowPrivateEndpoint: false,
      tls: null,
      credentials: {},
      options,
      region: null,
      models: {},
      unsupportedParameters: "Drop",
      timeouts: { connectMs: 1, writeMs: 1, responseMs: 1, firstTokenMs: 1, idleMs: 1, totalMs: 1 },
      retry: { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, multiplier: 1, jitter: 0 },
      circuitBreaker: { failureThreshold: 1, successThreshold: 1, openForMs: 1, halfOpenRequests: 1 },
      quota: { requestsPerMinute: null, tokensPerMinute: null },
      healthCheck: null,
    },
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ""),
    credentials,
  };
}

export function modelOf({ upstream = "model-1", maxOutputTokens }: Setting): ProviderModel {
  return {
    name: "m",
    config: {
      upstream,
      sunset: null,
      price: null,
      maxOutputTokens: maxOutputTokens ?? null,
      contextTokens: null,
      quota: { requestsPerMinute: null, tokensPerMinute: null },
    },
  };
}

export const hello = { role: "user", content: "Hi" } as const;

export function call(provider: Provider, request: Partial<ChatRequest>, setting: Setting = {}): ChatCall | Refusal {
  const whole: ChatRequest = { model: "m", messages: [hello], ...request };
  const made = provider.chat?.(whole, accountOf(setting), modelOf(setting), {
    stream: setting.stream ?? false,
    deadlineMs: 60_000,
  });
  if (made === undefined) throw new Error("the provider has no chat");
  return made;
}

export function accepted(
  provider: Provider,
  request: Partial<ChatRequest>,
  setting: Setting = {},
): ChatCall & { json: JsonObject } {
  const made = call(provider, request, setting);
  if (isRefusal(made)) throw new Error(`refused: ${made.message}`);
  return Object.assign(made, { json: JSON.parse(made.body) as JsonObject });
}

export function isReply(answer: ChatReply | ProviderError): answer is ChatReply {
  return "choices" in answer;
}

/** All events of a stream that is split at these positions. */
export function events(decoder: ChatStreamDecoder, bytes: Uint8Array, cuts: readonly number[] = []): StreamEvent[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const out: StreamEvent[] = [];
  let from = 0;
  for (const to of [...places, bytes.length]) {
    // A copy that is overwritten, to catch a decoder that keeps a reference to a read's memory.
    const read = Buffer.from(bytes.subarray(from, to));
    out.push(...decoder.push(read));
    read.fill(0);
    from = to;
  }
  out.push(...decoder.end());
  return out;
}

export const deltas = (all: readonly StreamEvent[]): JsonObject[] =>
  all.flatMap((event) => (event.kind === "delta" ? [{ ...event.delta }] : []));

export const noCloud: CloudCredentials = {
  aws: () => Promise.reject(new Error("there is no cloud")),
  bearer: () => Promise.reject(new Error("there is no cloud")),
  forget: () => undefined,
};

export const environment = (nowMs: number): AuthEnvironment => ({
  nowMs: () => nowMs,
  token: () => Promise.reject(new Error("no token is needed")),
  forget: () => undefined,
  cloud: noCloud,
  send: () => Promise.reject(new Error("nothing is sent")),
});
