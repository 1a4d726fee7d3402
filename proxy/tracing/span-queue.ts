/** Spans on their way to a collector. Nothing waits for it: what it doesn't take in time is dropped and counted. */
import type { Collector } from "../wire/otlp-collector.ts";

export interface SpanQueueOptions {
  send(spans: readonly string[]): ReturnType<Collector["post"]>;
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
  #waiting: string[] = [];
  #sending: Promise<void> | null = null;
  #cancel: (() => void) | null = null;
  #pauseMs = everyMs;
  #closed = false;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  add(spans: readonly string[]): void {
    if (this.#closed || this.#waiting.length + spans.length > maxWaiting) {
      this.figures.dropped += spans.length;
      return;
    }
    for (const span of spans) this.#waiting.push(span);
    if (this.#sending !== null) return;
    if (this.#full) this.#start();
    else this.#cancel ??= this.#options.after(this.#pauseMs, () => this.#start());
  }

  /** Whether to send at once. While the collector fails, a full batch doesn't shorten the pause. */
  get #full(): boolean {
    return this.#waiting.length >= maxBatch && this.#pauseMs === everyMs;
  }

  #start(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
      if (this.#waiting.length > 0 && !this.#closed)
        this.#cancel ??= this.#options.after(this.#full ? 0 : this.#pauseMs, () => this.#start());
    });
  }

  async #send(): Promise<void> {
    const batch = this.#waiting.splice(0, maxBatch);
    const failed = await this.#options.send(batch);
    if (failed === null) {
      this.figures.exported += batch.length;
      this.#pauseMs = everyMs;
      return;
    }
    this.figures.dropped += batch.length;
    this.#pauseMs = failed.again ? Math.min(this.#pauseMs * 2, longestPauseMs) : everyMs;
    this.#options.trouble(failed.why);
  }

  /** Sends what waits, once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#sending;
    while (this.#waiting.length > 0) {
      const before = this.figures.exported;
      await this.#send();
      if (this.figures.exported > before) continue;
      this.figures.dropped += this.#waiting.length;
      this.#waiting = [];
    }
  }
}
