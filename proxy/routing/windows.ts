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
    const slot = this.#advance(nowMs);
    this.#counts[slot] = (this.#counts[slot] ?? 0) + amount;
  }

  total(nowMs: number): number {
    this.#advance(nowMs);
    let sum = 0;
    for (const count of this.#counts) sum += count;
    return sum;
  }
}

/** The samples that one policy counts, sorted, so that its median is a look-up. */
class SortedView {
  readonly windowMs: number;
  readonly most: number;
  readonly #sorted: number[] = [];

  constructor(windowMs: number, most: number) {
    this.windowMs = windowMs;
    this.most = most;
  }

  get size(): number {
    return this.#sorted.length;
  }

  get middle(): number | null {
    return this.#sorted[Math.floor(this.#sorted.length / 2)] ?? null;
  }

  /** Index of the first sample that is not smaller. */
  #placeOf(ms: number): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? 0) < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(ms: number): void {
    this.#sorted.splice(this.#placeOf(ms), 0, ms);
  }

  remove(ms: number): void {
    this.#sorted.splice(this.#placeOf(ms), 1);
  }
}

/** Most different windows of policies that share a target for which medians are kept. */
const maxViews = 8;

/**
 * The newest latency samples, in a ring, and their median. The median is updated with each sample, since every call
 * needs that of every target.
 */
export class LatencySamples {
  readonly #samples: { atMs: number; ms: number }[] = [];
  readonly #most: number;
  readonly #views: SortedView[] = [];
  #next = 0;

  constructor(most: number) {
    this.#most = most;
  }

  #back(steps: number): { atMs: number; ms: number } | undefined {
    return steps > this.#samples.length ? undefined : this.#samples[(this.#next - steps + this.#most) % this.#most];
  }

  add(ms: number, nowMs: number): void {
    for (const view of this.#views) {
      const oldest = view.size === view.most ? this.#back(view.most) : undefined;
      if (oldest !== undefined) view.remove(oldest.ms);
      view.add(ms);
    }
    this.#samples[this.#next] = { atMs: nowMs, ms };
    this.#next = (this.#next + 1) % this.#most;
  }

  #view(windowMs: number, most: number): SortedView {
    const existing = this.#views.find((view) => view.windowMs === windowMs && view.most === most);
    if (existing !== undefined) return existing;
    const made = new SortedView(windowMs, most);
    for (let back = Math.min(most, this.#samples.length); back > 0; back--) made.add(this.#back(back)?.ms ?? 0);
    if (this.#views.length === maxViews) this.#views.shift();
    this.#views.push(made);
    return made;
  }

  /**
   * Returns the median in milliseconds of the newest `most` samples within `windowMs`; null if there are fewer than
   * `least`.
   */
  median(least: number, nowMs: number, windowMs: number, most: number): number | null {
    const view = this.#view(windowMs, Math.min(most, this.#most));
    for (let oldest = this.#back(view.size); view.size > 0; oldest = this.#back(view.size)) {
      if (oldest !== undefined && nowMs - oldest.atMs <= windowMs) break;
      view.remove(oldest?.ms ?? 0);
    }
    return view.size < least ? null : view.middle;
  }
}
