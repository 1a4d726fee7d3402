/** The slices that this proxy holds, one of each counter. No I/O and no timers. */
import { LeaseSlice } from "./lease-slice.ts";
import type { CounterSpec, Slice } from "./slice.ts";
import { type FleetView, WindowSlice } from "./window-slice.ts";

/** More counters than this are not remembered once they are idle. */
const mostSlices = 20_000;

export class Holdings {
  readonly #nowMs: () => number;
  readonly #awake = new Map<string, Slice>();
  /** Idle for long: no longer looked at, but kept, so that the store keeps one record of each and not one for each time. */
  readonly #asleep = new Map<string, Slice>();
  #lives = 0;
  readonly fleet: FleetView = { size: 1, aloneUntilMs: 0, settlingUntilMs: 0 };

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** All that are looked at. */
  awake(): Iterable<Slice> {
    return this.#awake.values();
  }

  of(spec: CounterSpec): Slice {
    let slice = this.#awake.get(spec.key);
    if (slice === undefined) this.#awake.set(spec.key, (slice = this.#woken(spec) ?? this.#made(spec)));
    else slice.spec = spec;
    return slice;
  }

  #woken(spec: CounterSpec): Slice | null {
    const known = this.#asleep.get(spec.key);
    if (known === undefined) return null;
    this.#asleep.delete(spec.key);
    known.spec = spec;
    known.lastUseMs = this.#nowMs();
    return known;
  }

  #made(spec: CounterSpec): Slice {
    const slice =
      spec.kind === "window"
        ? new WindowSlice(spec, this.#nowMs(), this.fleet)
        : new LeaseSlice(spec, this.#nowMs(), this.fleet);
    slice.life = ++this.#lives;
    return slice;
  }

  /** The store is back after a loss. */
  settle(aloneUntilMs: number, settlingUntilMs: number): void {
    Object.assign(this.fleet, { aloneUntilMs, settlingUntilMs });
  }

  /** Looks what there is to tell the store, and puts to sleep what has been idle for long. */
  review(): void {
    const nowMs = this.#nowMs();
    const crowded = this.#awake.size > mostSlices;
    for (const [key, slice] of this.#awake) {
      slice.review(nowMs);
      if (!slice.due && slice.done(nowMs, crowded)) this.#putToSleep(key, slice);
    }
  }

  #putToSleep(key: string, slice: Slice): void {
    this.#awake.delete(key);
    if (slice.spec.kind !== "period") return;
    if (this.#asleep.size >= mostSlices) this.#asleep.delete(this.#asleep.keys().next().value ?? "");
    this.#asleep.set(key, slice);
  }

  /** All that is known of money and of what was taken in windows is to be told: also of what nobody asks for. */
  tellAll(): void {
    for (const [key, slice] of this.#asleep) this.#awake.set(key, slice);
    this.#asleep.clear();
    for (const slice of this.#awake.values()) if (slice.spec.kind !== "held") slice.due = true;
  }

  giveAllBack(): void {
    for (const slice of this.#awake.values()) {
      slice.tight = true;
      slice.giveBack();
    }
  }
}
