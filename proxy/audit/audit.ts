/**
 * The audit log of a process: one chain, written to every sink. Records are created at once and written in batches in
 * the background, so that only calls of policies with `required` wait for them. A sink that can't keep up gets what fits
 * into its buffer. The rest is counted, and the chain records how much is missing.
 */

import type { CallRecord } from "../call/record.ts";
import type { Clock } from "../clock.ts";
import type { Sealer } from "../seal/seal.ts";
import type { Chain } from "./chain.ts";
import { type Denial, Denials } from "./denials.ts";
import { type AuditEvent, auditMembers } from "./record.ts";
import { sealBodies } from "./sealed.ts";
import type { AuditSink, End } from "./sink.ts";

/** How many characters may wait for one sink. */
const mostWaiting = 16_777_216;
const firstPauseMs = 100;
const longestPauseMs = 5_000;
const retireEveryMs = 3_600_000;
/** How long expired records wait for the chain to announce their deletion. After that they stay until the next attempt. */
const retireWaitMs = 10_000;
const clocksMs = 3_600_000;

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
}

const none: Gap[] = [];

/** One sink, its buffer, and the calls that wait for it. */
class Outlet {
  readonly sink: AuditSink;
  readonly #with: AuditWith;
  readonly #figures: AuditFigures;
  #waiting: string[] = [];
  /** Records being written. */
  #writing = 0;
  #size = 0;
  /** When the oldest record came that is waiting, and the oldest that is being written. */
  #waitingMs: number | null = null;
  #writingMs: number | null = null;
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
    if (this.#size + line.length > mostWaiting) {
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
    const oldestMs = this.#writingMs ?? this.#waitingMs;
    return {
      name,
      durable,
      waiting: this.#writing + this.#waiting.length,
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
      this.#writing = batch.length;
      this.#writingMs = this.#waitingMs;
      this.#waitingMs = null;
      const text = batch.join("");
      try {
        await this.sink.write(text);
        this.#size -= text.length;
        this.#done(batch.length);
      } catch (cause) {
        this.#figures.failures.set(this.sink.name, (this.#figures.failures.get(this.sink.name) ?? 0) + 1);
        this.#with.trouble(this.sink.name, cause);
        this.#waiting = [...batch, ...this.#waiting];
        this.#waitingMs = this.#writingMs;
        this.#writing = 0;
        this.#writingMs = null;
        this.#pauseMs = Math.min(longestPauseMs, Math.max(firstPauseMs, this.#pauseMs * 2));
        await new Promise<void>((resolve) => this.#with.after(this.#pauseMs, resolve));
      }
    }
    this.#busy = null;
  }

  #done(count: number): void {
    this.#pauseMs = 0;
    this.#writing = 0;
    this.#writingMs = null;
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

export class AuditLog {
  readonly figures: AuditFigures = { records: 0, dropped: new Map(), failures: new Map() };
  readonly #chain: Chain;
  readonly #with: AuditWith;
  readonly #outlets: Outlet[];
  readonly #denials: Denials;
  #lastMs = 0;
  #retiring: Promise<void> = Promise.resolve();
  #stopRetiring: (() => void) | null = null;
  #closing = false;

  private constructor(chain: Chain, sinks: readonly AuditSink[], parts: AuditWith) {
    this.#chain = chain;
    this.#with = parts;
    this.#outlets = sinks.map((sink) => new Outlet(sink, parts, this.figures));
    this.#denials = new Denials((members) => {
      this.#tell();
      this.#add(`"type":"denied","time":"${this.#time()}",${members}`);
    }, parts.after);
  }

  static async open(chain: Chain, sinks: readonly AuditSink[], parts: AuditWith): Promise<AuditLog> {
    const audit = new AuditLog(chain, sinks, parts);
    const ends = await Promise.all(
      sinks.map(async (sink) => ({ name: sink.name, end: (await sink.previous?.()) ?? null })),
    );
    const follows = ends.flatMap(({ name, end }) => (end === null ? [] : [{ in: name, ...end }]));
    audit.#add(`"type":"opened","time":"${audit.#time()}","follows":${JSON.stringify(follows)}`);
    audit.#retire();
    return audit;
  }

  readings(): SinkReading[] {
    return this.#outlets.map((outlet) => outlet.reading());
  }

  #time(): string {
    return new Date(this.#with.nowMs()).toISOString();
  }

  #add(members: string): void {
    this.#lastMs = this.#with.nowMs();
    this.figures.records++;
    const line = this.#chain.add(members);
    const { seq } = this.#chain.last;
    for (const outlet of this.#outlets) outlet.push(line, seq);
  }

  #retire(): void {
    this.#retiring = Promise.all(this.#outlets.map((outlet) => this.#retireIn(outlet))).then(() => {
      if (!this.#closing) this.#stopRetiring = this.#with.after(retireEveryMs, () => this.#retire());
    });
  }

  /** Announced in the chain before it is deleted: an announcement without a deletion does no harm. */
  async #retireIn(outlet: Outlet): Promise<void> {
    const { sink } = outlet;
    try {
      const expired = (await sink.expired?.()) ?? null;
      if (expired === null) return;
      this.#tell();
      for (const end of expired.ends)
        this.#add(
          `"type":"retired","time":"${this.#time()}","in":"${sink.name}","until":${JSON.stringify(end satisfies End)}`,
        );
      if (await outlet.written(retireWaitMs)) await expired.remove();
    } catch (cause) {
      this.#with.trouble(sink.name, cause);
    }
  }

  /** What a sink lost, written once it takes records again. */
  #tellGaps(): void {
    for (const outlet of this.#outlets)
      for (const { from, to } of outlet.gaps())
        this.#add(
          `"type":"dropped","time":"${this.#time()}","in":"${outlet.sink.name}","from":${from},"to":${to},"count":${to - from + 1}`,
        );
  }

  /**
   * After a silence as long as the retention period, the whole chain may be deleted, including the records that announced
   * it. The time allows for clocks that differ.
   */
  #tellSilence(): void {
    const silentMs = this.#with.nowMs() - this.#lastMs;
    for (const { sink } of this.#outlets)
      if (sink.keptMs != null && silentMs >= sink.keptMs - clocksMs)
        this.#add(
          `"type":"retired","time":"${this.#time()}","in":"${sink.name}","until":${JSON.stringify({ chain: this.#chain.id, ...this.#chain.last })}`,
        );
  }

  /** Records that must be written before any other. */
  #tell(): void {
    this.#tellSilence();
    this.#tellGaps();
  }

  /** A call that ended, or is about to be made. */
  write(event: AuditEvent, call: CallRecord): void {
    this.#tell();
    const { id, next } = this.#chain;
    const { sealer = null } = this.#with;
    this.#add(
      auditMembers(
        event,
        call,
        this.#with.nowMs(),
        sealer === null ? null : (bodies) => sealBodies(sealer, id, next, bodies),
      ),
    );
  }

  /** An attempt that was turned away before it was a call. */
  deny(denial: Denial): void {
    if (!this.#closing) this.#denials.add(denial);
  }

  /** Whether everything written so far is safe in a sink that can keep it. False if there is none, or not in time. */
  async durable(waitMs: number): Promise<boolean> {
    const keeping = this.#outlets.filter(({ sink }) => sink.durable);
    const all = await Promise.all(keeping.map((outlet) => outlet.written(waitMs)));
    return all.length > 0 && all.every(Boolean);
  }

  async close(waitMs = 3_000): Promise<void> {
    this.#closing = true;
    this.#denials.flush();
    this.#stopRetiring?.();
    const late = Promise.withResolvers<void>();
    const cancel = this.#with.after(waitMs, late.resolve);
    await Promise.race([this.#retiring, late.promise]);
    // A timer that nobody awaits would keep the process alive.
    cancel();
    this.#tell();
    this.#add(`"type":"closed","time":"${this.#time()}"`);
    await Promise.all(this.#outlets.map((outlet) => outlet.close(waitMs)));
  }
}
