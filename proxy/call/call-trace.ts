/**
 * What is kept of one call while it runs: times of its stages and attempts. Spans are made from it when the call is
 * over, and only if it is exported: most calls cost a few clock readings.
 */
import { newSpanId, newTraceId, sampleNumberOf, type TraceParent, traceparentOf } from "./trace-context.ts";

/** A shorter stage took no time worth a span. */
const minStageMs = 0.5;

export interface StageTime {
  name: string;
  fromMs: number;
  toMs: number;
}

/** Whom an attempt asks. */
export interface AttemptPeer {
  /** `gen_ai.provider.name`. */
  provider: string;
  /** As the provider names it. */
  model: string;
  /** `scheme://host:port` */
  origin: string;
}

export interface AttemptTime {
  spanId: string;
  fromMs: number;
  toMs: number;
  peer: AttemptPeer;
}

/** Never added to. */
const noStages: StageTime[] = [];
const noAttempts: AttemptTime[] = [];
const nothingRequested: Readonly<Record<string, unknown>> = {};

export class CallTrace {
  readonly traceId: string;
  readonly spanId = newSpanId();
  readonly parentId: string | null;
  readonly tracestate: string | null;
  /** Decided when the call begins. Errors and slow calls are exported anyway. */
  readonly sampled: boolean;
  readonly fromMs = performance.now();
  toMs = 0;
  stages: readonly StageTime[] = noStages;
  attempts: readonly AttemptTime[] = noAttempts;
  requested = nothingRequested;
  /** Masked excerpts; null unless installation and policy ask for them. */
  bodies: { request: string; response: string } | null = null;
  #stage: string | null = null;
  #stageFromMs = 0;

  constructor(parent: TraceParent | null, tracestate: string | null, ratio: number, parentDecides: boolean) {
    this.traceId = parent?.traceId ?? newTraceId();
    this.parentId = parent?.spanId ?? null;
    this.tracestate = parent === null ? null : tracestate;
    this.sampled = parent !== null && parentDecides ? parent.sampled : sampleNumberOf(this.traceId) < ratio;
  }

  /** The call passes on to a stage; the one before is over. */
  enter(stage: string): void {
    const nowMs = performance.now();
    this.#leave(nowMs);
    this.#stage = stage;
    this.#stageFromMs = nowMs;
  }

  /** Of the call itself. */
  get traceparent(): string {
    return traceparentOf(this.traceId, this.spanId, this.sampled);
  }

  /** Returns the `traceparent` of the attempt, for the provider. */
  attemptBegins(peer: AttemptPeer): string {
    const nowMs = performance.now();
    const spanId = newSpanId();
    const attempt = { spanId, fromMs: nowMs, toMs: nowMs, peer };
    this.attempts = this.attempts.length === 0 ? [attempt] : [...this.attempts, attempt];
    return traceparentOf(this.traceId, spanId, this.sampled);
  }

  /** `asked`: whether the provider was asked at all. */
  attemptEnds(asked: boolean): void {
    const attempt = this.attempts.at(-1);
    if (attempt === undefined) return;
    if (asked) attempt.toMs = performance.now();
    else this.attempts = this.attempts.slice(0, -1);
  }

  end(): void {
    this.toMs = performance.now();
    this.#leave(this.toMs);
    this.#stage = null;
  }

  #leave(nowMs: number): void {
    if (this.#stage !== null && nowMs - this.#stageFromMs >= minStageMs)
      this.stages = [...this.stages, { name: this.#stage, fromMs: this.#stageFromMs, toMs: nowMs }];
  }
}
