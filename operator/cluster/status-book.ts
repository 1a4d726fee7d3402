/** Which objects may need a new status. In any pass, few of 50,000 keys do. Pure, except for what it remembers. */
import { isDeepStrictEqual } from "node:util";
import { delta, equal } from "../../proxy/config/incremental.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { type Programmed, previousConditions, statusOf } from "../compile/status.ts";
import type { Verdict } from "../compile/verdict.ts";
import type { ObjectMeta, WorldObject } from "../compile/world.ts";
import { LiveBook, type Rollout } from "./live-book.ts";
import { newStatus } from "./report.ts";
import { inTurns } from "./turns.ts";

/** A status to be written. */
export interface StatusWrite {
  verdict: Verdict;
  object: WorldObject;
  status: Record<string, unknown>;
}

/**
 * If more objects than this have changed, statuses that only say that a form is on its way are left out: at 100 writes a
 * second, they would double the time until the last object says that it is live.
 */
const maxAnnounced = 200;

/**
 * Most statuses that are returned at a time. Those of 20,000 keys would take 40 MB while they wait to be written, and most
 * would be computed again before that.
 */
const maxDue = 2_000;

const isReported = ({ meta, status }: WorldObject): boolean =>
  (status as { observedGeneration?: number } | null)?.observedGeneration === meta.generation;

/**
 * Pure: the first status of objects without one, unless there are very many. GitOps tools take an object without a
 * status for ready, so it must not wait for the proxies' answers. Alerts, budgets and health are added by the next
 * status.
 */
export function firstStatuses(
  objects: readonly WorldObject[],
  verdicts: readonly Verdict[],
  state: Programmed,
  nowMs: number,
): StatusWrite[] {
  const bare = objects.filter(({ status }) => previousConditions(status).length === 0);
  if (bare.length === 0 || bare.length > maxAnnounced) return [];
  const byMeta = new Map(bare.map((object) => [object.meta, object]));
  return verdicts.flatMap((verdict) => {
    const object = byMeta.get(verdict.meta);
    return object === undefined ? [] : [{ verdict, object, status: statusOf(verdict, state, object.status, nowMs) }];
  });
}

/** The previous entry, if it says the same of the same object. */
function sameAs(before: Verdict | undefined, verdict: Verdict): Verdict {
  return before !== undefined && before !== verdict && before.meta === verdict.meta && equal(before, verdict)
    ? before
    : verdict;
}

/** How often a status is written only because a rollout has come further, or back: a proxy may not answer in time. */
const progressMs = 30_000;
const ofRollout: ReadonlySet<string> = new Set(["Programmed", "Ready", "Reconciling"]);

interface Standing {
  generation: number;
  /** Whether it waits for proxies. */
  waits: boolean;
  rest: unknown;
}

/** A status that may report only that a form is being rolled out. */
interface Announcement {
  verdict: Verdict;
  object: WorldObject;
  status: Record<string, unknown>;
  /** Whether very many objects have changed. */
  crowded: boolean;
}

/** An object whose form is being rolled out, which its status need not say yet. */
interface Early {
  /** When its progress was reported last, or first left out. */
  atMs: number;
  verdict: Verdict;
  /** Left out only because very many objects have changed. */
  inCrowd: boolean;
}

/** The part of a status about the rollout, and the rest. */
function standingIn(status: unknown): Standing {
  const conditions = previousConditions(status);
  const programmed = conditions.find(({ type }) => type === "Programmed");
  const { why, ...fields } = (status ?? {}) as { why?: string };
  const others = conditions.filter(({ type }) => !ofRollout.has(type));
  const ordered = others.sort((a, b) => (a.type < b.type ? -1 : 1));
  return {
    generation: programmed?.observedGeneration ?? 0,
    waits: programmed?.reason === "Pending",
    rest: { ...fields, why: why === programmed?.message ? "" : why, conditions: ordered },
  };
}

export class StatusBook {
  readonly #live = new LiveBook();
  /** By the uid of the object. */
  readonly #progress = new Map<string, Early>();
  readonly #byMeta = new Map<ObjectMeta, WorldObject>();
  #objects: readonly WorldObject[] = [];
  #verdicts: readonly Verdict[] = [];
  /** Objects whose status is not known to be up to date. */
  #open = new Set<Verdict>();
  #noProxies = false;
  #hasMore = false;

  /** Whether more statuses were due than the last call of `due` returned. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /**
   * Returns the objects whose status must change, at most `maxDue`; namespaces then take turns. `before`: what was published before, which tells a new leader what is
   * already live.
   */
  due(
    objects: readonly WorldObject[],
    fresh: readonly Verdict[],
    now: Rollout,
    nowMs: number,
    before: RenderedConfig | null = null,
  ): StatusWrite[] {
    const verdicts = fresh.map((verdict, index) => sameAs(this.#verdicts[index], verdict));
    this.#turnOver(objects, verdicts);
    const statusNow = (verdict: Verdict): unknown => this.#byMeta.get(verdict.meta)?.status;
    const stateOf = this.#live.statesOf(verdicts, now, statusNow, before);
    const noProxies = now.proxies.length === 0;
    // Losing the last proxy, and getting the first one again, change every status.
    if (noProxies || this.#noProxies) this.#open = new Set(verdicts);
    this.#noProxies = noProxies;
    const due = this.#select(stateOf, nowMs);
    if (this.#progress.size > this.#open.size) this.#forgetProgress();
    return due;
  }

  #select(stateOf: (verdict: Verdict) => Programmed, nowMs: number): StatusWrite[] {
    const crowded = this.#unreported() > maxAnnounced;
    const due: StatusWrite[] = [];
    this.#hasMore = false;
    for (const verdict of this.#queue()) {
      this.#hasMore = due.length >= maxDue;
      if (this.#hasMore) break;
      if (this.#isStillEarly(verdict, crowded, nowMs)) continue;
      const object = this.#byMeta.get(verdict.meta);
      const status = object === undefined ? null : newStatus(verdict, object, stateOf(verdict), nowMs);
      if (object !== undefined && status !== null && !this.#isEarly({ verdict, object, status, crowded }, nowMs))
        due.push({ verdict, object, status });
      // Once it is written, the object and its verdict are new ones.
      else if (!this.#live.isPending(verdict)) this.#open.delete(verdict);
    }
    return due;
  }

  #queue(): readonly Verdict[] {
    const open = [...this.#open];
    return open.length <= maxDue ? open : inTurns(open, ({ meta }) => meta.namespace, 0);
  }

  /** Objects whose present form no status reports yet. */
  #unreported(): number {
    let count = 0;
    for (const { meta } of this.#open) {
      const object = this.#byMeta.get(meta);
      if (object !== undefined && !isReported(object)) count++;
    }
    return count;
  }

  /**
   * Whether nothing but the progress of a rollout has changed, which was reported a moment ago; or whether the form is on
   * its way like very many others, and will be live in a moment.
   */
  #isEarly({ verdict, object, status, crowded }: Announcement, nowMs: number): boolean {
    const { uid } = object.meta;
    const [was, is] = [standingIn(object.status), standingIn(status)];
    const sameForm = was.generation === is.generation;
    const onlyProgress = sameForm && was.waits && isDeepStrictEqual(was.rest, is.rest);
    if (!is.waits || !(onlyProgress || (crowded && !sameForm))) {
      this.#progress.delete(uid);
      return false;
    }
    const lastMs = this.#progress.get(uid)?.atMs;
    const isDue = lastMs !== undefined && nowMs - lastMs >= progressMs;
    // If the clock was set back, start again.
    const atMs = isDue || lastMs === undefined || lastMs > nowMs ? nowMs : lastMs;
    this.#progress.set(uid, { atMs, verdict, inCrowd: !onlyProgress });
    return !isDue;
  }

  /** Whether nothing has changed since its status was found to be early. Saves computing the status again. */
  #isStillEarly(verdict: Verdict, crowded: boolean, nowMs: number): boolean {
    const last = this.#progress.get(verdict.meta.uid);
    // Without a proxy, every status says so.
    if (this.#noProxies || last === undefined || last.verdict !== verdict || !this.#live.isPending(verdict))
      return false;
    return (crowded || !last.inCrowd) && nowMs >= last.atMs && nowMs - last.atMs < progressMs;
  }

  #forgetProgress(): void {
    const open = new Set([...this.#open].map(({ meta }) => meta.uid));
    for (const uid of this.#progress.keys()) if (!open.has(uid)) this.#progress.delete(uid);
  }

  #turnOver(objects: readonly WorldObject[], verdicts: readonly Verdict[]): void {
    const changed = delta(this.#objects, objects);
    for (const object of changed.gone) this.#byMeta.delete(object.meta);
    for (const object of changed.come) this.#byMeta.set(object.meta, object);
    this.#objects = objects;
    const replaced = delta(this.#verdicts, verdicts);
    for (const verdict of replaced.gone) this.#open.delete(verdict);
    for (const verdict of replaced.come) this.#open.add(verdict);
    this.#verdicts = verdicts;
  }
}
