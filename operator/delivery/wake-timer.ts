/**
 * One timer for all waiters. Each asks to be woken at every check, so separate timers would multiply with every ring.
 */

/** Node treats a longer delay as 0. */
const longestMs = 2_147_483_647;

export class WakeTimer {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | null = null;
  #atMs = 0;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Rings after `ms` milliseconds at the latest. A caller that wants a later wake-up asks again when it has rung. */
  wake(afterMs: number): void {
    const atMs = performance.now() + afterMs;
    if (this.#timer !== null && this.#atMs <= atMs) return;
    this.stop();
    this.#atMs = atMs;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#ring();
      },
      Math.min(longestMs, afterMs + 1),
    ).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
