/**
 * A slice of a number of units in any span of time. Units that are not used soon go back, or the span would be overdrawn
 * later.
 */
import { type CounterSpec, type Reading, Slice, type Taken } from "./slice.ts";
import { type StoreOp, type StoreReply, type WindowOp, windowLifeMs } from "./store.ts";

interface Lot {
  slice: number;
  amount: number;
  untilMs: number;
}

export class WindowSlice extends Slice {
  readonly #lots: Lot[] = [];
  readonly #returns = new Map<number, number>();
  #debt = 0;
  #underWay = 0;
  #remaining: number;
  #resetAtMs = 0;

  constructor(spec: CounterSpec, nowMs: number) {
    super(spec, nowMs);
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

  take(amount: number, nowMs: number): Taken {
    this.note(amount, nowMs);
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
    if (back < 0) this.#debt -= back;
    for (const [slice, amount] of taken.lots) {
      if (back <= 0) break;
      const part = Math.min(back, amount);
      this.#giveBackLot(slice, part);
      back -= part;
    }
  }

  /** Told to nobody: by the time that the store is back, the span is over. */
  override takeBeyond(amount: number, nowMs: number): Taken {
    this.note(amount, nowMs);
    this.#underWay++;
    return { amount, lots: [] };
  }

  op(nowMs: number): WindowOp {
    this.due = false;
    const available = this.available(nowMs);
    const need = Math.max(0, this.need - available);
    const want = this.tight || this.idle(nowMs) ? 0 : Math.max(0, this.target(nowMs) - this.#fresh(nowMs));
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
    this.#remaining = reply.remaining;
    this.#resetAtMs = nowMs + reply.resetMs;
    this.retryMs = reply.retryMs;
    this.tight = reply.tight;
    this.refusal(reply.granted, op.need, reply.remaining, nowMs);
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
    if (low || this.#returns.size > 0 || this.#debt > 0 || (this.idle(nowMs) && this.available(nowMs) > 0))
      this.due = true;
    if (this.idle(nowMs)) this.giveBack();
  }

  done(nowMs: number): boolean {
    return (
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
