/**
 * The audit log of a process: one chain, written to every sink. Records are created at once and written in batches in
 * the background, so that only calls of policies with `required` wait for them. A sink that can't keep up gets what fits
 * into its buffer. The rest is counted, and the chain records how much is missing.
 */

import type { CallRecord } from "../call/record.ts";
import type { Chain } from "./chain.ts";
import { type Denial, Denials } from "./denials.ts";
import { type AuditFigures, type AuditWith, Outlet, type SinkReading } from "./outlet.ts";
import { type AuditEvent, auditMembers } from "./record.ts";
import { sealBodies } from "./sealed.ts";
import type { AuditSink, End } from "./sink.ts";

const retireEveryMs = 3_600_000;
/** How long expired records wait for the chain to announce their deletion. After that they stay until the next attempt. */
const retireWaitMs = 10_000;
const clocksMs = 3_600_000;

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
