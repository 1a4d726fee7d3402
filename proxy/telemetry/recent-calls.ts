/** The most recent calls, for the console. It keeps what the access log says about a call, without the address. */
import { type CallRecord, namespaceOfCall } from "../call/record.ts";
import type { RecentCall } from "../config/activity.ts";
import { failures } from "../failure.ts";
import { clean } from "./call-fields.ts";
import { isLogged } from "./log.ts";

const maxCalls = 500;
const maxCauseChars = 300;
const maxAttempts = 16;

function endingOf({ broken, abandoned, stalled, code }: CallRecord): RecentCall["ending"] {
  if (stalled) return "stalled";
  if (abandoned || code === "client_closed_request") return "abandoned";
  return broken ? "broken" : "complete";
}

function attemptsOf({ attempts }: CallRecord): RecentCall["attempts"] {
  return attempts.slice(-maxAttempts).map(({ provider, target, model, outcome, durationMs, server, cause }) => ({
    provider,
    target,
    model,
    outcome,
    durationMs: Math.round(durationMs),
    ...(server === undefined ? {} : { server }),
    ...(cause === undefined ? {} : { cause }),
  }));
}

function recentOf(call: CallRecord): RecentCall {
  const { usage, code } = call;
  return {
    requestId: call.requestId,
    endedMs: Math.round(call.startedMs + call.durationMs),
    durationMs: Math.round(call.durationMs),
    firstByteMs: call.firstByteMs === null ? null : Math.round(call.firstByteMs),
    namespace: namespaceOfCall(call),
    operation: call.operation,
    route: call.route,
    model: clean(call.model),
    target: call.target,
    provider: call.provider,
    upstreamModel: call.upstreamModel,
    region: call.region,
    key: call.key,
    user: clean(call.user),
    team: clean(call.team),
    role: call.role,
    country: call.country,
    status: call.status,
    code,
    blame: code === null ? null : failures[code].blame,
    cause: call.cause === null ? null : clean(call.cause).slice(0, maxCauseChars),
    ending: endingOf(call),
    stream: call.stream,
    promptTokens: usage?.prompt ?? null,
    cachedTokens: usage?.cachedPrompt ?? null,
    completionTokens: usage?.completion ?? null,
    estimated: usage?.estimated ?? false,
    costNanoUsd: call.costNanoUsd,
    cache: call.cache,
    masked: call.masked,
    dropped: call.dropped.map(clean),
    attempts: attemptsOf(call),
  };
}

/**
 * Converts records only when they are read, as most never are. Members that could contain a body are dropped at once.
 */
export class RecentCalls {
  readonly #ring: CallRecord[] = [];
  #next = 0;

  record(call: CallRecord): void {
    if (!isLogged(call)) return;
    this.#ring[this.#next] =
      call.payloads === null && call.audited === null ? call : { ...call, payloads: null, audited: null };
    this.#next = (this.#next + 1) % maxCalls;
  }

  /** Newest first. */
  read(limit = maxCalls): RecentCall[] {
    const inOrder = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return inOrder.reverse().slice(0, limit).map(recentOf);
  }
}
