/** Measures how long changes take until every proxy serves them. */
export class RolloutClock {
  /** When the first change came that no pass has read yet. */
  #changedAtMs: number | null = null;
  /** When the first change came that is published and not live everywhere. */
  #publishedAtMs: number | null = null;

  changed(nowMs: number): void {
    this.#changedAtMs ??= nowMs;
  }

  /** A pass begins to read. Returns when the first of the changes came that it will find. */
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
