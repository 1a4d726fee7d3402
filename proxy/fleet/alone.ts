/** Limits while the store can't be asked: each proxy keeps its part of them for itself. */
import type { Claim, Refused } from "./claim-set.ts";
import { openForMs } from "./exchange.ts";
import { LeaseSlice } from "./lease-slice.ts";
import { MemoryStore } from "./memory.ts";
import type { Slice } from "./slice.ts";
import type { StoreOp } from "./store.ts";

export class Alone {
  readonly #holder: string;
  readonly #windows: MemoryStore;

  constructor(holder: string, nowMs: () => number) {
    this.#holder = holder;
    this.#windows = new MemoryStore(nowMs);
    this.#windows.heartbeat(holder);
  }

  /** Why there is no room for it in the part of one of so many proxies; null: there is. */
  noRoom({ counter, amount }: Claim, slice: Slice, fleetSize: number): Refused | null {
    const limit = Math.max(1, Math.floor((slice.spec.limit ?? 0) / fleetSize));
    // Nothing is leased; what is taken becomes a debt.
    if (slice instanceof LeaseSlice)
      return slice.reserved + amount <= limit ? null : { refused: counter, why: "limit", retryAfterMs: openForMs };
    const { key, windowMs } = slice.spec;
    const op: StoreOp = {
      kind: "window",
      key,
      limit,
      windowMs,
      need: amount,
      least: amount,
      want: 0,
      debt: 0,
      returns: [],
    };
    const [reply] = this.#windows.sync(this.#holder, [op]);
    if (reply?.kind !== "window" || reply.granted >= amount) return null;
    return { refused: counter, why: "limit", retryAfterMs: reply.retryMs };
  }
}
