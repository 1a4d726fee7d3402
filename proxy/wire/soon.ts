/**
 * Runs tasks in their order as soon as the code that is running has returned, as reactions of promises run, but without
 * a promise for each: the tasks are a list, linked by its members.
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

/** A task that waits already must not be added again. */
export function soon(task: Soon): void {
  if (newest === null) {
    first = task;
    void settled.then(runAll);
  } else newest.following = task;
  newest = task;
}
