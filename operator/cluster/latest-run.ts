/** Runs a task one at a time. Triggers that come while it runs lead to one more run. */
export class LatestRun {
  readonly #task: () => Promise<void>;
  #running: Promise<void> | null = null;
  #again = false;

  /** `task` must not throw. */
  constructor(task: () => Promise<void>) {
    this.#task = task;
  }

  trigger(): void {
    this.#again = true;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    // Takes triggers of the same turn together.
    await null;
    while (this.#again) {
      this.#again = false;
      await this.#task();
    }
    this.#running = null;
  }
}
