/** Measures how long changes take until every proxy serves them. */
export class RolloutClock {
  /** Time of the first change that no pass has read yet. */
  #changedAtMs: number | null = null;
  /** Time of the first change that is published but not live everywhere. */
  #publishedAtMs: number | null = null;

  changed(nowMs: number): void {
    this.#changedAtMs ??= nowMs;
  }

  /** A pass begins to read. Returns the time of the first change that it will find. */
  reads(nowMs: number): number {
    const sinceMs = this.#changedAtMs ?? nowMs;
    this.#changedAtMs = null;
    return sinceMs;
  }

  published(sinceMs: number): void {
    this.#publishedAtMs ??= sinceMs;
  }

  /** Every proxy serves what is published. Returns how long that took; null if nothing was under way. */
  liveMs(nowMs: number): number | null {
    const sinceMs = this.#publishedAtMs;
    this.#publishedAtMs = null;
    return sinceMs === null ? null : Math.max(nowMs - sinceMs, 0);
  }
}
