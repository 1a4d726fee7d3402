/**
 * Turns of the event loop for texts that are read on it in pieces. Each turn goes to one piece, however many texts wait,
 * and namespaces take turns.
 */
import { FairQueue } from "./fair-queue.ts";

export class SharedTurns {
  // Unbounded, as each of the streams that wait here holds back its provider.
  readonly #queue = new FairQueue<() => void>(Number.POSITIVE_INFINITY);
  #scheduled = false;

  /** Resolves in a later turn, which belongs to the caller. */
  next(namespace: string): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.add(namespace, resolve);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#queue.take(() => true)?.();
      if (this.#queue.size > 0) this.#schedule();
    });
  }
}
