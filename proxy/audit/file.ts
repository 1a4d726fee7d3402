/**
 * Audit files: `audit-<time>-<chain>-<number>.jsonl` in one folder, a new one when the present one is full or a day
 * old, and none older than they are to be kept.
 */
import { type FileHandle, mkdir, open, readdir, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { digestBy, readLink } from "./chain.ts";
import type { AuditSink, End } from "./sink.ts";

export interface FileOptions {
  folder: string;
  maxBytes: number;
  /** 0: for ever. */
  retentionDays: number;
  nowMs(): number;
}

const dayMs = 86_400_000;
export const auditFile = /^audit-(\d{8}T\d{9}Z)-([0-9a-f-]{36})-(\d{6})\.jsonl$/;
/** Whether records are sound is not asked here. */
const plain = digestBy(null);
const stamp = (ms: number): string => new Date(ms).toISOString().replace(/[-:.]/g, "");

/** Names in the order in which they were written. */
export async function auditFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => auditFile.test(name)).sort();
}

/** The end of the last whole record of a file. */
async function endOf(file: string): Promise<End | null> {
  const lines = (await readFile(file, "utf8")).split("\n");
  for (let at = lines.length - 1; at >= 0; at--) {
    const link = readLink(lines[at] ?? "", plain);
    if (link !== null) return { chain: link.chain, seq: link.seq, hash: link.hash };
  }
  return null;
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
      const end = await endOf(join(this.#options.folder, name));
      if (end !== null) return end;
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
      // Half of a batch must not stay: all of it comes again.
      await handle.truncate(this.#size).catch(() => undefined);
      throw cause;
    }
    this.#size += bytes.length;
  }

  /** Deletes what is too old, and says up to where that went. */
  async retire(): Promise<End[]> {
    const { folder, retentionDays, nowMs } = this.#options;
    if (retentionDays === 0) return [];
    const ends: End[] = [];
    const names = await auditFiles(folder);
    // The newest is never deleted: something has to tell of the others.
    for (const name of names.slice(0, -1)) {
      const file = join(folder, name);
      // Another process may use the folder, and be first.
      const end = await this.#deleteOld(file, nowMs() - retentionDays * dayMs).catch((cause: { code?: string }) => {
        if (cause.code === "ENOENT") return null;
        throw cause;
      });
      if (end !== null) ends.push(end);
    }
    return ends;
  }

  /** null where it stays, or held nothing. */
  async #deleteOld(file: string, beforeMs: number): Promise<End | null> {
    if ((await stat(file)).mtimeMs >= beforeMs) return null;
    const end = await endOf(file);
    await unlink(file);
    return end;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
  }
}
