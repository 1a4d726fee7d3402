/** Spans on their way to a collector. Nothing waits for it: what it doesn't take in time is dropped and counted. */
import type { Buffer } from "node:buffer";
import type { Collector } from "../wire/otlp-collector.ts";
import type { OtlpEncoding } from "./otlp.ts";
import { SpanBatch } from "./span-batch.ts";

export interface SpanQueueOptions {
  /** In which the spans are written. */
  encoding: OtlpEncoding;
  send(body: Buffer): ReturnType<Collector["send"]>;
  /** Calls `then` after `ms` milliseconds; returns what cancels it. */
  after(ms: number, then: () => void): () => void;
  trouble(why: string): void;
}

/** Most spans that wait; about 1 KB each. */
const maxWaiting = 8_192;
const maxBatch = 512;
const everyMs = 1_000;
const longestPauseMs = 30_000;

/** In memory and bounded. */
export class SpanQueue {
  readonly #options: SpanQueueOptions;
  readonly figures = { exported: 0, dropped: 0 };
  /** The last one takes more spans. */
  #batches: SpanBatch[] = [];
  /** Spans in all of them. */
  #waiting = 0;
  #sending: Promise<void> | null = null;
  #cancel: (() => void) | null = null;
  #pauseMs = everyMs;
  #closed = false;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  add(spans: readonly string[]): void {
    if (this.#closed || this.#waiting + spans.length > maxWaiting) {
      this.figures.dropped += spans.length;
      return;
    }
    for (const span of spans) this.#batch().add(span);
    this.#waiting += spans.length;
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

  async #send(): Promise<void> {
    const batch = this.#batches.shift();
    if (batch === undefined) return;
    const { count } = batch;
    this.#waiting -= count;
    const failed = await this.#options.send(batch.body());
    batch.release();
    if (failed === null) {
      this.figures.exported += count;
      this.#pauseMs = everyMs;
      return;
    }
    this.figures.dropped += count;
    this.#pauseMs = failed.again ? Math.min(this.#pauseMs * 2, longestPauseMs) : everyMs;
    this.#options.trouble(failed.why);
  }

  /** Sends what waits, once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#sending;
    while (this.#waiting > 0) {
      const before = this.figures.exported;
      await this.#send();
      if (this.figures.exported > before) continue;
      this.figures.dropped += this.#waiting;
      this.#waiting = 0;
      this.#batches = [];
    }
  }
}
