/**
 * The file of the memory store. A line is written before the grant that it records is handed out, so a killed process
 * has spent no more than the file says. When the file has grown, it is rewritten whole and renamed into place.
 *
 * Each line is JSON, a tab, and the CRC-32 of the JSON in hex; older versions wrote no checksum. The first line
 * identifies the file. Unreadable lines are moved to FILE.damaged. While that file exists, hard budgets stay closed,
 * since the lines may have recorded spending.
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

/** The file is rewritten once it is larger than this. */
const compactBytes = 8_388_608;
const header = { sluice: "state", version: 1 };
/** How often FILE.damaged is looked for, in milliseconds. */
const lookEveryMs = 1_000;

type Line = { counter: SavedCounter } | { row: LedgerRow } | { header: true };

const sumOf = (json: string): string => crc32(json).toString(16).padStart(8, "0");
const lineOf = (value: object): string => {
  const json = JSON.stringify(value);
  return `${json}\t${sumOf(json)}`;
};

/** Sums can exceed the integers that a number holds exactly. */
const isAmount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;

function read(value: Partial<{ counter: SavedCounter; row: LedgerRow; sluice: string }>): Line | null {
  const { counter, row } = value;
  if (counter !== undefined)
    return typeof counter.key === "string" && isAmount(counter.used) && isAmount(counter.spent) ? { counter } : null;
  if (row !== undefined) return rowFrom(row.hourMs, rowKey(row)) === null ? null : { row };
  return value.sluice === header.sluice ? { header: true } : null;
}

/** Returns null if the line is damaged. */
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

/** Whether a valid line can begin like this. JSON has no raw control characters, and a tab stands before the checksum. */
function isStartOfLine(text: string): boolean {
  if (!text.startsWith("{")) return false;
  for (let index = 0; index < text.length; index++)
    if (text.charCodeAt(index) < 0x20 && text[index] !== "\t") return false;
  return true;
}

/** Returns null if the file doesn't exist. */
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
  /** The contents of the file. */
  readonly counters = new Map<string, SavedCounter>();
  readonly rows: LedgerRow[] = [];
  /** Number of lines that couldn't be read; what they recorded is unknown. */
  readonly damagedLines: number;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #isDamaged = false;

  /** Throws if the file can't be read or written. */
  constructor(path: string) {
    this.#path = path;
    const text = contents(path);
    const damaged = this.#read(text);
    this.damagedLines = damaged.length;
    if (damaged.length > 0) appendFileSync(this.damagedPath, `${damaged.join("\n")}\n`, { mode: 0o600 });
    this.#file = openSync(path, "a", 0o600);
  }

  /** Where unreadable lines are moved. */
  get damagedPath(): string {
    return `${this.#path}.damaged`;
  }

  /** Whether FILE.damaged exists. An operator settles the matter by removing it. */
  isDamaged(nowMs: number): boolean {
    if (nowMs - this.#lookedMs < lookEveryMs) return this.#isDamaged;
    this.#lookedMs = nowMs;
    return (this.#isDamaged = existsSync(this.damagedPath));
  }

  /** Returns the damaged lines. A last line cut off by a crash doesn't count: nothing was granted on its basis. */
  #read(text: string | null): string[] {
    if (text === null) return [];
    // A valid file always has a header, so an empty one has lost its contents.
    if (text === "") return ["(the file was empty)"];
    const lines = text.split("\n");
    const cutOff = lines.pop() ?? "";
    const damaged: string[] = [];
    if (cutOff !== "" && (lines.length === 0 || !isStartOfLine(cutOff))) lines.push(cutOff);
    for (const line of lines) {
      const entry = line === "" ? null : parsed(line);
      if (entry === null) damaged.push(line);
      else if ("counter" in entry) this.counters.set(entry.counter.key, entry.counter);
      else if ("row" in entry) this.rows.push(entry.row);
    }
    return damaged;
  }

  counter(saved: SavedCounter): void {
    this.#pending.push(lineOf({ counter: saved }));
  }

  row(row: LedgerRow): void {
    this.#pending.push(lineOf({ row }));
  }

  /** Writes the noted lines. Call it before acting on them. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const text = `${this.#pending.join("\n")}\n`;
    this.#pending = [];
    writeSync(this.#file, text);
    this.#bytes += text.length;
    if (this.#bytes > compactBytes && this.#image !== null) this.write(this.#image());
  }

  /** Rewrites the file from `image`, now and whenever it has grown too large. */
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
