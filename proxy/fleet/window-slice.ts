/**
 * A slice of a number of units in any span of time. Units that are not used soon go back, or the span would be overdrawn
 * later.
 */
import { type CounterSpec, type Reading, Slice, type Taken } from "./slice.ts";
import { recoveryMs, type StoreOp, type StoreReply, type WindowOp, type WindowReply, windowLifeMs } from "./store.ts";
import { Takings } from "./takings.ts";

interface Lot {
  slice: number;
  amount: number;
  untilMs: number;
}

const staleMs = 200;

/** What a proxy without the store knows of the fleet. */
export interface FleetView {
  /** Proxies alive when the store was last heard. */
  size: number;
  /**
   * The store is back, and others may not have told yet what they took meanwhile: until the first moment windows are
   * kept as without it, and until the second nothing more is taken, so that whoever asks first knows of all.
   */
  aloneUntilMs: number;
  settlingUntilMs: number;
}

export class WindowSlice extends Slice {
  readonly #fleet: FleetView;
  readonly #takings: Takings;
  #epoch = "";
  #recoveringUntilMs = 0;
  /** This proxy's part of what was left when the store was last heard, less what it took without the store since. */
  #seen: { part: number; atMs: number } | null = null;
  readonly #lots: Lot[] = [];
  readonly #returns = new Map<number, number>();
  #debt = 0;
  #underWay = 0;
  #lastMs = 0;
  #remaining: number;
  #resetAtMs = 0;

  constructor(spec: CounterSpec, nowMs: number, fleet: FleetView) {
    super(spec, nowMs);
    this.#fleet = fleet;
    this.#takings = new Takings(spec.windowMs);
    this.#remaining = spec.limit ?? 0;
  }

  available(nowMs: number): number {
    let sum = 0;
    for (let lot = this.#lots[0]; lot !== undefined && lot.untilMs <= nowMs; lot = this.#lots[0]) {
      this.#giveBackLot(lot.slice, lot.amount);
      this.#lots.shift();
    }
    for (const lot of this.#lots) sum += lot.amount;
    return sum;
  }

  /** What will still be of use in a moment. */
  #fresh(nowMs: number): number {
    let sum = 0;
    for (const lot of this.#lots) if (lot.untilMs - nowMs > windowLifeMs(this.spec.windowMs) / 4) sum += lot.amount;
    return sum;
  }

  #giveBackLot(slice: number, amount: number): void {
    if (amount > 0) this.#returns.set(slice, (this.#returns.get(slice) ?? 0) + amount);
  }

  /** Kept as without a store, by this proxy's part of the limit. */
  #isAlone(nowMs: number): boolean {
    return this.spec.onStateLoss === "allow" && nowMs < Math.max(this.#fleet.aloneUntilMs, this.#recoveringUntilMs);
  }

  #isSettling(nowMs: number): boolean {
    return this.spec.onStateLoss === "allow" && nowMs < Math.max(this.#fleet.settlingUntilMs, this.#recoveringUntilMs);
  }

  override canTake(amount: number, nowMs: number): boolean {
    return this.available(nowMs) >= amount || (this.#isAlone(nowMs) && this.hasRoomAlone(amount, nowMs));
  }

  override refuses(amount: number, nowMs: number): boolean {
    return (this.#isSettling(nowMs) && !this.canTake(amount, nowMs)) || super.refuses(amount, nowMs);
  }

  /**
   * Room in this proxy's part of the limit, whatever the store does: its part counts what the store granted it as well,
   * and of what was left when the store was last heard, others may take their parts.
   */
  hasRoomAlone(amount: number, nowMs: number): boolean {
    const { size } = this.#fleet;
    if (this.#takings.total(nowMs) + amount > Math.floor((this.spec.limit ?? 0) / size)) return false;
    if (!this.#isSeen(nowMs)) return true;
    return amount <= (this.#seen?.part ?? 0);
  }

  take(amount: number, nowMs: number): Taken {
    if (this.available(nowMs) < amount && this.#isAlone(nowMs)) return this.takeBeyond(amount, nowMs);
    this.note(amount, nowMs);
    this.#takings.add(amount, nowMs);
    this.#lastMs = nowMs;
    this.#underWay++;
    const lots: Taken["lots"] = [];
    let missing = amount;
    while (missing > 0) {
      const lot = this.#lots[0];
      if (lot === undefined) break;
      const part = Math.min(missing, lot.amount);
      lots.push([lot.slice, part]);
      lot.amount -= part;
      missing -= part;
      if (lot.amount === 0) this.#lots.shift();
    }
    this.#debt += missing;
    if (!this.tight && this.#fresh(nowMs) < Math.max(amount, this.low)) this.due = true;
    return { amount, lots };
  }

  settle(taken: Taken, actual: number): void {
    this.#underWay--;
    let back = taken.amount - actual;
    this.#takings.add(-back, this.#lastMs);
    if (back < 0) this.#debt -= back;
    if (back > 0 && taken.lots.length === 0) this.#debt = Math.max(0, this.#debt - back);
    for (const [slice, amount] of taken.lots) {
      if (back <= 0) break;
      const part = Math.min(back, amount);
      this.#giveBackLot(slice, part);
      back -= part;
    }
  }

  /** Told as a debt when the store is back. */
  override takeBeyond(amount: number, nowMs: number): Taken {
    this.note(amount, nowMs);
    this.#takings.add(amount, nowMs);
    this.#lastMs = nowMs;
    if (this.#seen !== null) this.#seen.part -= amount;
    this.#debt += amount;
    this.#underWay++;
    this.due = true;
    return { amount, lots: [] };
  }

  op(nowMs: number): WindowOp {
    this.due = false;
    const available = this.available(nowMs);
    const alone = this.#isSettling(nowMs);
    const need = alone ? 0 : Math.max(0, this.need - available);
    const want = alone || this.tight || this.idle(nowMs) ? 0 : Math.max(0, this.target(nowMs) - this.#fresh(nowMs));
    const op: WindowOp = {
      kind: "window",
      key: this.spec.key,
      limit: this.spec.limit ?? Number.MAX_SAFE_INTEGER,
      windowMs: this.spec.windowMs,
      need,
      least: Math.min(need, Math.max(1, this.least - available)),
      want,
      debt: this.#debt,
      returns: [...this.#returns],
      // A counter that nobody asked about for so long is gone by itself.
      epoch: this.#isSeen(nowMs) ? this.#epoch : "",
      taken: this.#takings.total(nowMs),
    };
    this.#returns.clear();
    this.#debt = 0;
    return op;
  }

  apply(op: StoreOp, reply: StoreReply, sentMs: number, nowMs: number): void {
    if (reply.kind !== "window" || op.kind !== "window") return;
    if (reply.granted > 0)
      this.#lots.push({
        slice: reply.slice,
        amount: reply.granted,
        untilMs: sentMs + windowLifeMs(this.spec.windowMs),
      });
    this.#look(reply, sentMs, nowMs);
    this.#remaining = reply.remaining;
    this.#resetAtMs = nowMs + reply.resetMs;
    this.retryMs = reply.retryMs;
    this.tight = reply.tight;
    this.refusal(reply.granted, op.need, reply.remaining, nowMs);
  }

  /** While proxies have not told all that they took, the store knows less than this one may have seen before. */
  #look({ recovering = false, epoch = "", remaining }: WindowReply, sentMs: number, nowMs: number): void {
    const part = Math.floor(remaining / this.#fleet.size);
    const before = (recovering || this.#isSettling(nowMs)) && this.#isSeen(nowMs) ? (this.#seen?.part ?? part) : part;
    this.#seen = { part: Math.min(before, part), atMs: sentMs };
    // Over before the store grants again.
    if (recovering && !this.recovering) this.#recoveringUntilMs = sentMs + recoveryMs / 2;
    this.recovering = recovering;
    this.#epoch = epoch;
  }

  /** The store was heard within the window's span, so what it said still says something. */
  #isSeen(nowMs: number): boolean {
    const { windowMs } = this.spec;
    return this.#seen !== null && nowMs - this.#seen.atMs <= windowMs + windowLifeMs(windowMs);
  }

  /** What was given back is lost to the window, which heals as it moves on. */
  failed(op: StoreOp): void {
    if (op.kind === "window") this.#debt += op.debt;
  }

  reading(nowMs: number): Reading {
    const limit = this.spec.limit ?? 0;
    return {
      limit,
      remaining: Math.min(limit, this.#remaining + this.available(nowMs)),
      resetMs: Math.max(0, this.#resetAtMs - nowMs),
    };
  }

  review(nowMs: number): void {
    const low = !this.tight && !this.idle(nowMs) && this.available(nowMs) < this.target(nowMs) / 2;
    // What others took since then lowers what this proxy may take if the store is lost.
    const stale =
      this.spec.onStateLoss === "allow" &&
      !this.idle(nowMs) &&
      this.#remaining > 0 &&
      nowMs - (this.#seen?.atMs ?? 0) >= staleMs;
    if (stale || low || this.#returns.size > 0 || this.#debt > 0 || (this.idle(nowMs) && this.available(nowMs) > 0))
      this.due = true;
    if (this.idle(nowMs)) this.giveBack();
  }

  done(nowMs: number, crowded: boolean): boolean {
    return (
      // Should the store be lost, somebody has to know what was taken.
      (crowded || this.#takings.total(nowMs) === 0) &&
      this.#underWay === 0 &&
      this.idle(nowMs) &&
      this.available(nowMs) === 0 &&
      this.#returns.size === 0 &&
      this.#debt === 0 &&
      this.need === 0
    );
  }

  giveBack(): void {
    for (const lot of this.#lots.splice(0)) this.#giveBackLot(lot.slice, lot.amount);
    if (this.#returns.size > 0) this.due = true;
  }
}
