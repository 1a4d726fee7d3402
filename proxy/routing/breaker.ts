/**
 * Circuit breaker for one provider's model. Closed: all calls pass. Open: none do, for a time. Half-open: a few
 * concurrent trial calls decide. Time is an argument.
 */
import type { ProviderConfig } from "../config/provider.ts";

export type BreakerState = "closed" | "half-open" | "open";
export type BreakerLimits = ProviderConfig["circuitBreaker"];

export class Breaker {
  #failures = 0;
  #successes = 0;
  #trials = 0;
  #openedMs: number | null = null;

  state(limits: BreakerLimits, nowMs: number): BreakerState {
    if (this.#openedMs === null) return "closed";
    return nowMs - this.#openedMs >= limits.openForMs ? "half-open" : "open";
  }

  /** Whether a call may go out now. In half-open state, it takes one of the trials. */
  acquire(limits: BreakerLimits, nowMs: number): boolean {
    const state = this.state(limits, nowMs);
    if (state === "open") return false;
    if (state === "closed") return true;
    if (this.#trials >= limits.halfOpenRequests) return false;
    this.#trials++;
    return true;
  }

  /** Gives a trial back without a verdict. */
  release(): void {
    this.#trials = Math.max(0, this.#trials - 1);
  }

  success(limits: BreakerLimits): void {
    this.release();
    this.#failures = 0;
    if (this.#openedMs === null) return;
    this.#successes++;
    if (this.#successes >= limits.successThreshold) this.#close();
  }

  /** Returns whether this failure opens the breaker. */
  failure(limits: BreakerLimits, nowMs: number): boolean {
    const state = this.state(limits, nowMs);
    this.release();
    // A call that started before the breaker opened says nothing new.
    if (state === "open") return false;
    this.#failures++;
    const opens = state === "half-open" || this.#failures >= limits.failureThreshold;
    if (opens) this.#open(nowMs);
    return opens;
  }

  /** Counts a failure that may be specific to its caller, without opening the breaker. */
  suspect(limits: BreakerLimits, nowMs: number): void {
    const state = this.state(limits, nowMs);
    this.release();
    if (state === "closed") this.#failures++;
  }

  #open(nowMs: number): void {
    this.#openedMs = nowMs;
    this.#successes = 0;
    this.#trials = 0;
  }

  #close(): void {
    this.#openedMs = null;
    this.#failures = 0;
    this.#successes = 0;
    this.#trials = 0;
  }
}
