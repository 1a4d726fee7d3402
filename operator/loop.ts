/**
 * Decides when the operator runs a pass: at once after a change, again until the proxies catch up, and at every resync.
 */

/** Delay before the next pass while proxies are still moving to a revision, and after a failure. */
const firstFollowUpMs = 200;
const maxFollowUpMs = 3_000;
const firstRetryMs = 500;
const maxRetryMs = 15_000;
/** Changes within this time are compiled together. */
const settleMs = 50;

/** Runs passes one at a time. */
export class Loop {
  readonly #run: (resync: boolean) => Promise<boolean>;
  readonly #resyncMs: number;
  readonly #failed: (cause: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  #dueMs = 0;
  #running: Promise<void> | null = null;
  #again = false;
  #stopped = false;
  #retryMs = firstRetryMs;
  #followUpMs = firstFollowUpMs;
  #lastResyncMs = 0;
  #restUntilMs = 0;

  /**
   * `run` makes one pass, over everything if `resync` is set, and returns whether nothing is left to wait for. `failed`
   * receives its exceptions.
   */
  constructor(run: (resync: boolean) => Promise<boolean>, resyncMs: number, failed: (cause: unknown) => void) {
    this.#run = run;
    this.#resyncMs = resyncMs;
    this.#failed = failed;
  }

  /** Call when something changed. */
  trigger(): void {
    this.#followUpMs = firstFollowUpMs;
    this.#schedule(settleMs);
  }

  /** The next pass begins no sooner than in `ms`. */
  rest(ms: number): void {
    this.#restUntilMs = performance.now() + ms;
  }

  #schedule(afterMs: number): void {
    if (this.#stopped) return;
    if (this.#running !== null) {
      this.#again = true;
      return;
    }
    const nowMs = performance.now();
    const dueMs = Math.max(nowMs + afterMs, this.#restUntilMs);
    // Never later than already scheduled: otherwise a steady stream of changes would postpone the pass forever.
    if (this.#timer && this.#dueMs <= dueMs) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#running = this.#pass();
    }, dueMs - nowMs);
  }

  async #pass(): Promise<void> {
    const resync = performance.now() - this.#lastResyncMs >= this.#resyncMs;
    let next = this.#resyncMs;
    try {
      const settled = await this.#run(resync);
      if (resync) this.#lastResyncMs = performance.now();
      if (settled) this.#followUpMs = firstFollowUpMs;
      else {
        next = this.#followUpMs;
        this.#followUpMs = Math.min(maxFollowUpMs, this.#followUpMs * 2);
      }
      this.#retryMs = firstRetryMs;
    } catch (cause) {
      this.#failed(cause);
      next = this.#retryMs;
      this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2);
      this.#lastResyncMs = 0;
    }
    this.#running = null;
    const soon = this.#again;
    this.#again = false;
    this.#schedule(soon ? settleMs : next);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  /** Runs one last pass after the loop was stopped. */
  async last(): Promise<void> {
    await this.#pass();
  }
}
