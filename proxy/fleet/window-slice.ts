/**
 * A slice of a sliding window's units. Units that aren't used soon go back; otherwise the window could be overdrawn
 * later.
 */
import { type CounterSpec, type Lots, noLots, type Reading, Slice } from "./slice.ts";
import { recoveryMs, type StoreOp, type StoreReply, type WindowOp, type WindowReply, windowLifeMs } from "./store.ts";
import { Takings } from "./takings.ts";

interface Lot {
  slice: number;
  amount: number;
  untilMs: number;
}

const staleMs = 200;

/** What a proxy without the store knows about the fleet. */
export interface FleetView {
  /** Proxies alive at the last heartbeat. */
  size: number;
  /**
   * After the store returns, others may not have reported yet what they took meanwhile. Until `aloneUntilMs`, windows
   * are kept as without the store; until `settlingUntilMs`, nothing more is requested, so that the first to ask finds
   * everything reported.
   */
  aloneUntilMs: number;
  settlingUntilMs: number;
}

export class WindowSlice extends Slice {
  readonly #fleet: FleetView;
  readonly #takings: Takings;
  #epoch = "";
  #recoveringUntilMs = 0;
  /** This proxy's part of what was left at the store's last answer, less what it has taken without the store since. */
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

  /** Units that will still be usable in a moment. */
  #fresh(nowMs: number): number {
    let sum = 0;
    for (const lot of this.#lots) if (lot.untilMs - nowMs > windowLifeMs(this.spec.windowMs) / 4) sum += lot.amount;
    return sum;
  }

  #giveBackLot(slice: number, amount: number): void {
    if (amount > 0) this.#returns.set(slice, (this.#returns.get(slice) ?? 0) + amount);
  }

  /** Whether this window is kept without the store, within this proxy's part of the limit. */
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
   * Whether `amount` fits this proxy's part of the limit, whatever the store does. What the store granted counts
   * towards the part, and the others may take their parts of what was left at the store's last answer.
   */
  hasRoomAlone(amount: number, nowMs: number): boolean {
    const { size } = this.#fleet;
    if (this.#takings.total(nowMs) + amount > Math.floor((this.spec.limit ?? 0) / size)) return false;
    if (!this.#isSeen(nowMs)) return true;
    return amount <= (this.#seen?.part ?? 0);
  }

  take(amount: number, nowMs: number): Lots {
    if (this.available(nowMs) < amount && this.#isAlone(nowMs)) return this.takeBeyond(amount, nowMs);
    this.note(amount, nowMs);
    this.#takings.add(amount, nowMs);
    this.#lastMs = nowMs;
    this.#underWay++;
    let lots: number[] | null = null;
    let missing = amount;
    while (missing > 0) {
      const lot = this.#lots[0];
      if (lot === undefined) break;
      const part = Math.min(missing, lot.amount);
      if (lots === null) lots = [lot.slice, part];
      else lots.push(lot.slice, part);
      lot.amount -= part;
      missing -= part;
      if (lot.amount === 0) this.#lots.shift();
    }
    this.#debt += missing;
    if (!this.tight && this.#fresh(nowMs) < Math.max(amount, this.low)) this.due = true;
    return lots ?? noLots;
  }

  settle(amount: number, lots: Lots, actual: number): void {
    this.#underWay--;
    let back = amount - actual;
    this.#takings.add(-back, this.#lastMs);
    if (back < 0) this.#debt -= back;
    if (back > 0 && lots.length === 0) this.#debt = Math.max(0, this.#debt - back);
    for (let index = 0; index < lots.length && back > 0; index += 2) {
      const part = Math.min(back, lots[index + 1] ?? 0);
      this.#giveBackLot(lots[index] ?? 0, part);
      back -= part;
    }
  }

  /** Reported as a debt when the store is back. */
  override takeBeyond(amount: number, nowMs: number): Lots {
    this.note(amount, nowMs);
    this.#takings.add(amount, nowMs);
    this.#lastMs = nowMs;
    if (this.#seen !== null) this.#seen.part -= amount;
    this.#debt += amount;
    this.#underWay++;
    this.due = true;
    return noLots;
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
      // After this long without contact, the store has expired the counter, which is no loss of memory.
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

  /** Until all proxies have reported, the store's answer may miss usage that this proxy has already seen. */
  #look({ recovering = false, epoch = "", remaining }: WindowReply, sentMs: number, nowMs: number): void {
    const part = Math.floor(remaining / this.#fleet.size);
    const before = (recovering || this.#isSettling(nowMs)) && this.#isSeen(nowMs) ? (this.#seen?.part ?? part) : part;
    this.#seen = { part: Math.min(before, part), atMs: sentMs };
    // Ends before the store grants again.
    if (recovering && !this.recovering) this.#recoveringUntilMs = sentMs + recoveryMs / 2;
    this.recovering = recovering;
    this.#epoch = epoch;
  }

  /** Whether the store's last answer lies within the window, and so still says something about it. */
  #isSeen(nowMs: number): boolean {
    const { windowMs } = this.spec;
    return this.#seen !== null && nowMs - this.#seen.atMs <= windowMs + windowLifeMs(windowMs);
  }

  /** Failed returns stay charged to the window until it moves past them. */
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
    // Refreshes what is left, since what others took lowers what this proxy may take if the store is lost.
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
      // If the store is lost, some proxy must still know what was taken.
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
