/**
 * The memory store's file. A line is written before what it says is handed out, so that a process that is killed has
 * spent no more than the file knows. It is written anew, whole and by renaming, when it has grown.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { rowFrom, rowKey } from "./ledger-rows.ts";
import type { LedgerRow } from "./store.ts";

export interface SavedCounter {
  key: string;
  used: number;
  spent: number;
  expiresAtMs: number | null;
}

interface Image {
  counters: readonly SavedCounter[];
  rows: readonly LedgerRow[];
}

/** From here on the file is written anew. */
const compactBytes = 8_388_608;

type Line = { counter: SavedCounter } | { row: LedgerRow };

function parsed(line: string): Line | null {
  try {
    const value = JSON.parse(line) as Partial<{ counter: SavedCounter; row: LedgerRow }>;
    if (value.counter !== undefined && Number.isSafeInteger(value.counter.used)) return { counter: value.counter };
    return value.row !== undefined && rowFrom(value.row.hourMs, rowKey(value.row)) !== null ? { row: value.row } : null;
  } catch {
    // A line that a crash cut off.
    return null;
  }
}

function contents(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

export class Journal {
  readonly #path: string;
  #file: number;
  #bytes = 0;
  #pending: string[] = [];
  #image: (() => Image) | null = null;
  /** What the file held. */
  readonly counters = new Map<string, SavedCounter>();
  readonly rows: LedgerRow[] = [];

  /** Throws where the file can't be read or written. */
  constructor(path: string) {
    this.#path = path;
    for (const line of contents(path).split("\n")) {
      const one = line === "" ? null : parsed(line);
      if (one === null) continue;
      if ("counter" in one) this.counters.set(one.counter.key, one.counter);
      else this.rows.push(one.row);
    }
    this.#file = openSync(path, "a", 0o600);
  }

  counter(saved: SavedCounter): void {
    this.#pending.push(JSON.stringify({ counter: saved }));
  }

  row(row: LedgerRow): void {
    this.#pending.push(JSON.stringify({ row }));
  }

  /** Writes what was noted; before the caller acts on it. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const text = `${this.#pending.join("\n")}\n`;
    this.#pending = [];
    writeSync(this.#file, text);
    this.#bytes += text.length;
    if (this.#bytes > compactBytes && this.#image !== null) this.write(this.#image());
  }

  /** From now on the file may be written anew from what `image` yields; it is at once. */
  compact(image: () => Image): void {
    this.#image = image;
    this.write(image());
  }

  write(image: Image): void {
    const next = `${this.#path}.next`;
    const file = openSync(next, "w", 0o600);
    const lines = [
      ...image.counters.map((counter) => JSON.stringify({ counter })),
      ...image.rows.map((row) => JSON.stringify({ row })),
    ];
    if (lines.length > 0) writeSync(file, `${lines.join("\n")}\n`);
    fsyncSync(file);
    renameSync(next, this.#path);
    closeSync(this.#file);
    this.#file = file;
    this.#bytes = 0;
  }

  close(image: () => Image): void {
    this.flush();
    this.write(image());
    closeSync(this.#file);
  }
}
