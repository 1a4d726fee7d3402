/** Tells when something in a folder may have changed; saves that come in bursts count once. */
import { watch } from "node:fs";

export interface Timers {
  set(run: () => void, ms: number): unknown;
  clear(timer: unknown): void;
}

const realTimers: Timers = { set: (run, ms) => setTimeout(run, ms), clear: (timer) => clearTimeout(timer as NodeJS.Timeout) };
const settleMs = 80;

export function watchFolders(paths: readonly string[], onChange: () => void, timers: Timers = realTimers): () => void {
  let pending: unknown = null;
  const changed = (): void => {
    if (pending !== null) timers.clear(pending);
    pending = timers.set(() => {
      pending = null;
      onChange();
    }, settleMs);
  };
  const watchers = paths.map((path) => watch(path, { recursive: true }, changed));
  for (const watcher of watchers) watcher.on("error", changed);
  return () => {
    if (pending !== null) timers.clear(pending);
    for (const watcher of watchers) watcher.close();
  };
}
