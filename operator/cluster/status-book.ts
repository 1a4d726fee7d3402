/** Which objects may need a new status. Of 50,000 keys few do in any pass. Pure, except for what it remembers. */
import { delta, equal } from "../../proxy/config/incremental.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { type Programmed, previousConditions, statusOf } from "../compile/status.ts";
import type { Verdict } from "../compile/verdict.ts";
import type { ObjectMeta, WorldObject } from "../compile/world.ts";
import { LiveBook, type Rollout } from "./live-book.ts";
import { newStatus } from "./report.ts";

/** A status to be written. */
export interface StatusWrite {
  verdict: Verdict;
  object: WorldObject;
  status: Record<string, unknown>;
}

/**
 * Pure: the first status of objects that have none. GitOps tools take an object without a status for a ready one, so it
 * must not wait for the proxies' answers. Alerts, budgets and health are added by the next status.
 */
export function firstStatuses(
  objects: readonly WorldObject[],
  verdicts: readonly Verdict[],
  state: Programmed,
  nowMs: number,
): StatusWrite[] {
  const bare = objects.filter(({ status }) => previousConditions(status).length === 0);
  if (bare.length === 0) return [];
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

export class StatusBook {
  readonly #live = new LiveBook();
  readonly #byMeta = new Map<ObjectMeta, WorldObject>();
  #objects: readonly WorldObject[] = [];
  #verdicts: readonly Verdict[] = [];
  /** Objects whose status is not known to be up to date. */
  #open = new Set<Verdict>();
  #noProxies = false;

  /**
   * Returns the objects whose status must change. `before`: what was published before, which tells a new leader what is
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
    const due: StatusWrite[] = [];
    for (const verdict of [...this.#open]) {
      const object = this.#byMeta.get(verdict.meta);
      const status = object === undefined ? null : newStatus(verdict, object, stateOf(verdict), nowMs);
      if (object !== undefined && status !== null) due.push({ verdict, object, status });
      // Once it is written, the object and its verdict are new ones.
      else if (!this.#live.isPending(verdict)) this.#open.delete(verdict);
    }
    return due;
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
