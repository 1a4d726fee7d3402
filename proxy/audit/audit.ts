/**
 * The audit log of a process: one chain, written to every sink. Records are made at once and leave in batches in the
 * background, so that nothing waits for them but calls whose policy says so. A sink that doesn't keep up gets what fits
 * into its buffer; what doesn't is counted, and the chain says how much is missing.
 */

import type { CallRecord } from "../call/record.ts";
import type { Clock } from "../clock.ts";
import type { Sealer } from "../seal/seal.ts";
import type { Chain } from "./chain.ts";
import { type AuditEvent, auditMembers } from "./record.ts";
import { sealBodies } from "./sealed.ts";
import type { AuditSink, End } from "./sink.ts";

/** What may wait for one sink, in characters. */
const mostWaiting = 16_777_216;
const firstPauseMs = 100;
const longestPauseMs = 5_000;
const retireEveryMs = 3_600_000;
/** How long what is too old waits for the chain to tell that it goes; then it stays until the next time. */
const retireWaitMs = 10_000;
const clocksMs = 3_600_000;

/** Records that a sink did not take: numbers in the chain, both included. */
interface Gap {
  from: number;
  to: number;
}

export interface AuditFigures {
  records: number;
  /** By sink. */
  dropped: Map<string, number>;
  failures: Map<string, number>;
}

export interface AuditWith extends Clock {
  /** Seals bodies; null leaves them as they are. */
  sealer?: Sealer | null;
  /** A sink fails, or works again. */
  trouble(sink: string, cause: unknown): void;
}

const none: Gap[] = [];

/** One sink, its buffer, and who waits for it. */
class Outlet {
  readonly sink: AuditSink;
  readonly #with: AuditWith;
  readonly #figures: AuditFigures;
  #waiting: string[] = [];
  #size = 0;
  /** Records taken, and records written, since the start. */
  #taken = 0;
  #written = 0;
  #lost = 0;
  /** What is being lost, until something fits again. */
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
    this.#size += line.length;
    this.#busy ??= this.#run();
  }

  /** What is missing in this sink, once each. */
  gaps(): Gap[] {
    return this.#gaps.length === 0 ? none : this.#gaps.splice(0);
  }

  /** Whether all that was pushed so far is written: true when it is, false after `waitMs`, or where something was lost. */
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
    // Records of one turn leave together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0 && !this.#closed) {
      const batch = this.#waiting;
      this.#waiting = [];
      const text = batch.join("");
      try {
        await this.sink.write(text);
        this.#size -= text.length;
        this.#done(batch.length);
      } catch (cause) {
        this.#figures.failures.set(this.sink.name, (this.#figures.failures.get(this.sink.name) ?? 0) + 1);
        this.#with.trouble(this.sink.name, cause);
        this.#waiting = [...batch, ...this.#waiting];
        this.#pauseMs = Math.min(longestPauseMs, Math.max(firstPauseMs, this.#pauseMs * 2));
        await new Promise<void>((resolve) => this.#with.after(this.#pauseMs, resolve));
      }
    }
    this.#busy = null;
  }

  #done(count: number): void {
    this.#pauseMs = 0;
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
  #lastMs = 0;
  #retiring: Promise<void> = Promise.resolve();
  #stopRetiring: (() => void) | null = null;
  #closing = false;

  private constructor(chain: Chain, sinks: readonly AuditSink[], parts: AuditWith) {
    this.#chain = chain;
    this.#with = parts;
    this.#outlets = sinks.map((sink) => new Outlet(sink, parts, this.figures));
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

  /** The chain tells first, and then it is done: told and not done is no harm. */
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

  /** What a sink lost, once it takes records again. */
  #tellGaps(): void {
    for (const outlet of this.#outlets)
      for (const { from, to } of outlet.gaps())
        this.#add(
          `"type":"dropped","time":"${this.#time()}","in":"${outlet.sink.name}","from":${from},"to":${to},"count":${to - from + 1}`,
        );
  }

  /**
   * After a silence as long as records are kept, all of the chain may be gone, and with it what told of that. The time
   * that clocks may differ by is left to it.
   */
  #tellSilence(): void {
    const silentMs = this.#with.nowMs() - this.#lastMs;
    for (const { sink } of this.#outlets)
      if (sink.keptMs != null && silentMs >= sink.keptMs - clocksMs)
        this.#add(
          `"type":"retired","time":"${this.#time()}","in":"${sink.name}","until":${JSON.stringify({ chain: this.#chain.id, ...this.#chain.last })}`,
        );
  }

  /** What has to stand before anything else. */
  #tell(): void {
    this.#tellSilence();
    this.#tellGaps();
  }

  /** A call that is over, or about to be made. */
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

  /** Whether what was written so far is safe in every sink that can keep it. false where none can, or in time. */
  async durable(waitMs: number): Promise<boolean> {
    const keeping = this.#outlets.filter(({ sink }) => sink.durable);
    const all = await Promise.all(keeping.map((outlet) => outlet.written(waitMs)));
    return all.length > 0 && all.every(Boolean);
  }

  async close(waitMs = 3_000): Promise<void> {
    this.#closing = true;
    this.#stopRetiring?.();
    const late = Promise.withResolvers<void>();
    const cancel = this.#with.after(waitMs, late.resolve);
    await Promise.race([this.#retiring, late.promise]);
    // A timer that nobody waits for any more would keep the process.
    cancel();
    this.#tell();
    this.#add(`"type":"closed","time":"${this.#time()}"`);
    await Promise.all(this.#outlets.map((outlet) => outlet.close(waitMs)));
  }
}
