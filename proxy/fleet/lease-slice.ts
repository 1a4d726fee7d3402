/**
 * A slice of a period's sum, or of a number of concurrent calls. It reports totals, so a lost or repeated report changes
 * nothing. A period's totals never restart: a store that has lost its memory takes them as they are.
 */
import { parseShares } from "./shares.ts";
import { type CounterSpec, type Lots, noLots, type Reading, Slice } from "./slice.ts";
import { type Growth, heldTtlMs, type LeaseOp, type StoreOp, type StoreReply } from "./store.ts";
import type { FleetView } from "./window-slice.ts";

/** How long a budget's state is kept after its last use, in milliseconds. */
const rememberedMs = 600_000;
/** How far ahead the amount in use is reported, in milliseconds of spending at the current rate. */
const inUseAheadMs = 25;
/** Money of a lease is not spent later than this after the store's last answer: the store takes it back soon after. */
const moneyLifeMs = 0.8 * heldTtlMs;

export class LeaseSlice extends Slice {
  #epoch = "";
  #seq = 0;
  #granted = 0;
  #returned = 0;
  #spent = 0;
  /** Totals that the store has confirmed. */
  #reportedReturned = 0;
  #reportedSpent = 0;
  #sent = { returned: 0, spent: 0 };
  /** Negative if more was spent than leased; the difference is reported as a debt. */
  #available = 0;
  #reserved = 0;
  /** The most that is spent and reserved, as reported to the store. Only this stays charged if this proxy dies. */
  #inUse = 0;
  #seenUsed = 0;
  #seenSpent = 0;
  #seenVersion = 0;
  #seenShares = "";
  #answeredMs: number;
  readonly #fleet: Pick<FleetView, "size">;

  constructor(spec: CounterSpec, nowMs: number, fleet: Pick<FleetView, "size">) {
    super(spec, nowMs);
    this.#fleet = fleet;
    this.#answeredMs = nowMs;
  }

  available(nowMs: number): number {
    if (this.spec.limit === null) return Number.MAX_SAFE_INTEGER;
    // The store presumes a silent holder dead and frees what it held.
    const lifeMs = this.spec.kind === "held" ? heldTtlMs : moneyLifeMs;
    if (this.#available > 0 && nowMs - this.#answeredMs > lifeMs) this.giveBack();
    return this.#available;
  }

  /**
   * Whether `amount` fits without the store. Money is then only counted; of concurrent calls, each proxy has its part.
   */
  hasRoomAlone(amount: number): boolean {
    if (this.spec.kind === "period") return true;
    return this.#reserved + amount <= Math.floor((this.spec.limit ?? 0) / this.#fleet.size);
  }

  take(amount: number, nowMs: number): Lots {
    this.note(amount, nowMs);
    this.#reserved += amount;
    if (this.spec.limit !== null) this.#available -= amount;
    if (this.spec.limit !== null && this.#available < Math.max(amount, this.low) && !this.tight) this.due = true;
    return noLots;
  }

  override growth(): Growth | null {
    const { kind, limit, key } = this.spec;
    const used = this.#spent + this.#reserved;
    if (kind !== "period" || limit === null || used <= this.#inUse) return null;
    this.#inUse = used + this.usual(inUseAheadMs);
    return { key, life: this.life, epoch: this.#epoch, inUse: this.#inUse };
  }

  settle(amount: number, _lots: Lots, actual: number): void {
    this.#reserved -= amount;
    this.#spent += actual;
    this.#available += (this.spec.limit === null ? 0 : amount) - actual;
    if (this.tight || this.#available < 0) this.due = true;
  }

  op(nowMs: number): LeaseOp {
    const { spec } = this;
    this.due = false;
    // Near the limit, and when idle, gives back what no call waits for.
    if (this.#available > 0 && this.need === 0 && (this.tight || this.idle(nowMs))) this.giveBack();
    const need = Math.max(0, this.need - Math.max(0, this.#available));
    const want =
      spec.limit === null || this.idle(nowMs) ? 0 : Math.max(0, this.target(nowMs) - Math.max(0, this.#available));
    this.#sent = { returned: this.#returned, spent: this.#spent };
    this.#inUse = this.#spent + this.#reserved + this.need + this.usual(inUseAheadMs);
    return {
      kind: spec.kind === "held" ? "held" : "period",
      key: spec.key,
      limit: spec.limit,
      seed: spec.seed,
      expiresAtMs: spec.expiresAtMs,
      life: this.life,
      epoch: this.#epoch,
      seq: ++this.#seq,
      granted: this.#granted,
      returned: this.#returned,
      spent: this.#spent,
      confirmed: this.#reportedSpent,
      seenUsed: this.#seenUsed,
      seenSpent: this.#seenSpent,
      seenVersion: this.#seenVersion,
      seenShares: this.#seenShares,
      need,
      least: Math.min(need, Math.max(1, this.least - Math.max(0, this.#available))),
      want: this.tight ? 0 : want,
      debt: Math.max(0, -this.#available),
      inUse: this.#inUse,
    };
  }

  apply(op: StoreOp, reply: StoreReply, sentMs: number, nowMs: number): void {
    if (reply.kind !== "lease" || op.kind === "window") return;
    if (reply.epoch !== this.#epoch && this.#epoch !== "") this.#moved();
    if (reply.epoch === this.#epoch || this.spec.kind === "period") {
      this.#reportedReturned = this.#sent.returned;
      this.#reportedSpent = this.#sent.spent;
    }
    this.#epoch = reply.epoch;
    const granted = reply.granted - this.#granted;
    this.#available += granted;
    this.#granted = reply.granted;
    this.#seenUsed = reply.used;
    this.#seenSpent = reply.spent;
    this.#seenVersion = reply.version;
    this.#seenShares = reply.shares;
    this.recovering = reply.recovering;
    this.#answeredMs = sentMs;
    this.tight = reply.tight;
    const remaining = this.spec.limit === null ? Number.MAX_SAFE_INTEGER : this.spec.limit - reply.used;
    this.refusal(granted - op.debt, op.need, reply.recovering ? 0 : remaining, nowMs);
    this.retryMs = reply.recovering || this.spec.kind === "held" ? 1_000 : 0;
    if (this.#spent > this.#reportedSpent && this.tight) this.due = true;
  }

  /** The store started a new epoch. */
  #moved(): void {
    this.#inUse = 0;
    // Concurrent calls are counted from zero: those under way are reported as a debt.
    if (this.spec.kind !== "held") return;
    this.#spent -= this.#reportedSpent;
    this.#reportedReturned = 0;
    this.#reportedSpent = 0;
    this.#granted = 0;
    this.#returned = 0;
    this.#available = -this.#reserved;
    this.due = true;
  }

  failed(): void {
    this.due = true;
  }

  override contended(amount: number): boolean {
    return (
      this.spec.kind === "period" &&
      this.spec.limit !== null &&
      this.spec.limit - this.#seenSpent - (this.#spent - this.#reportedSpent) >= amount
    );
  }

  reading(): Reading {
    const limit = this.spec.limit ?? Number.MAX_SAFE_INTEGER;
    return { limit, remaining: Math.max(0, limit - this.#seenUsed + Math.max(0, this.#available)), resetMs: 0 };
  }

  /**
   * What is counted as neither spent nor held by a proxy that reports: the leases of proxies that have stopped
   * reporting, until they are taken back.
   */
  unaccounted(): number {
    const shares = [...parseShares(this.#seenShares).values()];
    const lastMs = shares.reduce((last, { seenMs }) => Math.max(last, seenMs), 0);
    const alive = shares.filter(({ seenMs }) => lastMs - seenMs <= heldTtlMs);
    return Math.max(
      0,
      alive.reduce((rest, { used, spent }) => rest - Math.max(0, used - spent), this.#seenUsed - this.#seenSpent),
    );
  }

  /** Reserved by calls under way. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Total spent across the fleet, as far as this proxy knows. */
  known(): number {
    return this.#seenSpent + this.#spent - this.#reportedSpent;
  }

  review(nowMs: number): void {
    const unheard = this.#spent > this.#reportedSpent || this.#returned > this.#reportedReturned || this.#available < 0;
    const idle = this.#available > 0 && this.idle(nowMs);
    const low =
      this.spec.limit !== null && !this.tight && !this.idle(nowMs) && this.#available < this.target(nowMs) / 2;
    const holds = this.spec.kind === "held" ? this.#granted > this.#returned : this.#available + this.#reserved > 0;
    const beats = this.spec.limit !== null && holds && nowMs - this.#answeredMs > heldTtlMs / 5;
    if (unheard || idle || low || beats || (this.tight && this.#available > 0)) this.due = true;
  }

  done(nowMs: number, crowded: boolean): boolean {
    // If the store forgets a budget, some proxy must still know what was spent.
    if (this.spec.kind === "period" && !crowded && nowMs - this.lastUseMs < rememberedMs) return false;
    const reported = this.#spent === this.#reportedSpent && this.#returned === this.#reportedReturned;
    return reported && this.#available === 0 && this.#reserved === 0 && this.need === 0 && this.idle(nowMs);
  }

  giveBack(): void {
    if (this.#available <= 0) return;
    this.#returned += this.#available;
    this.#available = 0;
    this.due = true;
  }
}
