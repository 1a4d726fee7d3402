/**
 * Traffic between this proxy and the store: one call at a time, carrying everything due for all counters, and a regular
 * heartbeat. A call that misses its deadline counts as failed; after several failures in a row, the store isn't called
 * for a while.
 */
import type { Clock } from "../clock.ts";
import type { Holdings } from "./holdings.ts";
import type { Slice } from "./slice.ts";
import type { FleetStore, Growth, StoreOp, StoreReply } from "./store.ts";

/** How often slices are reviewed in the background, in milliseconds. */
const tickMs = 250;
/** How long a due operation waits for others to join it, in milliseconds. */
const soonMs = 15;
const beatMs = 1_000;
/** The heartbeat's time limit, in deadlines. */
const beatPatience = 4;
const breakAfter = 3;
/** How long a failing store isn't called, in milliseconds. */
export const openForMs = 1_000;
/** How many deadlines a call waits for the store when the alternative is to refuse it. */
export const patience = 10;
/**
 * How long after a loss proxies only report windows, so that all have reported before any asks for more, in
 * milliseconds.
 */
const settlingMs = 2_000;
/**
 * The first part of that time, in which windows are still kept as without the store, in milliseconds. The last proxy
 * may notice the recovery a second later; its part then still ends before others ask.
 */
const aloneMs = 500;

export interface ExchangeFigures {
  /** Calls to the store, each with any number of counters. */
  roundTrips: number;
  /** Calls to the store that failed or were late. */
  failures: number;
}

export interface ExchangeOptions {
  deadlineMs: number;
  onTrouble(cause: unknown): void;
}

/** Resolves when one call to the store has ended, whether it succeeded or failed. */
interface Round {
  promise: Promise<void>;
  resolve(): void;
}

function newRound(): Round {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, resolve };
}

export class Exchange {
  readonly #store: FleetStore;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #holdings: Holdings;
  readonly #options: ExchangeOptions;
  readonly #figures: ExchangeFigures;
  #run = "";
  /** The next round to start. */
  #round = newRound();
  /** The call to the store that is waiting for an answer; never rejects. */
  #underWay: Promise<void> | null = null;
  #flushedMs = 0;
  #soon: (() => void) | null = null;
  #failuresInARow = 0;
  #openUntilMs = 0;
  #stopTick: (() => void) | null = null;
  #beatAtMs = 0;
  #closed = false;

  constructor(
    store: FleetStore,
    holder: string,
    clock: Clock,
    holdings: Holdings,
    options: ExchangeOptions,
    figures: ExchangeFigures,
  ) {
    this.#store = store;
    this.#holder = holder;
    this.#clock = clock;
    this.#holdings = holdings;
    this.#options = options;
    this.#figures = figures;
    void this.#beat();
    this.#arm();
  }

  /** Whether the store can't be reached. */
  get broken(): boolean {
    const nowMs = this.#clock.nowMs();
    return (
      nowMs < this.#openUntilMs ||
      (this.#underWay !== null && nowMs - this.#flushedMs > patience * this.#options.deadlineMs)
    );
  }

  /**
   * Asks the store for everything wanted. Returns a promise that resolves with the store's answer, or null if it has
   * answered already.
   */
  ask(): Promise<void> | null {
    const { promise } = this.#round;
    return this.#flush() === null ? null : promise;
  }

  /** Waits for the store's answer, success or failure. Resolves to true if it doesn't come within `deadlines`. */
  isLate(round: Promise<void>, deadlines: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#after(deadlines * this.#options.deadlineMs, () => resolve(true));
      void round.then(() => {
        cancel();
        resolve(false);
      });
    });
  }

  /**
   * Starts a deadline. If this process itself was late, data that has arrived meanwhile is read before the deadline
   * counts as missed.
   */
  #after(ms: number, then: () => void): () => void {
    let over = false;
    const cancel = this.#clock.after(ms, () => setImmediate(() => over || then()));
    return () => {
      over = true;
      cancel();
    };
  }

  /** Tells the store at once that more of the leases is in use, and waits for nothing. */
  noteInUse(grown: readonly Growth[]): void {
    this.#store.noteInUse?.(this.#holder, grown);
  }

  /** Sends what is due soon, when no call waits for it. */
  flushSoon(): void {
    if (this.#soon !== null || this.#closed) return;
    this.#soon = this.#clock.after(soonMs, () => {
      this.#soon = null;
      if (!this.broken) void this.#flush();
    });
  }

  /** Sends everything due to the store. Returns null if it has answered already. */
  #flush(): Promise<void> | null {
    if (this.#underWay !== null) return this.#round.promise;
    const nowMs = this.#clock.nowMs();
    const slices: Slice[] = [];
    const ops: StoreOp[] = [];
    for (const slice of this.#holdings.awake()) {
      if (!slice.due && slice.need <= Math.max(0, slice.available(nowMs))) {
        slice.need = 0;
        slice.least = 0;
        continue;
      }
      ops.push(slice.op(nowMs));
      slice.need = 0;
      slice.least = 0;
      slices.push(slice);
    }
    if (ops.length === 0) return null;
    const round = this.#round;
    this.#round = newRound();
    let answer: ReturnType<FleetStore["sync"]>;
    this.#figures.roundTrips++;
    try {
      answer = this.#store.sync(this.#holder, ops);
    } catch (cause) {
      answer = Promise.reject(cause);
    }
    if (!(answer instanceof Promise)) {
      this.#applied(slices, ops, answer, nowMs);
      round.resolve();
      return null;
    }
    this.#flushedMs = nowMs;
    this.#underWay = this.#settled(answer, slices, ops, nowMs, round);
    return this.#underWay;
  }

  async #settled(
    answer: Promise<(StoreReply | null)[]>,
    slices: readonly Slice[],
    ops: readonly StoreOp[],
    sentMs: number,
    round: Round,
  ): Promise<void> {
    const { deadlineMs } = this.#options;
    const cancel = this.#after(deadlineMs, () =>
      this.#failed(new Error(`the store did not answer within ${deadlineMs} ms`)),
    );
    try {
      const replies = await answer;
      const wasLost = this.broken || this.#openUntilMs > 0;
      this.#applied(slices, ops, replies, sentMs);
      if (wasLost) this.#holdings.settle(this.#clock.nowMs() + aloneMs, this.#clock.nowMs() + settlingMs);
      this.#failuresInARow = 0;
      this.#openUntilMs = 0;
    } catch (cause) {
      for (const [index, slice] of slices.entries()) slice.failed(ops[index] as StoreOp);
      this.#failed(cause);
    } finally {
      cancel();
      this.#underWay = null;
      round.resolve();
      // Calls that arrived meanwhile have been waiting for this one to end.
      if (!this.broken && [...this.#holdings.awake()].some((slice) => slice.need > 0)) void this.#flush();
    }
  }

  #applied(
    slices: readonly Slice[],
    ops: readonly StoreOp[],
    replies: readonly (StoreReply | null)[],
    sentMs: number,
  ): void {
    const nowMs = this.#clock.nowMs();
    for (const [index, slice] of slices.entries()) {
      const reply = replies[index];
      const op = ops[index] as StoreOp;
      if (reply) slice.apply(op, reply, sentMs, nowMs);
      else slice.failed(op);
    }
  }

  #failed(cause: unknown): void {
    this.#figures.failures++;
    this.#failuresInARow++;
    this.#options.onTrouble(cause);
    if (this.#failuresInARow >= breakAfter) this.#openUntilMs = this.#clock.nowMs() + openForMs;
  }

  async #beat(): Promise<void> {
    this.#beatAtMs = this.#clock.nowMs();
    const cancel = this.#after(this.#options.deadlineMs * beatPatience, () =>
      this.#failed(new Error("the store is slow")),
    );
    try {
      const size = this.#store.heartbeat(this.#holder);
      this.#holdings.fleet.size = Math.max(1, size instanceof Promise ? await size : size);
      this.#noteRun(this.#store.run);
    } catch (cause) {
      this.#failed(cause);
    } finally {
      cancel();
    }
  }

  /** Before a restarted store grants any money, it must learn everything that proxies know. */
  #noteRun(run: string): void {
    const before = this.#run;
    this.#run = run;
    if (before === "" || before === run) return;
    this.#holdings.reportAll();
    this.flushSoon();
  }

  #arm(): void {
    if (this.#closed) return;
    this.#stopTick = this.#clock.after(tickMs, () => {
      this.#tick();
      this.#arm();
    });
  }

  /** Background work: reports, refills and gives back. */
  #tick(): void {
    if (this.#clock.nowMs() - this.#beatAtMs >= beatMs) void this.#beat();
    this.#holdings.review();
    if (!this.broken) void this.#flush();
  }

  /** Gives back everything leased, if the store answers. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTick?.();
    this.#soon?.();
    while (this.#underWay !== null) if (await this.isLate(this.#underWay, patience)) return;
    this.#holdings.giveAllBack();
    const flushed = this.broken ? null : this.#flush();
    if (flushed !== null) await this.isLate(flushed, patience);
  }
}
