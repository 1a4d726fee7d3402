/**
 * Objects → rendered config and a verdict for each object. Pure: equal input gives equal output, byte for byte.
 *
 *   providers   first, since routes depend on them
 *   routes      oldest first; the older one wins a conflict
 *   keys        digests only
 *   budgets
 *
 * An object that can't be compiled keeps its last good form, which is taken from what was published before.
 */
import type { Kind } from "../../crds/kinds.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import { type RenderedConfig, settings as settingsSchema } from "../../proxy/config/schema.ts";
import type { BudgetWatch } from "./budgets.ts";
import { byId, indexById } from "./by-id.ts";
import type { CanaryPlan } from "./canary.ts";
import { compileBudgets } from "./compile-budgets.ts";
import { compileKeys } from "./compile-keys.ts";
import { compileProviders } from "./compile-providers.ts";
import { compileRoutes } from "./compile-routes.ts";
import { credentialsInUse } from "./credentials-in-use.ts";
import { fitKeys, fitSeeds } from "./fit.ts";
import { CompileMemo } from "./memo.ts";
import type { ObjectAlertWatch } from "./object-alerts.ts";
import { idOf } from "./outcome.ts";
import type { Verdict, VerdictDraft } from "./verdict.ts";
import type { CompileInput, WorldObject } from "./world.ts";

export interface Compiled {
  config: RenderedConfig;
  /** One for each object, sorted by kind, namespace and name. */
  verdicts: readonly Verdict[];
  /** Verdicts on objects of all kinds except ApiKey, which are few. */
  others: readonly Verdict[];
  /** Canaries that are live. */
  canaries: CanaryPlan[];
  /** Budgets of money. */
  watches: BudgetWatch[];
  /** Providers and policies with alerts. */
  alertWatches: ObjectAlertWatch[];
}

const kindOrder: readonly Kind[] = ["LLMProvider", "RoutingPolicy", "Budget", "ApiKey"];

function addEntries(
  verdicts: readonly VerdictDraft[],
  entries: Readonly<Partial<Record<Kind, readonly { id: string }[]>>>,
): void {
  const live = new Map(Object.entries(entries).map(([kind, all]) => [kind, indexById(all)]));
  for (const verdict of verdicts) verdict.entry = live.get(verdict.kind)?.get(idOf(verdict.meta)) ?? null;
}

function byKind(objects: readonly WorldObject[], memo: CompileMemo): Record<Kind, WorldObject[]> {
  const kinds: Record<Kind, WorldObject[]> = { LLMProvider: [], RoutingPolicy: [], Budget: [], ApiKey: [] };
  const all = memo.kinds.of(objects, (object) => object.kind);
  for (const [index, object] of objects.entries()) kinds[all[index] as Kind].push(object);
  return kinds;
}

/**
 * `memo`: the one passed to the previous call, so that only changes are compiled again. Objects and all other input
 * must then never be changed in place. Verdicts of ApiKeys and entries of the config that did not change are returned
 * as the same objects, which nobody may change.
 */
export function compile(
  input: CompileInput,
  capabilities: Readonly<Record<string, Capabilities>>,
  memo = new CompileMemo(),
): Compiled {
  const objects = byKind(input.world.objects, memo);
  const view = compileProviders(objects.LLMProvider, input, capabilities, memo);
  const routing = compileRoutes(objects.RoutingPolicy, input, view, memo);
  const { routes } = routing;
  const { budgets, watches, selecting, verdicts: ofBudgets } = compileBudgets(objects.Budget, input, memo);
  const alertWatches = [...view.alertWatches, ...routing.alertWatches];
  const inUse = credentialsInUse([...view.compiled, ...view.live.values()], [...alertWatches, ...watches]);
  const compiledKeys = compileKeys(objects.ApiKey, input, { routes, selecting, inUse }, memo.keys);
  const keys = fitKeys(compiledKeys, input.previous?.keys);
  const known = new Set(budgets.map((budget) => budget.id));
  const seeds = fitSeeds((input.seeds ?? []).filter((seed) => known.has(seed.budget)));
  const verdicts = [...view.verdicts, ...routing.verdicts, ...ofBudgets].sort(
    (a, b) => kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind) || (idOf(a.meta) < idOf(b.meta) ? -1 : 1),
  );
  const providers = [...view.live.values()].sort(byId);
  addEntries(verdicts, { LLMProvider: providers, RoutingPolicy: routes, Budget: budgets });
  return {
    config: {
      settings: settingsSchema.parse(input.settings.proxy),
      providers,
      routes,
      budgets,
      keys: keys.keys,
      ...(seeds.length === 0 ? {} : { seeds: [...seeds] }),
    },
    watches,
    // Keys are the last kind.
    verdicts: [...verdicts, ...keys.verdicts],
    others: verdicts,
    canaries: routing.canaries,
    alertWatches,
  };
}
