/**
 * Which of its rights the operator lacks. It asks the API server at startup, at intervals, and after a request was
 * refused with 403, which can also come from a quota or an admission webhook. While rights are missing, it asks for
 * these repeatedly.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { AccessReviews } from "./access-reviews.ts";
import { eachOf } from "./each.ts";
import type { Right } from "./needed-rights.ts";

const asksAtOnce = 4;
const usualTimes = {
  suspectMs: 1_000,
  fullMs: 30_000,
  missingMs: 5_000,
  restMs: 10 * 60_000,
  /** Between two requests of a check that nothing gave rise to, so that an operator at rest asks for little at a time. */
  pauseMs: 1_500,
};

export interface RightsCheckOptions {
  needed: readonly Right[];
  reviews: AccessReviews;
  /** Called when the missing rights have changed. */
  changed(missing: readonly Right[]): void;
  times?: Partial<typeof usualTimes>;
}

export class RightsCheck {
  readonly #options: RightsCheckOptions;
  readonly #times: typeof usualTimes;
  #missing: readonly Right[] = [];
  #suspected = true;
  #fullMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #dueMs = Number.POSITIVE_INFINITY;
  #running: Promise<void> | null = null;
  #stopped = false;
  /** Ends the pause of a check that runs, and its further ones. */
  #hurry = new AbortController();

  constructor(options: RightsCheckOptions) {
    this.#options = options;
    this.#times = { ...usualTimes, ...options.times };
    this.#schedule(0);
  }

  get missing(): readonly Right[] {
    return this.#missing;
  }

  /** A request was refused: a right may be missing. */
  suspect(): void {
    if (this.#suspected) return;
    this.#suspected = true;
    this.#hurry.abort();
    this.#schedule(Math.max(this.#times.suspectMs, this.#fullMs + this.#times.fullMs - performance.now()));
  }

  #schedule(afterMs: number): void {
    const dueMs = performance.now() + afterMs;
    if (this.#stopped || this.#running !== null || this.#dueMs <= dueMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#running = this.#check();
    }, afterMs);
    this.#timer.unref();
  }

  async #check(): Promise<void> {
    const { needed } = this.#options;
    const full =
      performance.now() - this.#fullMs >= this.#times.fullMs && (this.#suspected || this.#missing.length === 0);
    this.#hurry = new AbortController();
    // Nothing is known to have changed.
    const quiet = full && !this.#suspected && this.#missing.length === 0;
    if (!quiet) this.#hurry.abort();
    if (full) {
      this.#suspected = false;
      this.#fullMs = performance.now();
    }
    const lost = await this.#lostOf(full ? needed : this.#missing);
    const missing = needed.filter((right) => lost.has(right));
    const same = missing.length === this.#missing.length && missing.every((right, at) => right === this.#missing[at]);
    this.#missing = missing;
    if (!same) this.#options.changed(missing);
    this.#running = null;
    const { fullMs, missingMs, restMs } = this.#times;
    if (this.#suspected) this.#schedule(Math.max(0, this.#fullMs + fullMs - performance.now()));
    this.#schedule(missing.length > 0 ? missingMs : restMs);
  }

  async #pause(): Promise<void> {
    await sleep(this.#times.pauseMs, undefined, { signal: this.#hurry.signal, ref: false }).catch(() => undefined);
  }

  /** Rights that must be asked for one by one: those of all namespaces, and those that no list of rules proves. */
  async #unproven(rights: readonly Right[]): Promise<Right[]> {
    const unproven: Right[] = [];
    for (const [namespace, some] of Map.groupBy(rights, (right) => right.namespace)) {
      if (namespace === "" || some.length === 1) unproven.push(...some);
      else {
        await this.#pause();
        const granted = await this.#options.reviews.granted(namespace);
        unproven.push(...some.filter((right) => !granted(right)));
      }
    }
    return unproven;
  }

  /** Rights that can't be checked keep their last result. */
  async #lostOf(rights: readonly Right[]): Promise<Set<Right>> {
    const lost = new Set<Right>();
    const before = new Set(this.#missing);
    const ask = async (right: Right): Promise<void> => {
      await this.#pause();
      const allowed = await this.#options.reviews.allowed(right).catch(() => !before.has(right));
      if (allowed === false) lost.add(right);
    };
    const open = await this.#unproven(rights);
    await eachOf(open, this.#hurry.signal.aborted ? asksAtOnce : 1, ask);
    return lost;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#hurry.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
  }
}
