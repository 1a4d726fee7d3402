/** The record of one call, from which metrics and the access log are written. It holds no body, key or header. */
import type { Usage } from "../dialects/canonical.ts";
import type { FailureCode } from "../failure.ts";
import type { AttemptCause } from "../wire/causes.ts";
import type { CallTrace } from "./call-trace.ts";
import type { ExportedTrace } from "./trace-context.ts";

export const semanticResults = ["hit", "miss", "would_hit", "slow", "failed", "refused", "paused"] as const;

export interface SemanticLookup {
  /**
   * would_hit: a hit that a policy in Shadow mode doesn't serve. slow: not done in time. failed: no embedding was
   * obtained. refused: no room under a budget or rate limit. paused: the embedding provider keeps failing and isn't
   * called, or its quota is used up.
   */
  result: (typeof semanticResults)[number];
  /** Similarity of the nearest question; null if there is none to compare with. */
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
  /** The server of the provider's pool, and who chose it; absent if the provider is no pool. */
  server?: { address: string; chosenBy: "Picker" | "LeastLoad" | "Prefix" };
  /** Why the connection failed or no token was obtained, if that was the failure. */
  cause?: AttemptCause;
  /** Whether the failure says nothing about the provider, because the caller caused it or may have. */
  uncounted?: boolean;
  /** The usage that the provider charges for; absent if the attempt never reached it or got an error. */
  usage?: Usage;
  /** Absent or null if nothing is charged or the model has no price. */
  costNanoUsd?: number | null;
  /** What was used and the model's price lacks: units and modes. Absent if there is nothing. */
  unpriced?: readonly string[];
  /** Set if the provider reported figures that no such call can have. They were replaced by estimates. */
  implausible?: true;
}

/** A session that went on from one target to another. */
export interface SessionMove {
  from: string;
  to: string;
  /** What the prompt costs more because the new target's cache lacks it; null if a price is unknown. */
  costNanoUsd: number | null;
}

export interface CallRecord {
  requestId: string;
  /** Epoch milliseconds. */
  startedMs: number;
  /** 0 until the call is over. */
  durationMs: number;
  /** The caller's address, as trusted proxies report it; "" if unknown. */
  address: string;
  method: string;
  operation: string;
  /** `namespace/name` of the policy; "" before a route is chosen. */
  route: string;
  /** The model as the route knows it; "" if it wasn't determined. Never the caller's free text. */
  model: string;
  /** The name that rules use for the target that answered. */
  target: string;
  /** `namespace/name` of the provider that answered. */
  provider: string;
  upstreamModel: string;
  key: string;
  user: string;
  team: string;
  role: string;
  /** Tags of the key. */
  tags: readonly string[];
  /** The session that the caller says the call belongs to, as returned by `sessionOf`; "" for none. */
  session: string;
  /** Set if the session's earlier calls were answered by another target. */
  moved?: SessionMove;
  status: number;
  code: FailureCode | null;
  /** Internal details of a failure; never sent to the client. */
  cause: string | null;
  stream: boolean;
  /** Whether the stream broke after its headers were sent. */
  broken: boolean;
  abandoned: boolean;
  /** Whether the client stopped reading and was disconnected for that. Such a call is also `abandoned`. */
  stalled: boolean;
  /** Bytes of the answer's body handed to the connection; 0 until the call is over. */
  sentBytes: number;
  firstByteMs: number | null;
  /** Usage of the attempt that answered, or else of the last attempt that is charged. */
  usage: Usage | null;
  /** Cost of all attempts together; null if the model has no price or nothing was used. */
  costNanoUsd: number | null;
  /** Result of the response cache; null if the route has none. semantic: a hit by a question with the same meaning. */
  cache: "hit" | "semantic" | "miss" | "bypass" | null;
  /** Result of the semantic look-up; null if there was none. */
  semantic: SemanticLookup | null;
  /** What the call would have cost without the cache hit. */
  savedNanoUsd: number | null;
  /** How much personal data was masked, by type; null if the policy masks none. */
  masked: Record<string, number> | null;
  /** Region in which the provider processes data. */
  region: string;
  attempts: AttemptRecord[];
  dropped: string[];
  /** The caller's country, ISO 3166-1; "" if unknown or not needed. */
  country: string;
  statistics: boolean;
  payloads: { request: string; response: string } | null;
  /** Times of its stages and attempts; null unless calls are traced. */
  trace: CallTrace | null;
  /** Set when the call is recorded; null if its trace isn't exported. */
  exported: ExportedTrace | null;
  /** Masked bodies for the audit log. */
  audited: { request: string; response: string } | null;
}

const noTags: readonly string[] = [];

/** The namespace of the caller's key, or else of the policy; "" if there is neither. */
export function namespaceOfCall({ key, route }: Pick<CallRecord, "key" | "route">): string {
  const id = key || route;
  const end = id.indexOf("/");
  return end < 0 ? id : id.slice(0, end);
}

/** Returns the record of a call that has just started. */
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
    tags: noTags,
    session: "",
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
    trace: null,
    exported: null,
    audited: null,
  };
}
