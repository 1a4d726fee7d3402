/** Counts over a sliding time, in a ring of slices: bounded memory, no list of events. Time is an argument. */

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

/** The newest samples of a latency, and their middle. */
export class LatencySamples {
  readonly #ms: Float64Array;
  readonly #atMs: Float64Array;
  readonly #windowMs: number;
  #count = 0;
  #next = 0;

  constructor(windowMs: number, most: number) {
    this.#windowMs = windowMs;
    this.#ms = new Float64Array(most);
    this.#atMs = new Float64Array(most);
  }

  add(ms: number, nowMs: number): void {
    this.#ms[this.#next] = ms;
    this.#atMs[this.#next] = nowMs;
    this.#next = (this.#next + 1) % this.#ms.length;
    this.#count = Math.min(this.#count + 1, this.#ms.length);
  }

  /** The median in milliseconds; null with fewer than `least` samples in the window. */
  median(least: number, nowMs: number): number | null {
    const fresh = this.#ms.subarray(0, this.#count).filter((_, at) => nowMs - (this.#atMs[at] ?? 0) <= this.#windowMs);
    if (fresh.length < least) return null;
    return fresh.sort()[Math.floor(fresh.length / 2)] ?? null;
  }
}
