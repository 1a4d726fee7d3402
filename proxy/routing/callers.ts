/**
 * What each caller has experienced with a model. A failure that another caller might not have had (a prompt that makes
 * the server answer 500, an answer that takes too long) counts against the model once for that caller, and fully only
 * once a second caller has failed as well. Until then it closes the model to that caller alone.
 */
import { Breaker, type BreakerLimits } from "./breaker.ts";

const firstHoldBackMs = 1_000;
const maxHoldBackMs = 60_000;

/** Only callers whose last call failed are kept. Beyond this number, the oldest are forgotten. */
const maxCallers = 1_000;
/** After this long without another caller, the model is judged by its sole caller's calls alone. */
const soleAfterMs = 600_000;

export class CallerHealth {
  readonly breaker = new Breaker();
  heldUntilMs = 0;
  #holdBackMs = firstHoldBackMs;

  /** If the provider doesn't say how long to wait, the pause doubles each time, up to a minute. */
  holdBack(retryAfterMs: number | null, nowMs: number): void {
    this.heldUntilMs = nowMs + (retryAfterMs ?? this.#holdBackMs);
    this.#holdBackMs = Math.min(maxHoldBackMs, this.#holdBackMs * 2);
  }

  /** Makes the next pause a short one again. */
  forgive(): void {
    this.#holdBackMs = firstHoldBackMs;
  }
}

export class Callers {
  readonly #health = new Map<string, CallerHealth>();
  #last: string | null = null;
  /** When the caller last changed. */
  #changedMs = Number.NEGATIVE_INFINITY;
  /** The first caller that has failed since the last success; `#severalFailed` says whether another has too. */
  #suspect: string | null = null;
  #severalFailed = false;

  /** undefined if the caller's last call did not fail. */
  healthOf(caller: string): CallerHealth | undefined {
    return this.#health.get(caller);
  }

  called(caller: string, nowMs: number): void {
    if (this.#last !== null && this.#last !== caller) this.#changedMs = nowMs;
    this.#last = caller;
  }

  /** Whether there has been no other caller lately. */
  #hasOne(nowMs: number): boolean {
    return nowMs - this.#changedMs > soleAfterMs;
  }

  isSole(caller: string, nowMs: number): boolean {
    return this.#last === caller && this.#hasOne(nowMs);
  }

  /** The health for the sole recent caller; undefined if there are several, or its last call did not fail. */
  sole(nowMs: number): CallerHealth | undefined {
    return this.#last !== null && this.#hasOne(nowMs) ? this.#health.get(this.#last) : undefined;
  }

  failed(caller: string): CallerHealth {
    let health = this.#health.get(caller);
    if (health !== undefined) return health;
    if (this.#health.size >= maxCallers) this.#health.delete(this.#health.keys().next().value ?? "");
    this.#health.set(caller, (health = new CallerHealth()));
    return health;
  }

  /**
   * Weighs a failure that may be specific to its caller: the first caller's first failure, a repeated one, or one after
   * several callers have failed.
   */
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

  /** Makes earlier failures irrelevant for `weigh`. */
  forgetSuspects(): void {
    this.#suspect = null;
    this.#severalFailed = false;
  }

  succeeded(caller: string, limits: BreakerLimits, nowMs: number): void {
    const health = this.#health.get(caller);
    if (health === undefined) return;
    health.breaker.success(limits);
    if (health.breaker.state(limits, nowMs) === "closed") this.#health.delete(caller);
  }
}
