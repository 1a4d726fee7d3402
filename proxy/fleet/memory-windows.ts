/** The windows of rate limits, in the memory of one process. */
import { isTight, leaseShare, recoveryMs, sliceMsOf, type WindowOp, type WindowReply, windowLifeMs } from "./store.ts";

interface WindowCounter {
  epoch: string;
  recoverUntilMs: number;
  windowMs: number;
  slices: Map<number, number>;
  newest: number;
}

export class MemoryWindows {
  readonly #nowMs: () => number;
  readonly #store: number;
  readonly #windows = new Map<string, WindowCounter>();
  #epochs = 0;

  /** `store`: a number that differs between the stores of a process. */
  constructor(nowMs: () => number, store: number) {
    this.#nowMs = nowMs;
    this.#store = store;
  }

  #counter({ key, windowMs }: WindowOp): WindowCounter {
    const existing = this.#windows.get(key);
    if (existing?.windowMs === windowMs) return existing;
    const epoch = `w${this.#store}.${++this.#epochs}`;
    const made: WindowCounter = { epoch, recoverUntilMs: 0, windowMs, slices: new Map(), newest: 0 };
    this.#windows.set(key, made);
    return made;
  }

  /** `alive`: how many proxies share the limit. */
  take(op: WindowOp, alive: number): WindowReply {
    const nowMs = this.#nowMs();
    const lifeMs = windowLifeMs(op.windowMs);
    const counter = this.#counter(op);
    const { slices, epoch } = counter;
    const freeAtMs = (slice: number): number => (slice + 1) * sliceMsOf(op.windowMs) + op.windowMs + lifeMs;
    // The holder took under an epoch that is forgotten, so reports from other holders are still to come.
    const isForgotten = (op.epoch ?? "") !== "" && op.epoch !== epoch;
    const forgotten = isForgotten ? (op.taken ?? 0) : 0;
    if (isForgotten) counter.recoverUntilMs = nowMs + recoveryMs;
    const debt = Math.max(op.debt, forgotten);
    const recovering = nowMs < counter.recoverUntilMs;
    const total = totalOf(slices, op.returns, (slice) => freeAtMs(slice) <= nowMs);
    const slice = Math.floor(nowMs / sliceMsOf(op.windowMs));
    const holders = Math.max(1, alive);
    const granted = recovering ? 0 : leaseShare(op.limit - total - debt, op, holders, true);
    if (granted + debt > 0) {
      slices.set(slice, (slices.get(slice) ?? 0) + granted + debt);
      counter.newest = Math.max(counter.newest, slice);
    }
    const remaining = op.limit - total - granted - debt;
    const missing = op.need - granted - remaining;
    return {
      kind: "window",
      granted,
      slice,
      remaining: Math.max(0, remaining),
      retryMs: granted >= op.need ? 0 : retryAfter(slices, missing, (step) => freeAtMs(step) - nowMs),
      resetMs: slices.size === 0 ? 0 : Math.max(0, freeAtMs(counter.newest) - nowMs),
      tight: isTight(remaining, op, holders),
      epoch,
      recovering,
    };
  }

  /** Forgets windows that have been empty for long. */
  sweep(): void {
    const nowMs = this.#nowMs();
    for (const [key, { windowMs, newest }] of this.#windows)
      if ((newest + 2) * sliceMsOf(windowMs) + 2 * windowMs + 1_000 < nowMs) this.#windows.delete(key);
  }
}

/** Units in all live slices, less what was given back. */
function totalOf(
  slices: Map<number, number>,
  returns: WindowOp["returns"],
  isOver: (slice: number) => boolean,
): number {
  for (const [slice, amount] of returns) {
    const had = slices.get(slice);
    if (had !== undefined) slices.set(slice, Math.max(0, had - amount));
  }
  let total = 0;
  for (const [slice, count] of slices) {
    if (isOver(slice) || count === 0) slices.delete(slice);
    else total += count;
  }
  return total;
}

/** Time until the oldest slices that hold `missing` units expire. */
function retryAfter(slices: ReadonlyMap<number, number>, missing: number, freeInMs: (slice: number) => number): number {
  let freed = 0;
  for (const slice of [...slices.keys()].sort((a, b) => a - b)) {
    freed += slices.get(slice) ?? 0;
    if (freed >= missing) return Math.max(1, freeInMs(slice));
  }
  return slices.size === 0 ? 1 : Math.max(1, freeInMs(Math.max(...slices.keys())));
}
