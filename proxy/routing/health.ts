/** What this process knows of a provider and of each of its models: breaker, hold-back, latency, retry budget. */

import type { ProviderConfig } from "../config/provider.ts";
import type { FailureClass, LeastLatencyConfig } from "../config/route.ts";
import type { AttemptCause } from "../wire/causes.ts";
import { Breaker, type BreakerState } from "./breaker.ts";
import { LatencySamples, SlidingCount } from "./windows.ts";

/** As many as any policy may ask for. */
const latencySamples = 1_000;
const leastSamples = 5;
/** First tokens of this time say whether a target is slow now; later they are forgotten, and it is tried again. */
const slowWindowMs = 60_000;
const slowSamples = 20;
const retryWindowMs = 10_000;
/** Retries may be this share of the requests, and this many a second at least (in tens of seconds). */
const retryShare = 0.2;
const leastRetries = 10;
const firstHoldBackMs = 1_000;
const longestHoldBackMs = 60_000;

/** So many refusals of our credential, and no answer since, are no whim of one request. */
const leastRefusals = 3;
/** A refusal longer ago says nothing of now: the credential may be another. */
const refusalsCountMs = 600_000;

/** Failures that say the provider is ill; a refusal of our pace or key does not. */
const breaking: ReadonlySet<FailureClass> = new Set(["Unavailable", "Timeout", "ServerError"]);

export class ModelHealth {
  readonly breaker = new Breaker();
  /** Why the last call failed, where its connection did. */
  cause: AttemptCause | null = null;
  readonly latency = new LatencySamples(latencySamples);
  readonly #firstTokens = new LatencySamples(slowSamples);
  #refusals = 0;
  #refusedMs = 0;
  #heldUntilMs = 0;
  #sparedUntilMs = 0;
  #holdBackMs = firstHoldBackMs;

  /** Epoch milliseconds until which the provider asked us to keep off. */
  get heldUntilMs(): number {
    return this.#heldUntilMs;
  }

  /** Epoch milliseconds until which others come first, because its limit is used up. */
  get sparedUntilMs(): number {
    return this.#sparedUntilMs;
  }

  /** The provider, or its token service, refused our credential again and again, and answered nothing since. */
  refused(nowMs: number): boolean {
    return this.#refusals >= leastRefusals && nowMs - this.#refusedMs < refusalsCountMs;
  }

  spare(untilMs: number): void {
    this.#sparedUntilMs = Math.max(this.#sparedUntilMs, untilMs);
  }

  /** Half of the first tokens of the last minute came later than this. */
  slowerThan(ms: number, nowMs: number): boolean {
    return (this.#firstTokens.median(leastSamples, nowMs, slowWindowMs, slowSamples) ?? 0) > ms;
  }

  /** Of a stream whose first token came, or was waited for, so long. */
  sawFirstToken(ms: number, nowMs: number): void {
    this.#firstTokens.add(ms, nowMs);
  }

  succeeded(config: ProviderConfig, firstByteMs: number, nowMs: number): void {
    this.cause = null;
    this.#refusals = 0;
    this.breaker.success(config.circuitBreaker);
    this.latency.add(firstByteMs, nowMs);
    this.#holdBackMs = firstHoldBackMs;
  }

  /** true where the breaker opens by this. */
  failed(
    config: ProviderConfig,
    kind: FailureClass,
    retryAfterMs: number | null,
    nowMs: number,
    cause: AttemptCause | null = null,
  ): boolean {
    this.cause = cause;
    if (kind === "Unauthorized") {
      this.#refusals++;
      this.#refusedMs = nowMs;
    }
    const opens = breaking.has(kind) && this.breaker.failure(config.circuitBreaker, nowMs);
    if (!breaking.has(kind)) this.breaker.release();
    if (kind !== "RateLimited") return opens;
    // Without a word from the provider the pause doubles, up to a minute.
    this.#heldUntilMs = nowMs + (retryAfterMs ?? this.#holdBackMs);
    this.#holdBackMs = Math.min(longestHoldBackMs, this.#holdBackMs * 2);
    return opens;
  }

  state(config: ProviderConfig, nowMs: number): BreakerState {
    return this.breaker.state(config.circuitBreaker, nowMs);
  }

  /** Of the time to the first byte; null with too few samples. */
  medianMs({ windowMs, samples, minimumSamples }: LeastLatencyConfig, nowMs: number): number | null {
    return this.latency.median(minimumSamples, nowMs, windowMs, samples);
  }
}

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

  /** Takes one retry from the budget, if there is one left: so that retries can't multiply an outage. */
  takeRetry(nowMs: number): boolean {
    const allowed = Math.max(leastRetries, this.#recent.total(nowMs) * retryShare);
    if (this.#retries.total(nowMs) + 1 > allowed) return false;
    this.#retries.add(1, nowMs);
    return true;
  }
}
