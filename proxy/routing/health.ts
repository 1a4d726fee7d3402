/** What this process knows about a provider and each of its models: breaker, hold-back, latency, retry budget. */

import type { ProviderConfig } from "../config/provider.ts";
import type { FailureClass, LeastLatencyConfig } from "../config/route.ts";
import type { AttemptCause } from "../wire/causes.ts";
import { Breaker, type BreakerState } from "./breaker.ts";
import { CallerHealth, Callers } from "./callers.ts";
import { LatencySamples, SlidingCount } from "./windows.ts";

/** The most samples that a policy may ask for. */
const latencySamples = 1_000;
const minSamples = 5;
/**
 * First tokens within this window decide whether a target is slow. Older ones are forgotten, so that the target is
 * tried again.
 */
const slowWindowMs = 60_000;
const slowSamples = 20;
const retryWindowMs = 10_000;
/** Retries may be this share of the requests, and at least this many per window. */
const retryShare = 0.2;
const minRetries = 10;

/** This many refusals of our credential, without an answer in between, are not specific to one request. */
const minRefusals = 3;
/** An older refusal is ignored, since the credential may have changed. */
const refusalsCountMs = 600_000;

/** Failures that mean the provider is unhealthy. Refusing our rate or key doesn't. */
const breaking: ReadonlySet<FailureClass> = new Set(["Unavailable", "Timeout", "ServerError"]);

/** How an attempt failed, as far as it concerns a model's health. */
export interface HealthFailure {
  class: FailureClass;
  retryAfterMs: number | null;
  /** Why the connection failed, if it did. */
  cause?: AttemptCause | null;
  /** The caller; absent if the failure would have hit any caller. */
  caller?: string;
}

/** The consequences of a failure. */
export interface HealthVerdict {
  /** Whether it counts against the model. */
  counted: boolean;
  /** Whether it opened the breaker. */
  opened: boolean;
}

export class ModelHealth {
  readonly breaker = new Breaker();
  readonly callers = new Callers();
  /** Why the last call failed, if its connection failed. */
  cause: AttemptCause | null = null;
  readonly latency = new LatencySamples(latencySamples);
  readonly #firstTokens = new LatencySamples(slowSamples);
  #refusals = 0;
  #refusedMs = 0;
  #sparedUntilMs = 0;
  /** State that applies to all callers. */
  readonly #everybody = new CallerHealth();

  /** Epoch milliseconds until which the provider asked not to be called. */
  heldUntilMs(caller: string): number {
    return Math.max(this.#everybody.heldUntilMs, this.callers.healthOf(caller)?.heldUntilMs ?? 0);
  }

  /** Epoch milliseconds until which other targets come first, because this one's rate limit is used up. */
  get sparedUntilMs(): number {
    return this.#sparedUntilMs;
  }

  /**
   * Whether the provider, or its token service, has refused our credential several times without answering in between.
   */
  refused(nowMs: number): boolean {
    return this.#refusals >= minRefusals && nowMs - this.#refusedMs < refusalsCountMs;
  }

  spare(untilMs: number): void {
    this.#sparedUntilMs = Math.max(this.#sparedUntilMs, untilMs);
  }

  /** Whether more than half of the first tokens in the last minute took longer than this. */
  slowerThan(ms: number, nowMs: number): boolean {
    return (this.#firstTokens.median(minSamples, nowMs, slowWindowMs, slowSamples) ?? 0) > ms;
  }

  /** Records how long a stream's first token took, or how long the call waited in vain. */
  sawFirstToken(ms: number, nowMs: number): void {
    this.#firstTokens.add(ms, nowMs);
  }

  /** Whether this caller may call now. In half-open state, it takes one of the trials. */
  acquire(config: ProviderConfig, caller: string, nowMs: number): boolean {
    if (this.heldUntilMs(caller) > nowMs) return false;
    const own = this.callers.healthOf(caller)?.breaker;
    if (own !== undefined && !own.acquire(config.circuitBreaker, nowMs)) return false;
    if (!this.breaker.acquire(config.circuitBreaker, nowMs)) {
      own?.release();
      return false;
    }
    this.callers.called(caller, nowMs);
    return true;
  }

  /** Gives a trial back without a verdict. */
  release(caller: string): void {
    this.breaker.release();
    this.callers.healthOf(caller)?.breaker.release();
  }

  succeeded(config: ProviderConfig, firstByteMs: number, nowMs: number, caller: string): void {
    this.cause = null;
    this.#refusals = 0;
    this.breaker.success(config.circuitBreaker);
    this.callers.forgetSuspects();
    this.callers.succeeded(caller, config.circuitBreaker, nowMs);
    this.latency.add(firstByteMs, nowMs);
    this.#everybody.forgive();
  }

  failed(config: ProviderConfig, failure: HealthFailure, nowMs: number): HealthVerdict {
    const { caller } = failure;
    if (caller === undefined) return { counted: true, opened: this.#failedForAll(config, failure, nowMs, true) };
    const sole = this.callers.isSole(caller, nowMs);
    const weight = this.callers.weigh(caller);
    const openedForCaller = this.#failedForCaller(config, failure, caller, nowMs);
    if (weight === "again" && !sole) {
      this.breaker.release();
      return { counted: false, opened: false };
    }
    const opened = this.#failedForAll(config, failure, nowMs, weight === "several");
    return { counted: true, opened: opened || (sole && openedForCaller) };
  }

  #failedForCaller(
    config: ProviderConfig,
    { class: kind, retryAfterMs }: HealthFailure,
    caller: string,
    nowMs: number,
  ) {
    const callerHealth = this.callers.failed(caller);
    if (kind === "RateLimited") callerHealth.holdBack(retryAfterMs, nowMs);
    if (breaking.has(kind)) return callerHealth.breaker.failure(config.circuitBreaker, nowMs);
    callerHealth.breaker.release();
    return false;
  }

  /**
   * `certain`: whether the failure is not specific to one caller, so that it may close the model to all. Returns
   * whether the breaker opens.
   */
  #failedForAll(config: ProviderConfig, failure: HealthFailure, nowMs: number, certain: boolean): boolean {
    const { class: kind, retryAfterMs, cause = null } = failure;
    this.cause = cause;
    if (kind === "Unauthorized") {
      this.#refusals++;
      this.#refusedMs = nowMs;
    }
    if (kind === "RateLimited" && certain) this.#everybody.holdBack(retryAfterMs, nowMs);
    if (!breaking.has(kind)) {
      this.breaker.release();
      return false;
    }
    if (!certain) {
      this.breaker.suspect(config.circuitBreaker, nowMs);
      return false;
    }
    const opens = this.breaker.failure(config.circuitBreaker, nowMs);
    // The trials that close it again start without earlier suspects.
    if (opens) this.callers.forgetSuspects();
    return opens;
  }

  /**
   * The breaker's state for a caller. Without a caller, the state to report, which includes the sole caller's own
   * breaker.
   */
  state(config: ProviderConfig, nowMs: number, caller?: string): BreakerState {
    const limits = config.circuitBreaker;
    const callerHealth = caller === undefined ? this.callers.sole(nowMs) : this.callers.healthOf(caller);
    return worse(this.breaker.state(limits, nowMs), callerHealth?.breaker.state(limits, nowMs) ?? "closed");
  }

  /** Median time to the first byte, in milliseconds; null if there are too few samples. */
  medianMs({ windowMs, samples, minimumSamples }: LeastLatencyConfig, nowMs: number): number | null {
    return this.latency.median(minimumSamples, nowMs, windowMs, samples);
  }
}

const worse = (a: BreakerState, b: BreakerState): BreakerState =>
  a === "open" || b === "open" ? "open" : a === "half-open" || b === "half-open" ? "half-open" : "closed";

export class ProviderHealth {
  readonly models = new Map<string, ModelHealth>();
  readonly #recent = new SlidingCount(retryWindowMs);
  readonly #retries = new SlidingCount(retryWindowMs);

  model(name: string): ModelHealth {
    let health = this.models.get(name);
    if (!health) this.models.set(name, (health = new ModelHealth()));
    return health;
  }

  took(nowMs: number): void {
    this.#recent.add(1, nowMs);
  }

  /** Takes one retry from the retry budget, if one is left. The budget keeps retries from multiplying an outage. */
  takeRetry(nowMs: number): boolean {
    const allowed = Math.max(minRetries, this.#recent.total(nowMs) * retryShare);
    if (this.#retries.total(nowMs) + 1 > allowed) return false;
    this.#retries.add(1, nowMs);
    return true;
  }
}
