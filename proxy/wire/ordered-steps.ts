/** Runs steps in order, even if some of them wait for something. */
export class OrderedSteps {
  /** Whether the latest step is waiting. */
  #waits = false;
  /** Whether the steps that waited for it are running. */
  #goesOn = false;
  #steps: (() => void)[] = [];
  readonly #failed: () => void;

  /**
   * `failed`: called when a delayed step throws, or when the promise that a step waits for rejects. Later steps still
   * run.
   */
  constructor(failed: () => void) {
    this.#failed = failed;
  }

  /** Whether a step has to wait for those before it. */
  get busy(): boolean {
    return this.#waits || this.#goesOn || this.#steps.length > 0;
  }

  /** Runs the step when those before it are done: at once if there are none. */
  add(step: () => void): void {
    if (this.busy) this.#steps.push(step);
    else step();
  }

  /** Call within a step: runs these before all that wait. */
  next(...steps: readonly (() => void)[]): void {
    this.#steps.unshift(...steps);
    if (!this.#goesOn) this.#goOn();
  }

  /** Call within a step: the steps after it wait until `then` has received the value. */
  wait<Value>(value: Promise<Value>, then: (value: Value) => void): void {
    this.#waits = true;
    void value
      .then(then)
      .catch(this.#failed)
      .then(() => {
        this.#waits = false;
        this.#goOn();
      });
  }

  #goOn(): void {
    this.#goesOn = true;
    while (!this.#waits) {
      const step = this.#steps.shift();
      if (step === undefined) break;
      try {
        step();
      } catch {
        this.#failed();
      }
    }
    this.#goesOn = false;
  }
}
