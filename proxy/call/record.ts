/** What is remembered of one call, from which metrics and the access log are written. No body, no key, no header. */
import type { Usage } from "../dialects/canonical.ts";
import type { FailureCode } from "../failure.ts";
import type { AttemptCause } from "../wire/causes.ts";

export const semanticResults = ["hit", "miss", "would_hit", "slow", "failed", "refused", "paused"] as const;

export interface SemanticLookup {
  /**
   * would_hit: a hit that a policy in Shadow does not serve. slow: not over in time. failed: no vector was to be had.
   * refused: a budget or a rate limit has no room for it. paused: its provider has been failing and is left alone, or its quota is used up.
   */
  result: (typeof semanticResults)[number];
  /** Of the nearest question; null where there is none to compare with. */
  similarity: number | null;
}

export interface AttemptRecord {
  provider: string;
  /** Name of the target within its policy. */
  target: string;
  model: string;
  /** "ok", or the class of the failure. */
  outcome: string;
  durationMs: number;
  /** Why the connection failed, or there was no token, where that is how it failed. */
  cause?: AttemptCause;
  /** The failure says nothing of the provider: the caller caused it, or may have. */
  uncounted?: boolean;
  /** What the provider charges it by; absent where it never reached the provider, or was answered with an error. */
  usage?: Usage;
  /** Absent or null where nothing is charged, or the model has no price. */
  costNanoUsd?: number | null;
  /** The provider reported figures that no such call can have. They were estimated instead. */
  implausible?: true;
}

export interface CallRecord {
  requestId: string;
  /** Epoch milliseconds. */
  startedMs: number;
  /** 0 until it is over. */
  durationMs: number;
  /** The caller's, as trusted proxies tell it; "" where nobody can. */
  address: string;
  method: string;
  operation: string;
  /** `namespace/name` of the policy, "" before a route was found. */
  route: string;
  /** Model as the route knows it; "" where none was settled. Never the caller's free text. */
  model: string;
  /** What rules call the target that answered. */
  target: string;
  /** `namespace/name` of the provider that answered. */
  provider: string;
  upstreamModel: string;
  key: string;
  user: string;
  team: string;
  role: string;
  status: number;
  code: FailureCode | null;
  /** Private words on a failure. */
  cause: string | null;
  stream: boolean;
  /** The stream broke after its head was sent. */
  broken: boolean;
  abandoned: boolean;
  /** The client took nothing any more, and was cut off for that: `abandoned` as well. */
  stalled: boolean;
  /** Bytes of the answer's body that were handed to the connection; 0 until the call is over. */
  sentBytes: number;
  firstByteMs: number | null;
  /** Of the attempt that answered; without one, of the last that is charged. */
  usage: Usage | null;
  /** Of all attempts together. null where the model has no price or nothing was used. */
  costNanoUsd: number | null;
  /** What the response cache did; null where the route has none. semantic: a hit by a question that means the same. */
  cache: "hit" | "semantic" | "miss" | "bypass" | null;
  /** What the look-up by meaning came to; null where there was none. */
  semantic: SemanticLookup | null;
  /** What the call would have cost, had the cache not answered it. */
  savedNanoUsd: number | null;
  /** Personal data that was masked, how often by type; null where the policy masks none. */
  masked: Record<string, number> | null;
  /** Where the provider processes data. */
  region: string;
  attempts: AttemptRecord[];
  dropped: string[];
  /** The caller's, ISO 3166-1; "" where nobody can tell, or nobody asked. */
  country: string;
  statistics: boolean;
  payloads: { request: string; response: string } | null;
  /** Bodies for the audit log, masked. */
  audited: { request: string; response: string } | null;
}

/** Of a call of which nothing is known yet but that it has begun. */
export function newRecord(requestId: string, method: string, startedMs: number): CallRecord {
  return {
    requestId,
    startedMs,
    address: "",
    durationMs: 0,
    method,
    operation: "unknown",
    route: "",
    model: "",
    target: "",
    provider: "",
    upstreamModel: "",
    key: "",
    user: "",
    team: "",
    role: "",
    status: 200,
    code: null,
    cause: null,
    stream: false,
    broken: false,
    abandoned: false,
    stalled: false,
    sentBytes: 0,
    firstByteMs: null,
    usage: null,
    costNanoUsd: null,
    cache: null,
    semantic: null,
    savedNanoUsd: null,
    masked: null,
    region: "",
    attempts: [],
    dropped: [],
    country: "",
    statistics: true,
    payloads: null,
    audited: null,
  };
}
