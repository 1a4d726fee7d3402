/** Steps that are taken in order, though one of them may have to wait for something. */
export class OrderedSteps {
  /** Whether the last step taken waits. */
  #waits = false;
  /** Whether steps that waited for it are being taken. */
  #goesOn = false;
  #steps: (() => void)[] = [];
  readonly #failed: () => void;

  /** `failed`: called when a step that waited throws, or what it waited for rejects. The steps after it are still taken. */
  constructor(failed: () => void) {
    this.#failed = failed;
  }

  /** Whether a step has to wait for those before it. */
  get busy(): boolean {
    return this.#waits || this.#goesOn || this.#steps.length > 0;
  }

  /** Takes the step when those before it are done: at once if there are none. */
  add(step: () => void): void {
    if (this.busy) this.#steps.push(step);
    else step();
  }

  /** In a step: takes these before all that wait. */
  next(...steps: readonly (() => void)[]): void {
    this.#steps.unshift(...steps);
    if (!this.#goesOn) this.#goOn();
  }

  /** In a step: the steps after it wait until `then` has got the value. */
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
