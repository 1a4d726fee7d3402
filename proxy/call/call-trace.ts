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

/** Numbers of a request that its spans show. */
const shownNumbers: readonly (readonly [string, readonly string[]])[] = [
  ["gen_ai.request.temperature", ["temperature"]],
  ["gen_ai.request.top_p", ["top_p"]],
  ["gen_ai.request.top_k", ["top_k"]],
  ["gen_ai.request.max_tokens", ["max_completion_tokens", "max_output_tokens", "max_tokens"]],
  ["gen_ai.request.seed", ["seed"]],
  ["gen_ai.request.choice.count", ["n"]],
  ["gen_ai.request.frequency_penalty", ["frequency_penalty"]],
  ["gen_ai.request.presence_penalty", ["presence_penalty"]],
];

export class CallTrace {
  readonly traceId: string;
  readonly spanId = newSpanId();
  readonly parentId: string | null;
  readonly tracestate: string | null;
  /** Decided when the call begins. Errors and slow calls are exported anyway. */
  readonly sampled: boolean;
  readonly fromMs = performance.now();
  toMs = 0;
  readonly stages: StageTime[] = [];
  readonly attempts: AttemptTime[] = [];
  requested: Readonly<Record<string, unknown>> = {};
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
    this.attempts.push({ spanId, fromMs: nowMs, toMs: nowMs, peer });
    return traceparentOf(this.traceId, spanId, this.sampled);
  }

  /** `asked`: whether the provider was asked at all. */
  attemptEnds(asked: boolean): void {
    const attempt = this.attempts.at(-1);
    if (attempt === undefined) return;
    if (asked) attempt.toMs = performance.now();
    else this.attempts.pop();
  }

  end(): void {
    this.toMs = performance.now();
    this.#leave(this.toMs);
    this.#stage = null;
  }

  /** The request's numbers, by the names of attributes. */
  numbers(): [string, number][] {
    const spans: [string, number][] = [];
    for (const [attribute, members] of shownNumbers) {
      for (const member of members) {
        const value = this.requested[member];
        if (typeof value !== "number") continue;
        spans.push([attribute, value]);
        break;
      }
    }
    return spans;
  }

  #leave(nowMs: number): void {
    if (this.#stage !== null && nowMs - this.#stageFromMs >= minStageMs)
      this.stages.push({ name: this.#stage, fromMs: this.#stageFromMs, toMs: nowMs });
  }
}
