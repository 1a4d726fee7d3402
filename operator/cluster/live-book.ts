/**
 * Tracks which form of each object is live on every proxy. A new revision changes a few objects; the others stay
 * Programmed, and their statuses aren't rewritten for each revision. With 50,000 keys that is the difference between
 * one write and 50,000. Pure, except for what it remembers.
 */
import { delta, equal } from "../../proxy/config/incremental.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { type Programmed, previousConditions } from "../compile/status.ts";
import type { Verdict } from "../compile/verdict.ts";
import { entriesOf } from "../publish/unpublished.ts";

/** The uid is in memory anyway; a text built from names would take more. */
const refOf = ({ kind, meta }: Verdict): string => meta.uid || `${kind}/${meta.namespace}/${meta.name}`;

/** What an earlier process found, read from the condition that it wrote. */
export function stateIn(status: unknown, generation: number): Programmed | null {
  const condition = previousConditions(status).find((previousCondition) => previousCondition.type === "Programmed");
  if (condition === undefined || condition.observedGeneration !== generation) return null;
  if (condition.status !== "True" && condition.reason !== "Partial" && condition.reason !== "LastGood") return null;
  const match = /(?:^|\()(\d+)\/(\d+) proxies at ([0-9a-f]+)\)?$/.exec(condition.message);
  if (match === null || match[1] !== match[2]) return null;
  return { live: Number(match[1]), total: Number(match[2]), revision: match[3] ?? "" };
}

/** The form of an object that was live on every proxy, and its state at that time. */
interface Held {
  entry: object | null;
  state: Programmed;
}

/**
 * The newest revision, and the revision of each proxy that counts; null for a proxy that has none or does not answer.
 */
export interface Rollout {
  revision: string;
  proxies: readonly (string | null)[];
}

/** A form of an object that is not live on every proxy yet, and the revision that first held it. */
interface Awaited {
  entry: object | null;
  revision: string;
  place: number;
}

/** A proxy that is further behind than this counts as one without a config. */
const maxRevisions = 256;

/** The order in which revisions came. */
class Revisions {
  readonly #places = new Map<string, number>();
  #newest = "";
  #count = 0;

  /** Position of the newest revision. */
  add(revision: string): number {
    if (revision === this.#newest) return this.#count;
    this.#newest = revision;
    // A revision that returns gets a new position; proxies that still serve it have nothing to load.
    this.#places.delete(revision);
    this.#places.set(revision, ++this.#count);
    const [oldest] = this.#places.keys();
    if (this.#places.size > maxRevisions && oldest !== undefined) this.#places.delete(oldest);
    return this.#count;
  }

  /** -1: unknown, or too long ago. */
  placeOf(revision: string | null): number {
    return revision === null ? -1 : (this.#places.get(revision) ?? -1);
  }
}

export class LiveBook {
  readonly #known = new Map<string, Held>();
  readonly #revisions = new Revisions();
  readonly #awaited = new Map<string, Awaited>();
  #verdicts: readonly Verdict[] = [];
  #first = true;
  /** Verdicts on forms that are not known to be live on every proxy. */
  readonly #pending = new Set<Verdict>();

  /**
   * Finds the state to report for each object: the state in which its present form went live, or how far its rollout
   * is. The rollout counts from the revision that first held the form: where other objects change all the time, proxies
   * may never all be at the newest one. The same verdict object as last time means the same form.
   */
  statesOf(
    verdicts: readonly Verdict[],
    now: Rollout,
    statusNow: (verdict: Verdict) => unknown,
    before: RenderedConfig | null = null,
  ): (verdict: Verdict) => Programmed {
    if (this.#first) this.#takeOver(verdicts, statusNow, before);
    this.#first = false;
    const place = this.#revisions.add(now.revision);
    this.#turnOver(verdicts);
    const places = now.proxies.map((revision) => this.#revisions.placeOf(revision));
    const total = places.length;
    const reached = new Map<string, Programmed>();
    for (const verdict of [...this.#pending]) {
      // No revision holds it yet: it counts from the next one.
      if (verdict.unpublished) {
        this.#known.delete(refOf(verdict));
        continue;
      }
      const awaited = this.#await(verdict, now.revision, place);
      const state = {
        revision: awaited.revision,
        live: places.filter((place) => place >= awaited.place).length,
        total,
      };
      if (this.#settle(verdict, state, statusNow)) this.#pending.delete(verdict);
      else reached.set(refOf(verdict), state);
    }
    const nowhere: Programmed = { revision: now.revision, live: 0, total };
    // With no proxy at all nothing is live, whatever was live before.
    return (verdict) =>
      total === 0 ? nowhere : (this.#known.get(refOf(verdict))?.state ?? reached.get(refOf(verdict)) ?? nowhere);
  }

  /**
   * A form that an earlier process found live, and that is published unchanged, is still live, whatever revision is
   * being rolled out now.
   */
  #takeOver(
    verdicts: readonly Verdict[],
    statusNow: (verdict: Verdict) => unknown,
    before: RenderedConfig | null,
  ): void {
    if (before === null) return;
    const entries = entriesOf(before);
    for (const verdict of verdicts) {
      const state = stateIn(statusNow(verdict), verdict.meta.generation);
      if (state === null || verdict.entry === null) continue;
      const published = entries[verdict.kind].get(`${verdict.meta.namespace}/${verdict.meta.name}`);
      if (equal(published, verdict.entry)) this.#known.set(refOf(verdict), { entry: verdict.entry, state });
    }
  }

  /** Writing a status yields a new verdict on the same form. */
  #await(verdict: Verdict, revision: string, place: number): Awaited {
    const ref = refOf(verdict);
    const before = this.#awaited.get(ref);
    if (before !== undefined && (before.entry === verdict.entry || equal(before.entry, verdict.entry))) return before;
    const awaited = { entry: verdict.entry, revision, place };
    this.#awaited.set(ref, awaited);
    return awaited;
  }

  #turnOver(verdicts: readonly Verdict[]): void {
    const { gone, come } = delta(this.#verdicts, verdicts);
    this.#verdicts = verdicts;
    const refs = new Set<string>();
    for (const verdict of gone) {
      this.#pending.delete(verdict);
      refs.add(refOf(verdict));
    }
    for (const verdict of come) {
      this.#pending.add(verdict);
      refs.delete(refOf(verdict));
    }
    for (const ref of refs) {
      this.#known.delete(ref);
      this.#awaited.delete(ref);
    }
  }

  /** Returns whether the state in which the form went live is known. */
  #settle(verdict: Verdict, state: Programmed, statusNow: (verdict: Verdict) => unknown): boolean {
    const ref = refOf(verdict);
    const was = this.#known.get(ref);
    if (was !== undefined && equal(was.entry, verdict.entry)) was.entry = verdict.entry;
    else if (state.total > 0 && state.live >= state.total) {
      const reported = was === undefined ? stateIn(statusNow(verdict), verdict.meta.generation) : null;
      this.#known.set(ref, { entry: verdict.entry, state: reported ?? state });
    } else {
      this.#known.delete(ref);
      return false;
    }
    this.#awaited.delete(ref);
    return true;
  }

  /** Whether the form is live everywhere is not known yet, so its state may differ next time. */
  isPending(verdict: Verdict): boolean {
    return this.#pending.has(verdict);
  }
}
