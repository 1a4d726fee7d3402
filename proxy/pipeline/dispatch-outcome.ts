/** How a dispatch can end, and what its attempts say about that. */
import type { AttemptRecord } from "../call/record.ts";
import type { FailureClass } from "../config/route.ts";
import type { ProviderError, Usage } from "../dialects/canonical.ts";
import { type Failure, failure } from "../failure.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { AttemptCause } from "../wire/causes.ts";
import type { Dispatcher, DispatchRequest } from "./dispatch-request.ts";
import { toFailure } from "./provider-error.ts";
import type { Tried } from "./try-target.ts";

/** The target that answered, or began to. */
export interface Served {
  target: ResolvedTarget;
  dropped: string[];
  /** null if nothing of the answer arrived. */
  firstByteMs: number | null;
  /** Body of a whole answer, for logging payloads. */
  body: Uint8Array | string | null;
}

/** The outcome of a dispatch. */
export type DispatchEnd =
  | { kind: "answered"; served: Served }
  /** It failed before any byte of an answer reached the client. */
  | { kind: "failed"; failure: Failure }
  /**
   * The stream broke off after bytes had reached the client. `reported`: the stream itself reported the failure; otherwise
   * `failure` must be sent as an event. `served` is null if only the failure was sent, in the provider's words.
   */
  | { kind: "brokenOff"; failure: Failure; reported: boolean; served: Served | null }
  /** The client disconnected. `stalled`: it was disconnected because it stopped reading. */
  | { kind: "abandoned"; stalled: boolean; served: Served };

export type DispatchOutcome = DispatchEnd & { attempts: AttemptRecord[]; usage: Usage | null };

export function causeIn({ result }: Tried): AttemptCause | null {
  return result.kind === "failed" || result.kind === "broken" ? result.cause : null;
}

/** A provider's own error text is passed only to callers that use its API. */
export function failureOf(error: ProviderError, tried: Tried): Failure {
  const failed = toFailure(error, causeIn(tried));
  return error.theirs === undefined || tried.prepared.translated ? failed : { ...failed, theirs: error.theirs };
}

export function servedBy(target: ResolvedTarget, { result, prepared, whole }: Tried): Served {
  return {
    target,
    dropped: prepared.dropped,
    firstByteMs: result.kind === "failed" || result.kind === "whole" ? null : result.firstByteMs,
    body: whole?.body ?? null,
  };
}

/**
 * Another account may have a larger limit. The caller's other limits apply everywhere, and each attempt costs money.
 */
export const mayFallBack = (kind: FailureClass, error: ProviderError): boolean =>
  error.fault !== "caller" || kind === "RateLimited";

/** The failure when every target is held back, by a rate limit or because it has been failing. */
export function nobodyToAsk({ targets, caller }: DispatchRequest, { routing }: Dispatcher): Failure {
  const { ms, rateLimited } = routing.wait(targets, caller);
  return rateLimited
    ? failure("upstream_rate_limited", "The rate limits of this model's providers are used up. Try again later.", {
        retryAfterMs: ms,
      })
    : failure("no_usable_target", "No provider of this model can be called right now. Try again later.", {
        retryAfterMs: ms,
      });
}
