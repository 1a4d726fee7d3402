/** Spans on their way to a collector. Nothing waits for it: what it doesn't take in time is dropped and counted. */
import type { Buffer } from "node:buffer";
import type { Collector, PartlyTaken } from "../wire/otlp-collector.ts";
import type { OtlpEncoding } from "./otlp.ts";
import { SpanBatch } from "./span-batch.ts";

export interface SpanQueueOptions {
  /** In which the spans are written. */
  encoding: OtlpEncoding;
  send(body: Buffer): ReturnType<Collector["send"]>;
  /** Calls `then` after `ms` milliseconds; returns what cancels it. */
  after(ms: number, then: () => void): () => void;
  /** The collector is not reached or doesn't take a request. */
  trouble(why: string): void;
  /** It took the request and rejected some of the spans; none of them if it only warns. */
  rejected(spans: number, why: string): void;
}

/** Most spans that wait; about 1 KB each. */
const maxWaiting = 8_192;
/** A batch with fewer takes all spans of one more call. */
const maxBatch = 512;
const everyMs = 1_000;
const maxPauseMs = 30_000;

/** In memory and bounded. */
export class SpanQueue {
  readonly #options: SpanQueueOptions;
  readonly figures = { exported: 0, dropped: { queue_full: 0, not_sent: 0, rejected: 0 } };
  /** The last one takes more spans. */
  #batches: SpanBatch[] = [];
  /** Spans in all of them. */
  #waiting = 0;
  #sending: Promise<unknown> | null = null;
  #cancel: (() => void) | null = null;
  #pauseMs = everyMs;
  #closed = false;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  /** The batch that takes the spans of a call, all or none of them; null if they are dropped. Call `added` afterwards. */
  room(spans: number): SpanBatch | null {
    if (!this.#closed && this.#waiting + spans <= maxWaiting) return this.#batch();
    this.figures.dropped.queue_full += spans;
    return null;
  }

  /** `spans` were added to the batch. */
  added(spans: number): void {
    this.#waiting += spans;
    if (this.#sending !== null) return;
    if (this.#full) this.#start();
    else this.#cancel ??= this.#options.after(this.#pauseMs, () => this.#start());
  }

  #batch(): SpanBatch {
    const last = this.#batches.at(-1);
    if (last !== undefined && last.count < maxBatch) return last;
    const made = new SpanBatch(this.#options.encoding);
    this.#batches.push(made);
    return made;
  }

  /** Whether to send at once. While the collector fails, a full batch doesn't shorten the pause. */
  get #full(): boolean {
    return this.#waiting >= maxBatch && this.#pauseMs === everyMs;
  }

  #start(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
      if (this.#waiting > 0 && !this.#closed)
        this.#cancel ??= this.#options.after(this.#full ? 0 : this.#pauseMs, () => this.#start());
    });
  }

  /** Returns whether the collector can be sent more. */
  async #send(): Promise<boolean> {
    const batch = this.#batches.shift();
    if (batch === undefined) return true;
    const { count } = batch;
    this.#waiting -= count;
    const outcome = await this.#options.send(batch.body());
    batch.release();
    if (outcome === null || "rejected" in outcome) {
      this.#taken(count, outcome);
      return true;
    }
    this.figures.dropped.not_sent += count;
    this.#pauseMs = outcome.again ? Math.min(this.#pauseMs * 2, maxPauseMs) : everyMs;
    this.#options.trouble(outcome.why);
    return false;
  }

  #taken(count: number, partly: PartlyTaken | null): void {
    const rejected = Math.min(partly?.rejected ?? 0, count);
    this.figures.exported += count - rejected;
    this.figures.dropped.rejected += rejected;
    this.#pauseMs = everyMs;
    if (partly !== null) this.#options.rejected(rejected, partly.why);
  }

  /** Sends what waits, once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#sending;
    while (this.#waiting > 0) {
      if (await this.#send()) continue;
      this.figures.dropped.not_sent += this.#waiting;
      this.#waiting = 0;
      this.#batches = [];
    }
  }
}
