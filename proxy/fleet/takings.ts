/** How much was taken within the time that a window covers, in the same steps as the store. */
import { sliceMsOf, windowLifeMs } from "./store.ts";

export class Takings {
  readonly #stepMs: number;
  readonly #spanMs: number;
  /** Oldest first. */
  readonly #steps: { step: number; amount: number }[] = [];
  #total = 0;

  constructor(windowMs: number) {
    this.#stepMs = sliceMsOf(windowMs);
    this.#spanMs = windowMs + windowLifeMs(windowMs) + this.#stepMs;
  }

  /** A negative amount corrects the latest takings. */
  add(amount: number, nowMs: number): void {
    const step = Math.floor(nowMs / this.#stepMs);
    const newest = this.#steps.at(-1);
    if (newest?.step === step) newest.amount += amount;
    else this.#steps.push({ step, amount });
    this.#total += amount;
  }

  total(nowMs: number): number {
    const oldest = Math.floor((nowMs - this.#spanMs) / this.#stepMs);
    for (let first = this.#steps[0]; first !== undefined && first.step <= oldest; first = this.#steps[0]) {
      this.#total -= first.amount;
      this.#steps.shift();
    }
    return Math.max(0, this.#total);
  }
}
