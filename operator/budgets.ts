/**
 * What the operator knows of budgets: from the status that it or another leader wrote, and from what proxies report.
 * In memory between passes; the status is written when something is crossed or was told of, and else once in a while.
 */
import { isDeepStrictEqual } from "node:util";
import { type AlertTest, type BudgetCrossing, budgetStatus } from "../crds/types/budget.ts";
import type { BudgetReadings, BudgetSeed } from "../proxy/config/budget.ts";
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

/** A crossing of which somebody is still to be told. */
export interface Untold {
  watch: BudgetWatch;
  meta: ObjectMeta;
  crossing: BudgetCrossing;
  resetsAtMs: number | null;
  /** Same for the same crossing, whoever asks. */
  key: string;
}

/** Asks for a test alert by each channel; any new value, best a moment. */
export const testAnnotation = "sluice.dev/test-alerts";

export interface TestDue {
  watch: BudgetWatch;
  requestedAt: string;
}

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
  untold({ watches, others }: Compiled): Untold[] {
    const metas = new Map(others.filter(({ kind }) => kind === "Budget").map(({ meta }) => [idOf(meta), meta]));
    return watches.flatMap((watch) => {
      const { id } = watch.config;
      const held = this.#held.get(id);
      const meta = metas.get(id);
      if (held === undefined || meta === undefined) return [];
      const { crossings, periodStartMs, resetsAtMs } = held.standing;
      return crossings
        .filter(({ event, told }) => watch.channels.some((channel) => wants(channel.on, event) && !told.includes(channel.id)))
        .map((crossing) => ({ watch, meta, crossing, resetsAtMs, key: `${id}|${periodStartMs}|${nameOf(crossing)}` }));
    });
  }

  /** Budgets whose channels are to be tried out, since their annotation says so. */
  testsDue({ watches }: Compiled, objects: readonly WorldObject[]): TestDue[] {
    const asked = new Map(objects.filter(({ kind }) => kind === "Budget").map(({ meta }) => [idOf(meta), meta.annotations?.[testAnnotation]]));
    return watches.flatMap((watch) => {
      const requestedAt = asked.get(watch.config.id)?.slice(0, 64);
      return requestedAt === undefined || this.#tests.get(watch.config.id)?.requestedAt === requestedAt ? [] : [{ watch, requestedAt }];
    });
  }

  tested(id: string, test: AlertTest): void {
    this.#tests.set(id, test);
  }

  /** A channel need not be told of a crossing any more. */
  told({ watch, crossing }: Untold, channel: string): void {
    const held = this.#held.get(watch.config.id);
    if (held === undefined) return;
    const crossings = held.standing.crossings.map((one) =>
      nameOf(one) === nameOf(crossing) && one.at === crossing.at ? { ...one, told: [...new Set([...one.told, channel])] } : one,
    );
    held.standing = { ...held.standing, crossings };
  }
}

export const wants = (on: readonly string[] | null, event: string): boolean => on === null || on.includes(event);
