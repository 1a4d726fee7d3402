/**
 * Audit files: `audit-<time>-<chain>-<number>.jsonl` in one folder, a new one when the present one is full or a day
 * old, and none older than they are to be kept.
 */
import { type FileHandle, mkdir, open, readdir, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { readEnd } from "./chain.ts";
import type { AuditSink, End, Expired } from "./sink.ts";

export interface FileOptions {
  folder: string;
  maxBytes: number;
  /** 0: for ever. */
  retentionDays: number;
  nowMs(): number;
}

const dayMs = 86_400_000;
export const auditFile = /^audit-(\d{8}T\d{9}Z)-([0-9a-f-]{36})-(\d{6})\.jsonl$/;
const stamp = (ms: number): string => new Date(ms).toISOString().replace(/[-:.]/g, "");

/** Names in the order in which they were written. */
export async function auditFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => auditFile.test(name)).sort();
}

/** The last whole record of a file. */
async function lastOf(file: string): Promise<ReturnType<typeof readEnd>> {
  const lines = (await readFile(file, "utf8")).split("\n");
  for (let at = lines.length - 1; at >= 0; at--) {
    const last = readEnd(lines[at] ?? "");
    if (last !== null) return last;
  }
  return null;
}

/** Another process may use the folder, and delete first. */
function gone(cause: { code?: string }): null {
  if (cause.code === "ENOENT") return null;
  throw cause;
}

/**
 * The end of a file that is too old; null where it is not. By its last record's own time, which the chain vouches for:
 * who only sets back a file's date can't have the gateway delete it.
 */
async function agedOf(file: string, beforeMs: number): Promise<{ end: End | null } | null> {
  if ((await stat(file)).mtimeMs >= beforeMs) return null;
  const last = await lastOf(file);
  return last === null || !(last.timeMs >= beforeMs) ? { end: last?.end ?? null } : null;
}

/** In their order, so that what stays behind a failure is the end of its chain. */
async function removeAll(files: readonly string[]): Promise<void> {
  for (const file of files) await unlink(file).catch(gone);
}

export class FileSink implements AuditSink {
  readonly name = "file";
  readonly durable = true;
  readonly #options: FileOptions;
  readonly #chain: string;
  #handle: FileHandle | null = null;
  #size = 0;
  #openedMs = 0;
  #number = 0;

  constructor(chain: string, options: FileOptions) {
    this.#chain = chain;
    this.#options = options;
  }

  /** The end of what another process wrote last; null where there is nothing. */
  async previous(): Promise<End | null> {
    await mkdir(this.#options.folder, { recursive: true });
    const names = await auditFiles(this.#options.folder);
    for (const name of names.reverse()) {
      const last = await lastOf(join(this.#options.folder, name)).catch(gone);
      if (last !== null) return last.end;
    }
    return null;
  }

  async #file(): Promise<FileHandle> {
    const { maxBytes, nowMs, folder } = this.#options;
    const full = this.#size >= maxBytes || nowMs() - this.#openedMs >= dayMs;
    if (this.#handle !== null && !full) return this.#handle;
    await this.#handle?.close();
    this.#handle = null;
    this.#openedMs = nowMs();
    const name = `audit-${stamp(this.#openedMs)}-${this.#chain}-${String(this.#number++).padStart(6, "0")}.jsonl`;
    this.#handle = await open(join(folder, name), "ax", 0o600);
    this.#size = 0;
    return this.#handle;
  }

  async write(lines: string): Promise<void> {
    const handle = await this.#file();
    const bytes = Buffer.from(lines);
    try {
      await handle.appendFile(bytes);
      await handle.datasync();
    } catch (cause) {
      // Half of a batch must not stay, as all of it comes again; where it does, it stays the end of its file.
      await handle.truncate(this.#size).catch(() => this.#leave());
      throw cause;
    }
    this.#size += bytes.length;
  }

  async #leave(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close().catch(() => undefined);
  }

  async expired(): Promise<Expired | null> {
    const { folder, retentionDays, nowMs } = this.#options;
    if (retentionDays === 0) return null;
    const beforeMs = nowMs() - retentionDays * dayMs;
    const old: string[] = [];
    const ends: End[] = [];
    /** Chains of which something stays: what comes after it stays, too. */
    const staying = new Set<string>();
    // The newest never goes: something has to tell of the others.
    for (const name of (await auditFiles(folder)).slice(0, -1)) {
      const file = join(folder, name);
      const chain = auditFile.exec(name)?.[2] ?? "";
      const aged = staying.has(chain) ? null : await agedOf(file, beforeMs).catch(gone);
      if (aged === null) staying.add(chain);
      else old.push(file);
      if (aged?.end) ends.push(aged.end);
    }
    return old.length === 0 ? null : { ends, remove: () => removeAll(old) };
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
  }
}
