/**
 * Reservations under any number of limits at once, all or nothing. Most are made from what this proxy has leased, without
 * a round trip; the store is asked in the background before a lease runs out, and by a waiting call only near a limit.
 */
import { LeaseSlice } from "./lease-slice.ts";
import { MemoryStore } from "./memory.ts";
import type { CounterSpec, Reading, Slice, Taken } from "./slice.ts";
import { budgetKey, type FleetStore, type StoreOp, type StoreReply } from "./store.ts";
import { WindowSlice } from "./window-slice.ts";

export interface Claim {
  counter: CounterSpec;
  /** The most that the call may take of it. */
  amount: number;
}

export interface Reservation {
  /** Takes what was really used, one figure a claim, and gives back the rest. Only the first time counts. */
  settle(actual: readonly number[]): void;
}

export interface Refused {
  refused: CounterSpec;
  /** "unavailable": the store can't be asked and the counter may not go on without. */
  why: "limit" | "unavailable";
  /** null: nothing is known of when. */
  retryAfterMs: number | null;
}

export interface QuotaClock {
  nowMs(): number;
  /** Returns what cancels it. */
  after(ms: number, then: () => void): () => void;
}

export interface QuotaOptions {
  /** How long a call waits for the store, in milliseconds. */
  deadlineMs?: number;
  /** How long a call waits for others to settle where only what they have reserved, and may not spend, is in its way. */
  contentionMs?: number;
  onTrouble?(cause: unknown): void;
}

export interface QuotaFigures {
  /** Calls to the store, each with any number of counters. */
  roundTrips: number;
  /** Calls that had to wait for the store. */
  waits: number;
  /** Calls to the store that failed or were late. */
  failures: number;
  /** Amounts settled beyond what was reserved. */
  overruns: number;
}

const tickMs = 250;
const soonMs = 15;
const beatMs = 1_000;
const breakAfter = 3;
const openForMs = 1_000;
const contentionStepMs = 20;
const attempts = 4;
/** More counters than this are not remembered once they are idle. */
const mostSlices = 20_000;
/** Budget counters remembered for having refused a call. */
const mostRefused = 10_000;
/** So many deadlines a call waits where it could only be refused otherwise. */
const patience = 10;

interface Round {
  promise: Promise<void>;
  resolve(): void;
}

function newRound(): Round {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, resolve };
}

const sliceOf = (spec: CounterSpec, nowMs: number): Slice => (spec.kind === "window" ? new WindowSlice(spec, nowMs) : new LeaseSlice(spec, nowMs));

const refusedBy = (claim: Claim, slice: Slice | undefined): Refused => ({
  refused: claim.counter,
  why: slice?.recovering ? "unavailable" : "limit",
  retryAfterMs: slice?.retryMs ?? null,
});

export class Quotas {
  readonly #store: FleetStore;
  readonly #holder: string;
  readonly #clock: QuotaClock;
  readonly #deadlineMs: number;
  readonly #contentionMs: number;
  readonly #trouble: (cause: unknown) => void;
  readonly #slices = new Map<string, Slice>();
  readonly #fallback: MemoryStore;
  readonly #refused = new Set<string>();
  readonly #asleep = new Map<string, Slice>();
  #lives = 0;
  #run = "";
  #fleetSize = 1;
  #round = newRound();
  #flushing = false;
  #flushedMs = 0;
  #soon: (() => void) | null = null;
  #failuresInARow = 0;
  #openUntilMs = 0;
  #stopTick: (() => void) | null = null;
  #beatAtMs = 0;
  #closed = false;
  readonly figures: QuotaFigures = { roundTrips: 0, waits: 0, failures: 0, overruns: 0 };

  constructor(store: FleetStore, holder: string, clock: QuotaClock, options: QuotaOptions = {}) {
    this.#store = store;
    this.#holder = holder;
    this.#clock = clock;
    this.#deadlineMs = options.deadlineMs ?? 50;
    this.#contentionMs = options.contentionMs ?? 1_000;
    this.#trouble = options.onTrouble ?? (() => undefined);
    this.#fallback = new MemoryStore(() => clock.nowMs());
    this.#fallback.heartbeat(holder);
    void this.#beat();
    this.#arm();
  }

  /** Proxies alive. */
  get fleetSize(): number {
    return this.#fleetSize;
  }

  /** The store can't be reached; limits are kept by each proxy for itself. */
  get broken(): boolean {
    const nowMs = this.#clock.nowMs();
    return nowMs < this.#openUntilMs || (this.#flushing && nowMs - this.#flushedMs > patience * this.#deadlineMs);
  }

  #slice(spec: CounterSpec): Slice {
    let slice = this.#slices.get(spec.key);
    if (slice === undefined) this.#slices.set(spec.key, (slice = this.#woken(spec)));
    else slice.spec = spec;
    return slice;
  }

  #woken(spec: CounterSpec): Slice {
    const known = this.#asleep.get(spec.key);
    if (known !== undefined) {
      this.#asleep.delete(spec.key);
      known.spec = spec;
      known.lastUseMs = this.#clock.nowMs();
      return known;
    }
    const slice = sliceOf(spec, this.#clock.nowMs());
    slice.life = ++this.#lives;
    return slice;
  }

  /** Idle for long: no longer looked at, but kept, so that the store keeps one record of it and not one for each time. */
  #putToSleep(key: string, slice: Slice): void {
    this.#slices.delete(key);
    if (slice.spec.kind !== "period") return;
    if (this.#asleep.size >= mostSlices) this.#asleep.delete(this.#asleep.keys().next().value ?? "");
    this.#asleep.set(key, slice);
  }

  reading(spec: CounterSpec): Reading {
    return this.#slice(spec).reading(this.#clock.nowMs());
  }

  /** Spent under a period's counter in the whole fleet, as far as is known here. */
  spent(spec: CounterSpec): number {
    const slice = this.#slice(spec);
    return slice instanceof LeaseSlice ? Math.max(spec.seed, slice.known()) : 0;
  }

  /** A call was refused for what is left of this budget counter. */
  noteRefused(key: string): void {
    if (this.#refused.size >= mostRefused) this.#refused.delete(this.#refused.values().next().value ?? "");
    this.#refused.add(key);
  }

  /** Subjects of a budget's period for which a call was refused here. */
  refusedOf(id: string, periodStartMs: number): string[] {
    const prefix = budgetKey(id, periodStartMs, "");
    return [...this.#refused].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  }

  /** All of the claims or none. At once where what is leased suffices, or where the store is in this process. */
  reserve(claims: readonly Claim[]): Reservation | Refused | Promise<Reservation | Refused> {
    const slices = claims.map((claim) => this.#slice(claim.counter));
    const taken = this.#takeAll(claims, slices);
    if (taken !== null) return taken;
    const refused = this.#believed(claims, slices);
    if (refused !== null && !this.#worthWaiting(claims, slices)) return refused;
    if (this.broken) return this.#withoutStore(claims, slices);
    const round = this.#askAll(claims, slices);
    const after = this.#takeAll(claims, slices);
    if (after !== null) return after;
    if (round === null && !this.#worthWaiting(claims, slices)) return this.#why(claims, slices);
    this.figures.waits++;
    return this.#wait(claims, slices, round);
  }

  #takeAll(claims: readonly Claim[], slices: readonly Slice[]): Reservation | null {
    const nowMs = this.#clock.nowMs();
    for (const [at, slice] of slices.entries()) if (!slice.canTake(claims[at]?.amount ?? 0, nowMs)) return null;
    return this.#take(claims, slices, nowMs);
  }

  /** `beyond`: which of them are taken without a lease. */
  #take(claims: readonly Claim[], slices: readonly Slice[], nowMs: number, beyond: readonly boolean[] = []): Reservation {
    const taken: Taken[] = slices.map((slice, at) => {
      const amount = claims[at]?.amount ?? 0;
      return beyond[at] === true ? slice.takeBeyond(amount, nowMs) : slice.take(amount, nowMs);
    });
    if (slices.some((slice) => slice.due)) this.#flushSoon();
    let settled = false;
    return {
      settle: (actual) => {
        if (settled) return;
        settled = true;
        for (const [at, slice] of slices.entries()) this.#settle(slice, taken[at], actual[at]);
      },
    };
  }

  #settle(slice: Slice, taken: Taken | undefined, actual: number | undefined): void {
    if (taken === undefined) return;
    const used = actual ?? taken.amount;
    if (used > taken.amount && slice.spec.limit !== null) this.figures.overruns++;
    slice.settle(taken, used);
    if (slice.due) this.#flushSoon();
  }

  #believed(claims: readonly Claim[], slices: readonly Slice[]): Refused | null {
    const nowMs = this.#clock.nowMs();
    for (const [at, slice] of slices.entries()) {
      const claim = claims[at];
      if (claim !== undefined && slice.refuses(claim.amount, nowMs)) return refusedBy(claim, slice);
    }
    return null;
  }

  /** Every counter that is short is so only for what others hold in reserve. */
  #worthWaiting(claims: readonly Claim[], slices: readonly Slice[]): boolean {
    const nowMs = this.#clock.nowMs();
    return slices.every((slice, at) => {
      const amount = claims[at]?.amount ?? 0;
      return slice.canTake(amount, nowMs) || slice.contended(amount);
    });
  }

  #why(claims: readonly Claim[], slices: readonly Slice[]): Refused {
    const nowMs = this.#clock.nowMs();
    const at = slices.findIndex((slice, index) => !slice.canTake(claims[index]?.amount ?? 0, nowMs));
    const claim = claims[Math.max(0, at)] as Claim;
    return refusedBy(claim, slices[Math.max(0, at)]);
  }

  #ask(slice: Slice | undefined, amount: number): void {
    if (slice === undefined || slice.spec.limit === null) return;
    slice.lastUseMs = this.#clock.nowMs();
    // Also of what seems to suffice: others wait for it as well.
    slice.least = slice.need === 0 ? amount : Math.min(slice.least, amount);
    slice.need += amount;
  }

  /** Asks for what is short. What resolves with the store's answer; null: it has answered already. */
  #askAll(claims: readonly Claim[], slices: readonly Slice[]): Promise<void> | null {
    for (const [at, claim] of claims.entries()) this.#ask(slices[at], claim.amount);
    const { promise } = this.#round;
    return this.#flush() === null ? null : promise;
  }

  async #wait(claims: readonly Claim[], slices: readonly Slice[], first: Promise<void> | null): Promise<Reservation | Refused> {
    const endMs = this.#clock.nowMs() + this.#contentionMs;
    let round = first;
    for (let attempt = 1; ; attempt++) {
      const end = await this.#answered(claims, slices, round);
      if (end !== null) return end;
      const tried = attempt >= attempts && this.#clock.nowMs() >= endMs;
      const no = this.#believed(claims, slices) ?? (tried ? this.#why(claims, slices) : null);
      const freed = no === null ? null : await this.#unlessFreed(no, claims, slices, endMs);
      if (freed !== null) return freed;
      round = this.#askAll(claims, slices);
    }
  }

  /** What the store's answer, or its silence, comes to; null: what it granted is gone already, or was too little. */
  async #answered(claims: readonly Claim[], slices: readonly Slice[], round: Promise<void> | null): Promise<Reservation | Refused | null> {
    // Answered at once, and not enough: others are let go on before it is asked again.
    if (round === null) await new Promise<void>((resolve) => this.#clock.after(contentionStepMs, resolve));
    const late = round !== null && (await this.#isLate(round, this.#canDoWithout(claims, slices) ? 1 : patience));
    return this.#takeAll(claims, slices) ?? (late || this.broken ? this.#withoutStore(claims, slices) : null);
  }

  /** The refusal, or what came of waiting for others to settle; null: ask again. */
  async #unlessFreed(no: Refused, claims: readonly Claim[], slices: readonly Slice[], endMs: number): Promise<Reservation | Refused | null> {
    if (!this.#worthWaiting(claims, slices) || this.#clock.nowMs() >= endMs) return no;
    await new Promise<void>((resolve) => this.#clock.after(contentionStepMs, resolve));
    const freed = this.#takeAll(claims, slices);
    return freed ?? (this.broken ? this.#withoutStore(claims, slices) : null);
  }

  /** A deadline. Where this process itself is late, what has arrived meanwhile is read before it is called missing. */
  #after(ms: number, then: () => void): () => void {
    let over = false;
    const cancel = this.#clock.after(ms, () => setImmediate(() => over || then()));
    return () => {
      over = true;
      cancel();
    };
  }

  #canDoWithout(claims: readonly Claim[], slices: readonly Slice[]): boolean {
    const nowMs = this.#clock.nowMs();
    return slices.every((slice, at) => slice.spec.onStateLoss === "allow" || slice.canTake(claims[at]?.amount ?? 0, nowMs));
  }

  /** Waits for the store's answer; true where it doesn't come in time. */
  #isLate(round: Promise<void>, times: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#after(times * this.#deadlineMs, () => resolve(true));
      void round.then(() => {
        cancel();
        resolve(false);
      });
    });
  }

  /** What is leased may be spent; limits that allow it are kept locally, each proxy its part. */
  #withoutStore(claims: readonly Claim[], slices: readonly Slice[]): Reservation | Refused {
    const nowMs = this.#clock.nowMs();
    const short = slices.map((slice, at) => !slice.canTake(claims[at]?.amount ?? 0, nowMs));
    for (const [at, slice] of slices.entries()) {
      const claim = claims[at];
      if (claim === undefined || !short[at] || slice.spec.onStateLoss === "allow") continue;
      return { refused: claim.counter, why: "unavailable", retryAfterMs: openForMs };
    }
    for (const [at, slice] of slices.entries()) {
      const claim = claims[at];
      if (claim === undefined || !short[at] || slice.spec.kind === "period") continue;
      const refused = this.#askFallback(claim, slice);
      if (refused !== null) return refused;
    }
    return this.#take(claims, slices, nowMs, short);
  }

  /** null: there is room in this proxy's part. Nothing is leased; what is taken becomes a debt once the store is back. */
  #askFallback(claim: Claim, slice: Slice): Refused | null {
    const limit = Math.max(1, Math.floor((slice.spec.limit ?? 0) / this.#fleetSize));
    if (slice instanceof LeaseSlice) return slice.reserved + claim.amount <= limit ? null : { refused: claim.counter, why: "limit", retryAfterMs: openForMs };
    const op: StoreOp = {
      kind: "window",
      key: slice.spec.key,
      limit,
      windowMs: slice.spec.windowMs,
      need: claim.amount,
      least: claim.amount,
      want: 0,
      debt: 0,
      returns: [],
    };
    const [reply] = this.#fallback.sync(this.#holder, [op]);
    if (reply?.kind !== "window" || reply.granted >= claim.amount) return null;
    return { refused: claim.counter, why: "limit", retryAfterMs: reply.retryMs };
  }

  #flushSoon(): void {
    if (this.#soon !== null || this.#closed) return;
    this.#soon = this.#clock.after(soonMs, () => {
      this.#soon = null;
      if (!this.broken) void this.#flush();
    });
  }

  /** Tells and asks the store all that is due. null: it has answered already. */
  #flush(): Promise<void> | null {
    if (this.#flushing) return this.#round.promise;
    const nowMs = this.#clock.nowMs();
    const slices: Slice[] = [];
    const ops: StoreOp[] = [];
    for (const slice of this.#slices.values()) {
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
    this.figures.roundTrips++;
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
    this.#flushing = true;
    this.#flushedMs = nowMs;
    return this.#settled(answer, slices, ops, nowMs, round);
  }

  async #settled(answer: Promise<(StoreReply | null)[]>, slices: readonly Slice[], ops: readonly StoreOp[], sentMs: number, round: Round): Promise<void> {
    const cancel = this.#after(this.#deadlineMs, () => this.#failed(new Error(`the store did not answer within ${this.#deadlineMs} ms`)));
    try {
      this.#applied(slices, ops, await answer, sentMs);
      this.#failuresInARow = 0;
      this.#openUntilMs = 0;
    } catch (cause) {
      for (const [at, slice] of slices.entries()) slice.failed(ops[at] as StoreOp);
      this.#failed(cause);
    } finally {
      cancel();
      this.#flushing = false;
      round.resolve();
      // Calls that came meanwhile have been waiting for this.
      if (!this.broken && [...this.#slices.values()].some((slice) => slice.need > 0)) void this.#flush();
    }
  }

  #applied(slices: readonly Slice[], ops: readonly StoreOp[], replies: readonly (StoreReply | null)[], sentMs: number): void {
    const nowMs = this.#clock.nowMs();
    for (const [at, slice] of slices.entries()) {
      const reply = replies[at];
      const op = ops[at] as StoreOp;
      if (reply) slice.apply(op, reply, sentMs, nowMs);
      else slice.failed(op);
    }
  }

  #failed(cause: unknown): void {
    this.figures.failures++;
    this.#failuresInARow++;
    this.#trouble(cause);
    if (this.#failuresInARow >= breakAfter) this.#openUntilMs = this.#clock.nowMs() + openForMs;
  }

  /** A store that began anew must hear of all that is known of money before it grants any: also of what nobody asks for. */
  #noteRun(run: string): void {
    const before = this.#run;
    this.#run = run;
    if (before === "" || before === run) return;
    for (const [key, slice] of this.#asleep) this.#slices.set(key, slice);
    this.#asleep.clear();
    for (const slice of this.#slices.values()) if (slice.spec.kind === "period") slice.due = true;
    this.#flushSoon();
  }

  async #beat(): Promise<void> {
    this.#beatAtMs = this.#clock.nowMs();
    const cancel = this.#after(this.#deadlineMs * 4, () => this.#failed(new Error("the store is slow")));
    try {
      const size = this.#store.heartbeat(this.#holder);
      this.#fleetSize = Math.max(1, size instanceof Promise ? await size : size);
      this.#noteRun(this.#store.run);
    } catch (cause) {
      this.#failed(cause);
    } finally {
      cancel();
    }
  }

  #arm(): void {
    if (this.#closed) return;
    this.#stopTick = this.#clock.after(tickMs, () => {
      this.tick();
      this.#arm();
    });
  }

  /** The background's work: reports, refills, gives back. */
  tick(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#beatAtMs >= beatMs) void this.#beat();
    const crowded = this.#slices.size > mostSlices;
    for (const [key, slice] of this.#slices) {
      slice.review(nowMs);
      if (!slice.due && slice.done(nowMs, crowded)) this.#putToSleep(key, slice);
    }
    if (!this.broken) void this.#flush();
  }

  /** Gives back all that is leased. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTick?.();
    this.#soon?.();
    await (this.#flushing ? this.#round.promise.catch(() => undefined) : undefined);
    for (const slice of this.#slices.values()) {
      slice.tight = true;
      slice.giveBack();
    }
    const flushed = this.broken ? null : this.#flush();
    if (flushed !== null) await flushed;
  }
}
