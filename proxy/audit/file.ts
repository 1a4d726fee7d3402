/**
 * Audit files in one folder, named `audit-<time>-<chain>-<number>.jsonl`. A new file begins when the current one is full
 * or a day old. Expired files are deleted.
 */
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { auditFiles, gone, readAuditFile } from "./files.ts";
import { expiredFiles } from "./retention.ts";
import type { AuditSink, End, Expired } from "./sink.ts";

export interface FileOptions {
  folder: string;
  maxBytes: number;
  /** 0: keep for ever. */
  retentionDays: number;
  nowMs(): number;
}

const dayMs = 86_400_000;
const stamp = (ms: number): string => new Date(ms).toISOString().replace(/[-:.]/g, "");

export class FileSink implements AuditSink {
  readonly name = "file";
  readonly durable = true;
  readonly keptMs: number | null;
  readonly #options: FileOptions;
  readonly #chain: string;
  #handle: FileHandle | null = null;
  #size = 0;
  #openedMs = 0;
  #number = 0;

  constructor(chain: string, options: FileOptions) {
    this.#chain = chain;
    this.#options = options;
    this.keptMs = options.retentionDays === 0 ? null : options.retentionDays * dayMs;
  }

  /** Where another process's last chain ended; null if there is none. */
  async previous(): Promise<End | null> {
    await mkdir(this.#options.folder, { recursive: true });
    const names = await auditFiles(this.#options.folder);
    for (const name of names.reverse()) {
      const content = await readAuditFile(join(this.#options.folder, name)).catch(gone);
      if (content?.last != null) return content.last.end;
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
      // Half a batch must not stay, because the whole batch is written again. If it can't be removed, it is the file's end.
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
    const { folder, nowMs } = this.#options;
    if (this.keptMs === null) return null;
    const beforeMs = nowMs() - this.keptMs;
    return expiredFiles(folder, beforeMs);
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
  }
}
