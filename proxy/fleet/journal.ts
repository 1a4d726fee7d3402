/**
 * The memory store's file. A line is written before what it says is handed out, so that a process that is killed has
 * spent no more than the file knows. It is written anew, whole and by renaming, when it has grown.
 *
 * Each line is JSON, a tab and the CRC-32 of the JSON in hex; lines of older versions have no sum. The first line says
 * what the file is. What can't be read is put aside, in FILE.damaged, and while that file is there hard budgets stay
 * closed: what it held may be money that was spent.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { crc32 } from "node:zlib";
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
const header = { sluice: "state", version: 1 };
/** What was put aside is looked for this often, in milliseconds. */
const lookEveryMs = 1_000;

type Line = { counter: SavedCounter } | { row: LedgerRow } | { header: true };

const sumOf = (json: string): string => crc32(json).toString(16).padStart(8, "0");
const lineOf = (value: object): string => {
  const json = JSON.stringify(value);
  return `${json}\t${sumOf(json)}`;
};

const isAmount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function read(value: Partial<{ counter: SavedCounter; row: LedgerRow; sluice: string }>): Line | null {
  const { counter, row } = value;
  if (counter !== undefined)
    return typeof counter.key === "string" && isAmount(counter.used) && isAmount(counter.spent) ? { counter } : null;
  if (row !== undefined) return rowFrom(row.hourMs, rowKey(row)) === null ? null : { row };
  return value.sluice === header.sluice ? { header: true } : null;
}

/** null: it is damaged. */
function parsed(line: string): Line | null {
  const tab = line.lastIndexOf("\t");
  const json = tab < 0 ? line : line.slice(0, tab);
  if (tab >= 0 && line.slice(tab + 1) !== sumOf(json)) return null;
  try {
    return read(JSON.parse(json) as Parameters<typeof read>[0]);
  } catch {
    return null;
  }
}

/** null: there is no such file. */
function contents(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
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
  /** Lines that couldn't be read, of which nothing is known. */
  readonly damagedLines: number;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #isDamaged = false;

  /** Throws where the file can't be read or written. */
  constructor(path: string) {
    this.#path = path;
    const text = contents(path);
    const damaged = this.#read(text);
    this.damagedLines = damaged.length;
    if (damaged.length > 0) appendFileSync(this.damagedPath, `${damaged.join("\n")}\n`, { mode: 0o600 });
    this.#file = openSync(path, "a", 0o600);
  }

  /** Where lines that can't be read are put aside. */
  get damagedPath(): string {
    return `${this.#path}.damaged`;
  }

  /** Something was put aside, and nobody has decided yet what becomes of it by taking the file away. */
  isDamaged(nowMs: number): boolean {
    if (nowMs - this.#lookedMs < lookEveryMs) return this.#isDamaged;
    this.#lookedMs = nowMs;
    return (this.#isDamaged = existsSync(this.damagedPath));
  }

  /** The lines that are damaged. One that a crash cut off, the last, was never acted on. */
  #read(text: string | null): string[] {
    if (text === null) return [];
    // The header is always there: a file of nothing has lost what it had.
    if (text === "") return ["(the file was empty)"];
    const lines = text.split("\n");
    const cutOff = lines.pop() ?? "";
    const damaged: string[] = [];
    if (cutOff !== "" && (lines.length === 0 || !cutOff.startsWith("{"))) lines.push(cutOff);
    for (const line of lines) {
      const one = line === "" ? null : parsed(line);
      if (one === null) damaged.push(line);
      else if ("counter" in one) this.counters.set(one.counter.key, one.counter);
      else if ("row" in one) this.rows.push(one.row);
    }
    return damaged;
  }

  counter(saved: SavedCounter): void {
    this.#pending.push(lineOf({ counter: saved }));
  }

  row(row: LedgerRow): void {
    this.#pending.push(lineOf({ row }));
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
      lineOf(header),
      ...image.counters.map((counter) => lineOf({ counter })),
      ...image.rows.map((row) => lineOf({ row })),
    ];
    writeSync(file, `${lines.join("\n")}\n`);
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
