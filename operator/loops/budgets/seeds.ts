/** Past spending that is rendered into the config, so that proxies without state start from it. Pure. */
import type { BudgetSeed } from "../../../proxy/config/budget.ts";
import type { BudgetRules } from "../../compile/budgets.ts";
import type { BudgetState } from "./state.ts";

/** Rendered seeds lag behind by at most this share of the amount, while they may be rendered again. */
const lag = 0.05;
const maxSeeds = 2_000;

/** Seeds of one budget. Those already rendered stay while they are near enough. */
export function seedsOf({ config }: BudgetRules, state: BudgetState, rendered: readonly BudgetSeed[]): BudgetSeed[] {
  const since = state.sinceMs === null ? {} : { sinceMs: state.sinceMs };
  const before = rendered.filter(
    (seed) =>
      seed.budget === config.id &&
      seed.periodStartMs === state.periodStartMs &&
      (seed.sinceMs ?? null) === state.sinceMs,
  );
  return [...state.groups].flatMap(([subject, spentNanoUsd]) => {
    const was = before.find((seed) => seed.subject === subject);
    const near = spentNanoUsd - (was?.spentNanoUsd ?? 0) < lag * config.amountNanoUsd;
    if (near) return was === undefined ? [] : [was];
    return [{ budget: config.id, periodStartMs: state.periodStartMs, ...since, subject, spentNanoUsd }];
  });
}

/** The largest seeds, in a fixed order. */
export function boundedSeeds(seeds: readonly BudgetSeed[]): BudgetSeed[] {
  const kept = [...seeds].sort((a, b) => b.spentNanoUsd - a.spentNanoUsd).slice(0, maxSeeds);
  return kept.sort((a, b) => (`${a.budget} ${a.subject}` < `${b.budget} ${b.subject}` ? -1 : 1));
}
