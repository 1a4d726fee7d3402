/**
 * Runs tasks in order as soon as the current code has returned, like reactions of promises, but without allocating a
 * promise for each: tasks form a linked list.
 */
import { nextTick } from "node:process";

export interface Soon {
  /** The task after this one; only for `soon`. */
  following: Soon | null;
  run(): void;
}

let first: Soon | null = null;
let newest: Soon | null = null;
const settled = Promise.resolve();

function rethrow(cause: unknown): void {
  throw cause;
}

/** An error that a task throws becomes an uncaught exception, after the others have run. */
function runAll(): void {
  let task = first;
  first = null;
  newest = null;
  while (task !== null) {
    const { following } = task;
    task.following = null;
    try {
      task.run();
    } catch (cause) {
      nextTick(rethrow, cause);
    }
    task = following;
  }
}

/** A waiting task must not be added again. */
export function soon(task: Soon): void {
  if (newest === null) {
    first = task;
    void settled.then(runAll);
  } else newest.following = task;
  newest = task;
}
