/** The choice of targets behind one interface: which targets, in what order, and whether one may be called now. */

import type { Identity } from "../call/identity.ts";
import type { SessionMove } from "../call/record.ts";
import type { FailureClass } from "../config/route.ts";
import type { Usage } from "../dialects/canonical.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { AttemptCause } from "../wire/causes.ts";
import type { PodSeat, PodWish } from "./pools.ts";

/** The properties of a call on which the choice may depend. */
export interface PlanRequest {
  route: Route;
  targets: readonly ResolvedTarget[];
  identity: Identity;
  /** As returned by `callerOf`; absent for the gateway's own calls. */
  caller?: string;
  /** The caller's session, tied to the caller; "" if the call names none. */
  session: string;
  /** The model that the caller asked for. */
  model: string | null;
  header(name: string): string | null;
  /** Provider or target that the caller prefers. */
  preferred: string | null;
  /** Number of inputs of an embeddings request; otherwise 1. */
  batchSize: number;
  /** Estimated tokens of the prompt, computed on demand. */
  promptTokens(): number;
  /** Estimated upper bound of the answer's tokens. */
  outputTokens(): number;
  /** Tokens of the prompt in a target's cache; if absent, those that its answers in this session have reported. */
  cachedTokens?(target: ResolvedTarget): number;
}

/** Permission for one attempt. Give it back by calling exactly one of its methods. */
export interface Permit {
  /** The place at a server of a pool that takes the attempt; null to call the provider's endpoint. */
  readonly seat: PodSeat | null;
  succeeded(result: { firstByteMs: number; durationMs: number; tokens: number }): void;
  /**
   * `ofCaller`: whether another caller might have been answered. Returns false if the failure doesn't count against the
   * target because only this caller has failed, and not for the first time.
   */
  failed(failure: {
    class: FailureClass;
    retryAfterMs: number | null;
    cause?: AttemptCause | null;
    ofCaller?: boolean;
  }): boolean;
  /** Gives no verdict on the target's health: the client went away, or the request itself was at fault. */
  released(): void;
}

export interface Routing {
  /** Targets to try, best first. Empty only if the route has none. */
  plan(request: PlanRequest): readonly ResolvedTarget[];
  /**
   * `caller`: as returned by `callerOf`; absent for the gateway's own calls. Returns null if the target can't be called
   * now (breaker open, quota used up, no server of its pool has room). Returns a promise only if other proxies have to
   * be asked. `wish`: absent to call the endpoint even of a pool.
   */
  acquire(
    target: ResolvedTarget,
    tokens: number,
    caller?: string,
    wish?: PodWish,
  ): Permit | null | Promise<Permit | null>;
  /**
   * How long until one of the targets may be called, in milliseconds, and whether rate limits hold all of them back.
   */
  wait(targets: readonly ResolvedTarget[], caller?: string): { ms: number; rateLimited: boolean };
  /** How long a target asks not to be called, in milliseconds from now. */
  heldMs(target: ResolvedTarget, caller?: string): number;
  /** Records how long a stream's first token took, or how long the call waited in vain. */
  firstToken(target: ResolvedTarget, ms: number): void;
  /** Prefers other targets for `ms` because the provider reports that its limit is used up. Calls are not refused. */
  spare(target: ResolvedTarget, ms: number): void;
  /**
   * Notes which target answered a session's call, where the policy keeps sessions on their target. Returns the move if
   * another target had answered before.
   */
  answered(request: PlanRequest, target: ResolvedTarget, usage: Usage | null): SessionMove | null;
  /** Whether the retry budget allows one more attempt after the first. */
  mayRetry(target: ResolvedTarget): boolean;
}
