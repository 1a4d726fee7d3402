/** Bounded concurrency that sources share evenly: they take turns, however much each of them asks for. */
import { FairQueue } from "../text-work/fair-queue.ts";

export interface TurnLimits {
  /** Tasks that run at a time. */
  running: number;
  /** Tasks that wait, of one source. */
  waitingOfSource: number;
  /** Tasks that wait, of all sources. */
  waiting: number;
}

export class Turns {
  readonly #limits: TurnLimits;
  readonly #waiting: FairQueue<() => void>;
  #running = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
    this.#waiting = new FairQueue(limits.waitingOfSource);
  }

  get idle(): boolean {
    return this.#running === 0;
  }

  /** null if too much is waiting. */
  run<T>(source: string, task: () => Promise<T>): Promise<T> | null {
    if (this.#running < this.#limits.running) return this.#start(task);
    if (this.#waiting.size >= this.#limits.waiting || !this.#waiting.hasRoom(source)) return null;
    return new Promise((resolve, reject) => {
      this.#waiting.add(source, () => void this.#start(task).then(resolve, reject));
    });
  }

  async #start<T>(task: () => Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await task();
    } finally {
      this.#running--;
      this.#waiting.take(() => true)?.();
    }
  }
}
