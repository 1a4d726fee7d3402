/**
 * Reports that something in a folder may have changed; a burst of saves counts once.
 *
 * Not by `watch(…, { recursive: true })`: on Linux that follows files, and loses one for good when an editor saves by
 * renaming a new file over it. A watcher of a directory sees everything that happens in it, so there is one for each
 * directory, renewed after every burst, because directories come and go as well.
 */
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

export interface Timers {
  set(run: () => void, ms: number): unknown;
  clear(timer: unknown): void;
}

const realTimers: Timers = {
  set: (run, ms) => setTimeout(run, ms),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
};
const settleMs = 80;

/** Treats files that vanish during inspection as absent. */
function ifThere<T>(look: () => T): T | null {
  try {
    return look();
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) return null;
    throw cause;
  }
}

function foldersBelow(path: string): string[] {
  if (ifThere(() => statSync(path).isDirectory()) !== true) return [];
  const below = ifThere(() => readdirSync(path, { withFileTypes: true })) ?? [];
  const folders = below.filter((entry) => entry.isDirectory() && entry.name !== "node_modules");
  return [path, ...folders.flatMap((entry) => foldersBelow(join(path, entry.name)))];
}

/**
 * Each folder with everything in it, and a path's parent only for the path itself, which may be replaced as a whole.
 */
function watchAll(paths: readonly string[], changed: () => void): FSWatcher[] {
  const watchers: FSWatcher[] = [];
  const add = (folder: string, concerns: (name: string | null) => boolean): void => {
    const watcher = ifThere(() => watch(folder, (_, name) => concerns(name) && changed()));
    watcher?.on("error", changed);
    if (watcher) watchers.push(watcher);
  };
  for (const path of paths.map((path) => resolve(path))) {
    add(dirname(path), (name) => name === null || name === basename(path));
    for (const folder of foldersBelow(path)) add(folder, () => true);
  }
  return watchers;
}

export function watchFolders(paths: readonly string[], onChange: () => void, timers: Timers = realTimers): () => void {
  let pending: unknown = null;
  const settled = (): void => {
    pending = null;
    const old = watchers;
    // Opens new watchers before it closes old ones, and does both before anything is read, so that no change is missed.
    watchers = watchAll(paths, changed);
    for (const watcher of old) watcher.close();
    onChange();
  };
  const changed = (): void => {
    if (pending !== null) timers.clear(pending);
    pending = timers.set(settled, settleMs);
  };
  let watchers = watchAll(paths, changed);
  return () => {
    if (pending !== null) timers.clear(pending);
    for (const watcher of watchers) watcher.close();
  };
}
