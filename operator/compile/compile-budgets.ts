/** All Budgets → the budgets that are in force, those whose spending is watched, and a verdict for each. */
import type { BudgetConfig } from "../../proxy/config/budget.ts";
import { type BudgetWatch, compileBudget, publishedSelector } from "./budgets.ts";
import { byId, indexById } from "./by-id.ts";
import { fitBudgets } from "./fit.ts";
import type { CompileMemo } from "./memo.ts";
import { idOf, isError, parseKind } from "./outcome.ts";
import type { Selecting } from "./selectors.ts";
import type { VerdictDraft } from "./verdict.ts";
import type { CompileInput, WorldObject } from "./world.ts";

export interface CompiledBudgets {
  budgets: BudgetConfig[];
  watches: BudgetWatch[];
  selecting: Selecting[];
  verdicts: VerdictDraft[];
}

/** An error must not lift a limit: a budget that can't be read keeps its published form. */
function keepPublished(verdict: VerdictDraft, config: BudgetConfig, { budgets, selecting }: CompiledBudgets): void {
  budgets.push(config);
  const selector = publishedSelector(config);
  if (selector !== null) selecting.push({ id: config.id, namespace: config.namespace, selector });
  verdict.live = "lastGood";
}

export function compileBudgets(
  objects: readonly WorldObject[],
  { world, settings, nowMs, previous }: CompileInput,
  memo: CompileMemo,
): CompiledBudgets {
  const { parsed, invalid } = parseKind("Budget", objects, memo.budgetSpecs);
  const all: CompiledBudgets = { budgets: [], watches: [], selecting: [], verdicts: [] };
  const published = indexById(previous?.budgets);
  const { currency } = settings.proxy;
  const context = { world, mail: settings.hasMail ?? true, nowMs, ...(currency === undefined ? {} : { currency }) };
  for (const { object, verdict } of parsed) {
    const compiled = compileBudget(object, { ...context, before: published.get(object.id) });
    const { config, selector, watch, accepted } = compiled;
    verdict.accepted = accepted;
    verdict.resolvedRefs = compiled.resolvedRefs;
    if (config === null) continue;
    all.budgets.push(config);
    if (selector !== null) all.selecting.push({ id: object.id, namespace: object.meta.namespace, selector });
    if (watch !== null) all.watches.push(watch);
    verdict.live = accepted.some(isError) ? "partial" : "current";
  }
  for (const verdict of invalid) {
    const config = published.get(idOf(verdict.meta));
    if (config !== undefined) keepPublished(verdict, config, all);
  }
  const verdicts = [...parsed.map(({ verdict }) => verdict), ...invalid];
  const budgets = fitBudgets(verdicts, memo.budgets.of(all.budgets.sort(byId)), published).sort(byId);
  const live = indexById(budgets);
  return {
    budgets,
    watches: all.watches.filter(({ config }) => live.has(config.id)),
    selecting: all.selecting.filter(({ id }) => live.has(id)),
    verdicts,
  };
}
