/** Counts over a sliding window, in a ring of slices: bounded memory, no list of events. Time is an argument. */

const slices = 12;

export class SlidingCount {
  readonly #sliceMs: number;
  readonly #counts = new Float64Array(slices);
  #newest = 0;

  constructor(windowMs: number) {
    this.#sliceMs = windowMs / slices;
  }

  #advance(nowMs: number): number {
    const slice = Math.floor(nowMs / this.#sliceMs);
    const passed = Math.min(slices, slice - this.#newest);
    for (let step = 1; step <= passed; step++) this.#counts[(this.#newest + step) % slices] = 0;
    if (slice > this.#newest + slices) this.#counts.fill(0);
    this.#newest = Math.max(this.#newest, slice);
    return this.#newest % slices;
  }

  add(amount: number, nowMs: number): void {
    const at = this.#advance(nowMs);
    this.#counts[at] = (this.#counts[at] ?? 0) + amount;
  }

  total(nowMs: number): number {
    this.#advance(nowMs);
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }
}

/** The newest latency samples, in a ring, and their median. */
export class LatencySamples {
  readonly #samples: { atMs: number; ms: number }[] = [];
  readonly #most: number;
  #next = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(ms: number, nowMs: number): void {
    this.#samples[this.#next] = { atMs: nowMs, ms };
    this.#next = (this.#next + 1) % this.#most;
  }

  /**
   * Returns the median in milliseconds of the newest `most` samples within `windowMs`; null if there are fewer than
   * `least`.
   */
  median(least: number, nowMs: number, windowMs: number, most: number): number | null {
    const fresh: number[] = [];
    for (let back = 1; back <= this.#samples.length && fresh.length < most; back++) {
      const sample = this.#samples[(this.#next - back + this.#most) % this.#most];
      if (sample === undefined || nowMs - sample.atMs > windowMs) break;
      fresh.push(sample.ms);
    }
    if (fresh.length < least) return null;
    return fresh.sort((a, b) => a - b)[Math.floor(fresh.length / 2)] ?? null;
  }
}
