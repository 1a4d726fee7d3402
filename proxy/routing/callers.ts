/**
 * What each caller has met at a model. A failure that another caller might not have met (a prompt that makes the server
 * answer 500, an answer that takes too long) is held against the model once for that caller, and in full only once a
 * second caller has failed as well. Until then it closes the model to that caller alone.
 */
import { Breaker, type BreakerLimits } from "./breaker.ts";

const firstHoldBackMs = 1_000;
const longestHoldBackMs = 60_000;

/** Only callers whose last call failed are kept; the oldest of more than this many are forgotten. */
const mostCallers = 1_000;
/** After this long without another caller, one caller's calls are all there is to judge a model by. */
const soleAfterMs = 600_000;

export class CallerStanding {
  readonly breaker = new Breaker();
  heldUntilMs = 0;
  #holdBackMs = firstHoldBackMs;

  /** Without a word from the provider the pause doubles, up to a minute. */
  holdBack(retryAfterMs: number | null, nowMs: number): void {
    this.heldUntilMs = nowMs + (retryAfterMs ?? this.#holdBackMs);
    this.#holdBackMs = Math.min(longestHoldBackMs, this.#holdBackMs * 2);
  }

  /** The next pause is a short one again. */
  forgive(): void {
    this.#holdBackMs = firstHoldBackMs;
  }
}

export class Callers {
  readonly #standings = new Map<string, CallerStanding>();
  #last: string | null = null;
  /** When the caller changed last. */
  #changedMs = Number.NEGATIVE_INFINITY;
  /** The first caller that has failed since the last success, and whether another one has as well. */
  #suspect: string | null = null;
  #severalFailed = false;

  /** undefined: the caller's last call did not fail. */
  standing(caller: string): CallerStanding | undefined {
    return this.#standings.get(caller);
  }

  called(caller: string, nowMs: number): void {
    if (this.#last !== null && this.#last !== caller) this.#changedMs = nowMs;
    this.#last = caller;
  }

  /** No other caller has called lately. */
  #hasOne(nowMs: number): boolean {
    return nowMs - this.#changedMs > soleAfterMs;
  }

  isSole(caller: string, nowMs: number): boolean {
    return this.#last === caller && this.#hasOne(nowMs);
  }

  /** The standing of the only caller lately; undefined where there are others, or its last call did not fail. */
  sole(nowMs: number): CallerStanding | undefined {
    return this.#last !== null && this.#hasOne(nowMs) ? this.#standings.get(this.#last) : undefined;
  }

  failed(caller: string): CallerStanding {
    let standing = this.#standings.get(caller);
    if (standing !== undefined) return standing;
    if (this.#standings.size >= mostCallers) this.#standings.delete(this.#standings.keys().next().value ?? "");
    this.#standings.set(caller, (standing = new CallerStanding()));
    return standing;
  }

  /** Whether a failure that may be specific to its caller is held against the model, and whether it is the first caller's only one. */
  weigh(caller: string): "first" | "again" | "several" {
    if (this.#severalFailed) return "several";
    if (this.#suspect === null) {
      this.#suspect = caller;
      return "first";
    }
    if (this.#suspect === caller) return "again";
    this.#severalFailed = true;
    return "several";
  }

  /** Failures before this say nothing any more. */
  forgetSuspects(): void {
    this.#suspect = null;
    this.#severalFailed = false;
  }

  succeeded(caller: string, limits: BreakerLimits, nowMs: number): void {
    const standing = this.#standings.get(caller);
    if (standing === undefined) return;
    standing.breaker.success(limits);
    if (standing.breaker.state(limits, nowMs) === "closed") this.#standings.delete(caller);
  }
}
