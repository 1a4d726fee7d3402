/**
 * Bounds how often a stream is worked on. A fast model sends its chunks a millisecond or two apart, and to read, check and
 * send each on its own costs the gateway and its client more than all else that they do with it. A chunk that comes later
 * than the pause after the last one is handled in its turn of the event loop; those that come sooner are handled
 * together, when the pause is over.
 */
import { atEndOfTick, runAll, type Task } from "./tick-batch.ts";

export class Pacer {
  readonly #pauseMs: number;
  #waiting: Task[] = [];
  #timer: NodeJS.Timeout | null = null;

  /** `pauseMs`: least time between two runs for one stream, in milliseconds; 0 for none. */
  constructor(pauseMs: number) {
    this.#pauseMs = pauseMs;
  }

  /** Milliseconds, on the clock of `lastMs`. */
  nowMs(): number {
    return this.#pauseMs === 0 ? 0 : performance.now();
  }

  /** Runs the task at the end of this turn, or within the pause. `lastMs`: when it last ran. Returns whether it waits. */
  add(task: Task, lastMs: number): boolean {
    if (this.#pauseMs === 0 || performance.now() - lastMs >= this.#pauseMs) {
      atEndOfTick(task);
      return false;
    }
    this.#waiting.push(task);
    // One timer for all streams: those that join it later wait shorter than the pause.
    if (this.#waiting.length === 1) {
      if (this.#timer === null) this.#timer = setTimeout(() => this.#run(), this.#pauseMs).unref();
      else this.#timer.refresh();
    }
    return true;
  }

  #run(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    runAll(waiting);
  }
}
