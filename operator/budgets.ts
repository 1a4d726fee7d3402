/**
 * What the operator knows of budgets: from the status that it or another leader wrote, and from what proxies report.
 * In memory between passes; the status is written when something is crossed or was told of, and else once in a while.
 */
import { isDeepStrictEqual } from "node:util";
import type { AlertTest } from "../crds/types/alerts.ts";
import { type BudgetCrossing, budgetStatus } from "../crds/types/budget.ts";
import type { BudgetReadings, BudgetSeed } from "../proxy/config/budget.ts";
import { budgetAlert, budgetTest } from "./alerts/budget-alert.ts";
import { type Due, requestedTest, type TestDue, wants } from "./alerts/due.ts";
import { advance, boundedSeeds, exceeded, type Standing, seedsOf, standingIn, statusOfStanding } from "./compile/budget-standing.ts";
import type { BudgetWatch } from "./compile/budgets.ts";
import type { Compiled } from "./compile/compile.ts";
import { idOf } from "./compile/outcome.ts";
import type { ObjectMeta, WorldObject } from "./compile/world.ts";

/** Numbers that change with every request are not worth a write each. */
const reportEveryMs = 30_000;
/** A change of seeds is a revision of its own for all proxies. */
const seedEveryMs = 300_000;

interface Held {
  standing: Standing;
  /** As last put into a status, and when. */
  reported: Standing;
  reportedAtMs: number;
}

const metasOf = (others: Compiled["others"]): Map<string, ObjectMeta> =>
  new Map(others.filter(({ kind }) => kind === "Budget").map(({ meta }) => [idOf(meta), meta]));

const nameOf = ({ event, percent, subject }: BudgetCrossing): string => (event === "Spike" ? event : `${event} ${percent} ${subject}`);

export class BudgetBook {
  #held = new Map<string, Held>();
  #tests = new Map<string, AlertTest>();
  #seeds: BudgetSeed[] = [];
  #seededAtMs = 0;

  /** What is in memory no longer counts: another process may have written since. */
  forget(): void {
    this.#held.clear();
    this.#tests.clear();
    this.#seededAtMs = 0;
  }

  /** Reads statuses that nothing is known of yet. */
  learn(objects: readonly WorldObject[]): void {
    for (const object of objects) {
      if (object.kind !== "Budget" || this.#held.has(idOf(object.meta))) continue;
      const parsed = budgetStatus.safeParse(object.status);
      if (parsed.success && parsed.data.alertTest !== undefined && !this.#tests.has(idOf(object.meta)))
        this.#tests.set(idOf(object.meta), parsed.data.alertTest);
      const standing = parsed.success ? standingIn(parsed.data) : null;
      if (standing !== null) this.#held.set(idOf(object.meta), { standing, reported: standing, reportedAtMs: 0 });
    }
  }

  /** What to render. `rendered`: what is published now. */
  seeds(watches: readonly BudgetWatch[], rendered: readonly BudgetSeed[], nowMs: number): readonly BudgetSeed[] {
    if (this.#seededAtMs === 0) this.#seeds = [...rendered];
    if (this.#seededAtMs !== 0 && nowMs - this.#seededAtMs < seedEveryMs) return this.#seeds;
    this.#seededAtMs = nowMs;
    const next = watches.flatMap((watch) => {
      const held = this.#held.get(watch.config.id);
      return held === undefined ? [] : seedsOf(watch, held.standing, this.#seeds);
    });
    this.#seeds = boundedSeeds(next);
    return this.#seeds;
  }

  /** Adds how budgets stand to their status. */
  report({ watches, others }: Compiled, reports: readonly BudgetReadings[], nowMs: number): void {
    const byId = new Map(watches.map((watch) => [watch.config.id, watch]));
    const next = new Map<string, Held>();
    for (const verdict of others) {
      const id = idOf(verdict.meta);
      const watch = verdict.kind === "Budget" ? byId.get(id) : undefined;
      if (watch === undefined) continue;
      const tested = this.#tests.get(id);
      if (tested !== undefined) verdict.status["alertTest"] = tested;
      const held = this.#advance(watch, this.#held.get(id), reports, nowMs);
      if (held === null) continue;
      next.set(id, held);
      Object.assign(verdict.status, statusOfStanding(watch, held.reported));
      verdict.conditions.push({ type: "Exceeded", ...exceeded(watch, held.reported) });
    }
    this.#held = next;
  }

  #advance(watch: BudgetWatch, before: Held | undefined, reports: readonly BudgetReadings[], nowMs: number): Held | null {
    const standing = advance(watch, before?.standing ?? null, reports, nowMs);
    if (standing === null) return null;
    const same =
      before !== undefined &&
      before.reported.periodStartMs === standing.periodStartMs &&
      before.reported.refused.size === standing.refused.size &&
      isDeepStrictEqual(before.reported.crossings, standing.crossings);
    if (same && nowMs - before.reportedAtMs < reportEveryMs) return { ...before, standing };
    return { standing, reported: standing, reportedAtMs: nowMs };
  }

  /** Crossings whose channels are not all told yet, of budgets that are there. */
  due({ watches, others }: Compiled): Due[] {
    const metas = metasOf(others);
    return watches.flatMap((watch) => {
      const { id } = watch.config;
      const held = this.#held.get(id);
      const meta = metas.get(id);
      if (held === undefined || meta === undefined) return [];
      const { crossings, periodStartMs, resetsAtMs } = held.standing;
      return crossings.flatMap((crossing): Due[] => {
        const channels = watch.channels.filter((channel) => wants(channel, crossing.event) && !crossing.told.includes(channel.id));
        if (channels.length === 0) return [];
        const alert = budgetAlert(watch, crossing, resetsAtMs, `${id}|${periodStartMs}|${nameOf(crossing)}`);
        return [{ kind: "Budget", meta, alert, channels, settled: (channel) => this.#told(id, crossing, channel) }];
      });
    });
  }

  /** Budgets whose channels are to be tried out, since their annotation says so. */
  testsDue({ watches, others }: Compiled, nowMs: number): TestDue[] {
    const metas = metasOf(others);
    return watches.flatMap((watch): TestDue[] => {
      const { id, namespace } = watch.config;
      const requestedAt = requestedTest(metas.get(id), this.#tests.get(id));
      if (requestedAt === null) return [];
      const tested = (results: AlertTest["results"]): void => void this.#tests.set(id, { requestedAt, results });
      return [{ about: `Budget/${id}`, namespace, alert: budgetTest(watch, requestedAt, nowMs), channels: watch.channels, tested }];
    });
  }

  /** A channel need not be told of a crossing any more. */
  #told(id: string, crossing: BudgetCrossing, channel: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    const crossings = held.standing.crossings.map((one) =>
      nameOf(one) === nameOf(crossing) && one.at === crossing.at ? { ...one, told: [...new Set([...one.told, channel])] } : one,
    );
    held.standing = { ...held.standing, crossings };
  }
}
