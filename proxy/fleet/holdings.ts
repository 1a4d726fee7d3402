/** The slices that this proxy holds, one for each counter. No I/O, no timers. */
import { LeaseSlice } from "./lease-slice.ts";
import type { CounterSpec, Slice } from "./slice.ts";
import { type FleetView, WindowSlice } from "./window-slice.ts";

/** Beyond this number of counters, idle ones are forgotten. */
const maxSlices = 20_000;

export class Holdings {
  readonly #nowMs: () => number;
  readonly #awake = new Map<string, Slice>();
  /**
   * Slices idle for long: no longer reviewed, but kept, so that the store keeps one record for each instead of one for
   * each time it was in use.
   */
  readonly #asleep = new Map<string, Slice>();
  #lives = 0;
  readonly fleet: FleetView = { size: 1, aloneUntilMs: 0, settlingUntilMs: 0 };

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** All slices under review. */
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
    const asleep = this.#asleep.get(spec.key);
    if (asleep === undefined) return null;
    this.#asleep.delete(spec.key);
    // The store has forgotten it, as it should.
    const { expiresAtMs } = asleep.spec;
    if (expiresAtMs !== null && expiresAtMs <= this.#nowMs()) return null;
    asleep.spec = spec;
    asleep.lastUseMs = this.#nowMs();
    return asleep;
  }

  #made(spec: CounterSpec): Slice {
    const slice =
      spec.kind === "window"
        ? new WindowSlice(spec, this.#nowMs(), this.fleet)
        : new LeaseSlice(spec, this.#nowMs(), this.fleet);
    slice.life = ++this.#lives;
    return slice;
  }

  /** Called when the store is back after a loss. */
  settle(aloneUntilMs: number, settlingUntilMs: number): void {
    Object.assign(this.fleet, { aloneUntilMs, settlingUntilMs });
  }

  /** Checks what there is to report to the store, and puts long idle slices to sleep. */
  review(): void {
    const nowMs = this.#nowMs();
    const crowded = this.#awake.size > maxSlices;
    for (const [key, slice] of this.#awake) {
      slice.review(nowMs);
      if (!slice.due && slice.done(nowMs, crowded)) this.#putToSleep(key, slice);
    }
  }

  #putToSleep(key: string, slice: Slice): void {
    this.#awake.delete(key);
    if (slice.spec.kind !== "period") return;
    if (this.#asleep.size >= maxSlices) this.#asleep.delete(this.#asleep.keys().next().value ?? "");
    this.#asleep.set(key, slice);
  }

  /** Reports everything known about money and window use, including counters that no call asks for. */
  reportAll(): void {
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
