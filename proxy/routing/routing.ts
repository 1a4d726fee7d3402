/** The choice of targets, behind one interface: which, in what order, and whether one may be called now. */

import type { Identity } from "../call/identity.ts";
import type { FailureClass } from "../config/route.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { AttemptCause } from "../wire/causes.ts";

/** What choosing may look at. */
export interface PlanRequest {
  route: Route;
  targets: readonly ResolvedTarget[];
  identity: Identity;
  /** As `callerOf` says; absent where nobody calls. */
  caller?: string;
  /** The model asked for. */
  model: string | null;
  header(name: string): string | null;
  /** The caller's wish: name of a provider or target. */
  preferred: string | null;
  /** Number of inputs of an embeddings request, else 1. */
  batchSize: number;
  /** Estimated tokens of the prompt; computed on demand. */
  promptTokens(): number;
  /** Estimated most tokens of the answer. */
  outputTokens(): number;
}

/** Permission to make one attempt; it must be given back by exactly one of its methods. */
export interface Permit {
  succeeded(result: { firstByteMs: number; durationMs: number; tokens: number }): void;
  /**
   * `ofCaller`: another caller might have been answered. False where the failure is not held against the target, because
   * this caller alone has failed, and before.
   */
  failed(failure: {
    class: FailureClass;
    retryAfterMs: number | null;
    cause?: AttemptCause | null;
    ofCaller?: boolean;
  }): boolean;
  /** Says nothing of the target's health: the client went away, or the request itself was at fault. */
  released(): void;
}

export interface Routing {
  /** Targets to try, best first. Empty only where the route has none. */
  plan(request: PlanRequest): ResolvedTarget[];
  /** `caller`: whose call it is, as `callerOf` says; absent for the gateway's own. null: not now (breaker open, quota used up). A promise only where other proxies have to be asked. */
  acquire(target: ResolvedTarget, tokens: number, caller?: string): Permit | null | Promise<Permit | null>;
  /** How long until one of the targets may be called, in milliseconds, and whether a rate limit is what holds them all back. */
  wait(targets: readonly ResolvedTarget[], caller?: string): { ms: number; rateLimited: boolean };
  /** How long a target is still to be left alone because it asked for that, in milliseconds. */
  heldMs(target: ResolvedTarget, caller?: string): number;
  /** The first token of a stream came, or was waited for, so long. */
  firstToken(target: ResolvedTarget, ms: number): void;
  /** The provider says that its limit is used up: others come first for so many milliseconds, but nothing is refused. */
  spare(target: ResolvedTarget, ms: number): void;
  /** Whether one more attempt beyond the first keeps within the retry budget. */
  mayRetry(target: ResolvedTarget): boolean;
}
