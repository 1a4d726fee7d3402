/**
 * Limits how often a stream is processed. A fast model sends chunks a millisecond or two apart, and reading, checking
 * and sending each of them separately is most of the work of the gateway and its client. A chunk that arrives after the
 * pause is handled in its own turn of the event loop. Chunks that arrive sooner are handled together when the pause is
 * over.
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

  /**
   * Runs the task at the end of this turn, or within the pause. `lastMs`: when it last ran. Returns whether it waits
   * for the pause.
   */
  add(task: Task, lastMs: number): boolean {
    if (this.#pauseMs === 0 || performance.now() - lastMs >= this.#pauseMs) {
      atEndOfTick(task);
      return false;
    }
    this.#waiting.push(task);
    // One timer for all streams. Those that join it later wait less than the pause.
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
