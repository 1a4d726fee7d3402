/** One sink of the audit log: its buffer, its retries, and what it has lost. */
import type { Clock } from "../clock.ts";
import type { Sealer } from "../seal/seal.ts";
import type { AuditSink, RefusedRecords } from "./sink.ts";

/** How many characters may wait for one sink. */
const maxWaiting = 16_777_216;
const firstPauseMs = 100;
const maxPauseMs = 5_000;
/** Records that a sink did not take, as an inclusive range of numbers in the chain. */
interface Gap {
  from: number;
  to: number;
}

export interface AuditFigures {
  records: number;
  /** Keyed by sink. */
  dropped: Map<string, number>;
  failures: Map<string, number>;
}

/** How one sink does now. */
export interface SinkReading {
  name: string;
  durable: boolean;
  /** Records that it has not taken yet. */
  waiting: number;
  /** Age of the oldest of them, in milliseconds; 0 if there are none. */
  lagMs: number;
  dropped: number;
  failures: number;
  /** Whether its last write failed. */
  failing: boolean;
}

export interface AuditWith extends Clock {
  /** Seals bodies; null leaves them readable. */
  sealer?: Sealer | null;
  /** A sink failed, or recovered. */
  trouble(sink: string, cause: unknown): void;
  /** It will never take some records, or warns about them. */
  refused?(sink: string, what: RefusedRecords): void;
}

const none: Gap[] = [];

/** One sink, its buffer, and the calls that wait for it. */
export class Outlet {
  readonly sink: AuditSink;
  readonly #with: AuditWith;
  readonly #figures: AuditFigures;
  #waiting: string[] = [];
  /** Records being written, and when the oldest of them came. */
  #writing: { count: number; sinceMs: number | null } | null = null;
  #size = 0;
  /** When the oldest record came that is waiting. */
  #waitingMs: number | null = null;
  /** Records accepted and records written since the start. */
  #taken = 0;
  #written = 0;
  #lost = 0;
  /** Records being lost until there is room again. */
  #gap: Gap | null = null;
  #gaps: Gap[] = [];
  #busy: Promise<void> | null = null;
  #pauseMs = 0;
  #closed = false;
  #waiters: { upTo: number; resolve(ok: boolean): void }[] = [];

  constructor(sink: AuditSink, parts: AuditWith, figures: AuditFigures) {
    this.sink = sink;
    this.#with = parts;
    this.#figures = figures;
  }

  push(line: string, seq: number): void {
    this.#taken++;
    if (this.#size + line.length > maxWaiting) {
      this.#lost++;
      this.#gap = { from: this.#gap?.from ?? seq, to: seq };
      this.#figures.dropped.set(this.sink.name, (this.#figures.dropped.get(this.sink.name) ?? 0) + 1);
      return;
    }
    if (this.#gap !== null) this.#gaps.push(this.#gap);
    this.#gap = null;
    this.#waiting.push(line);
    this.#waitingMs ??= this.#with.nowMs();
    this.#size += line.length;
    this.#busy ??= this.#run();
  }

  reading(): SinkReading {
    const { name, durable } = this.sink;
    const oldestMs = this.#writing?.sinceMs ?? this.#waitingMs;
    return {
      name,
      durable,
      waiting: (this.#writing?.count ?? 0) + this.#waiting.length,
      lagMs: oldestMs === null ? 0 : Math.max(this.#with.nowMs() - oldestMs, 0),
      dropped: this.#figures.dropped.get(name) ?? 0,
      failures: this.#figures.failures.get(name) ?? 0,
      failing: this.#pauseMs > 0,
    };
  }

  /** Ranges that this sink has lost, each reported once. */
  gaps(): Gap[] {
    return this.#gaps.length === 0 ? none : this.#gaps.splice(0);
  }

  /** Resolves to true once everything pushed so far is written; false after `waitMs`, or if something was lost. */
  written(waitMs: number): Promise<boolean> {
    if (this.#written >= this.#taken && this.#lost === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const cancel = this.#with.after(waitMs, () => resolve(false));
      this.#waiters.push({
        upTo: this.#taken,
        resolve: (ok) => {
          cancel();
          resolve(ok);
        },
      });
    });
  }

  async #run(): Promise<void> {
    // Records of one tick are written together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0 && !this.#closed) {
      const batch = this.#waiting;
      this.#waiting = [];
      this.#writing = { count: batch.length, sinceMs: this.#waitingMs };
      this.#waitingMs = null;
      const text = batch.join("");
      try {
        await this.sink.write(text, (what) => this.#refused(what, batch.length));
        this.#size -= text.length;
        this.#done(batch.length);
      } catch (cause) {
        this.#figures.failures.set(this.sink.name, (this.#figures.failures.get(this.sink.name) ?? 0) + 1);
        this.#with.trouble(this.sink.name, cause);
        this.#waiting = [...batch, ...this.#waiting];
        this.#waitingMs = this.#writing.sinceMs;
        this.#writing = null;
        this.#pauseMs = Math.min(maxPauseMs, Math.max(firstPauseMs, this.#pauseMs * 2));
        await new Promise<void>((resolve) => this.#with.after(this.#pauseMs, resolve));
      }
    }
    this.#busy = null;
  }

  /** A sink may name more than it was sent. */
  #refused({ records, why }: RefusedRecords, most: number): void {
    const { name } = this.sink;
    const lost = Math.min(records, most);
    this.#figures.dropped.set(name, (this.#figures.dropped.get(name) ?? 0) + lost);
    this.#with.refused?.(name, { records: lost, why: why === "" ? "it gives no reason" : why });
  }

  #done(count: number): void {
    this.#pauseMs = 0;
    this.#writing = null;
    this.#written += count + this.#lost;
    const ok = this.#lost === 0;
    this.#lost = 0;
    const ready = this.#waiters.filter(({ upTo }) => upTo <= this.#written);
    this.#waiters = this.#waiters.filter(({ upTo }) => upTo > this.#written);
    for (const { resolve } of ready) resolve(ok);
  }

  async close(waitMs: number): Promise<void> {
    await this.written(waitMs);
    this.#closed = true;
    await this.sink.close();
  }
}
