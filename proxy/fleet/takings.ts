/** How much was taken in the span of time that a window looks back on, in steps, as the store counts it. */
import { sliceMsOf, windowLifeMs } from "./store.ts";

export class Takings {
  readonly #stepMs: number;
  readonly #spanMs: number;
  /** In the order of time. */
  readonly #steps: { step: number; amount: number }[] = [];
  #total = 0;

  constructor(windowMs: number) {
    this.#stepMs = sliceMsOf(windowMs);
    this.#spanMs = windowMs + windowLifeMs(windowMs) + this.#stepMs;
  }

  /** A negative amount corrects what was taken just now. */
  add(amount: number, nowMs: number): void {
    const step = Math.floor(nowMs / this.#stepMs);
    const last = this.#steps.at(-1);
    if (last?.step === step) last.amount += amount;
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
