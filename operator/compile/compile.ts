/**
 * Objects → rendered config and a verdict for each object. Pure: equal input gives equal output, byte for byte.
 *
 *   providers   first, since routes stand on them
 *   routes      oldest first; conflicts go to the older
 *   keys        digests only
 *   budgets
 *
 * An object that can't be compiled keeps its last good form, which is found in what was published before.
 */
import type { Kind } from "../../crds/kinds.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import type { BudgetConfig, KeyRecord, ProviderConfig, RenderedConfig, RouteConfig } from "../../proxy/config/schema.ts";
import { compileBudget } from "./budgets.ts";
import { Claims } from "./conflicts.ts";
import { compileKey } from "./keys.ts";
import { idOf, isError, parseKind, problem } from "./outcome.ts";
import { compileProvider } from "./providers.ts";
import { compileRoute, type ProviderView } from "./routes.ts";
import type { Verdict } from "./verdict.ts";
import type { CompileInput } from "./world.ts";

export interface Compiled {
  config: RenderedConfig;
  /** One for each object, sorted by kind, namespace and name. */
  verdicts: Verdict[];
}

const index = <T extends { id: string }>(entries: readonly T[] | undefined): ReadonlyMap<string, T> =>
  new Map((entries ?? []).map((entry) => [entry.id, entry]));
const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/** Puts an object's last good form in its place, if there is one. */
function fallBack<T extends { id: string }>(verdict: Verdict, previous: ReadonlyMap<string, T>, into: Map<string, T>): void {
  const last = previous.get(idOf(verdict.meta));
  if (last === undefined) return;
  into.set(last.id, last);
  verdict.live = "lastGood";
}

function compileProviders(
  input: CompileInput,
  capabilities: Readonly<Record<string, Capabilities>>,
  verdicts: Verdict[],
): ProviderView & { live: Map<string, ProviderConfig> } {
  const previous = index(input.previous?.providers);
  const { parsed, invalid } = parseKind("LLMProvider", input.world.objects);
  const live = new Map<string, ProviderConfig>();
  const grants = new Map<string, ReturnType<ProviderView["grants"]["get"]> & object>();
  for (const { object, verdict } of parsed) {
    grants.set(object.id, object.spec.allowedNamespaces);
    const declared = capabilities[object.spec.type];
    if (declared === undefined) verdict.accepted.push(problem("Unsupported", `this version has no provider type ${object.spec.type}`, ["spec", "type"]));
    else {
      const compiled = compileProvider(object, declared, input.world);
      verdict.accepted = compiled.accepted;
      verdict.resolvedRefs = compiled.resolvedRefs;
      verdict.status = { models: object.spec.models.length, endpoint: compiled.config.endpoint };
      if (![...compiled.accepted, ...compiled.resolvedRefs].some(isError)) {
        live.set(object.id, compiled.config);
        verdict.live = "current";
      }
    }
  }
  const all = [...parsed.map((one) => one.verdict), ...invalid];
  for (const verdict of all) if (verdict.live === "none") fallBack(verdict, previous, live);
  verdicts.push(...all);
  return { live, grants, existing: new Set(all.map((verdict) => idOf(verdict.meta))) };
}

function routeUsable(route: RouteConfig, view: ProviderView): boolean {
  return route.routing.targets.some((target) => view.live.has(target.provider));
}

/** A last good form may name providers that are gone since. */
function pruned(route: RouteConfig, view: ProviderView): RouteConfig {
  const targets = route.routing.targets.filter((target) => {
    const provider = view.live.get(target.provider);
    return provider !== undefined && (target.model === null || target.model in provider.models);
  });
  return { ...route, routing: { ...route.routing, targets } };
}

function compileRoutes(input: CompileInput, view: ProviderView, verdicts: Verdict[]): RouteConfig[] {
  const previous = index(input.previous?.routes);
  const { parsed, invalid } = parseKind("RoutingPolicy", input.world.objects);
  const candidates: { verdict: Verdict; config: RouteConfig }[] = [];
  for (const { object, verdict } of parsed) {
    const compiled = compileRoute(object, view, input.world, input.settings);
    verdict.accepted = compiled.accepted;
    verdict.resolvedRefs = compiled.resolvedRefs;
    verdict.status = { targets: compiled.config.routing.targets.length };
    const last = previous.get(object.id);
    const broken = compiled.accepted.some(isError);
    const empty = compiled.config.routing.targets.length === 0;
    if ((broken || empty) && last !== undefined && routeUsable(last, view)) {
      verdict.live = "lastGood";
      candidates.push({ verdict, config: pruned(last, view) });
    } else if (!broken) {
      verdict.live = compiled.resolvedRefs.some(isError) ? (empty ? "none" : "partial") : "current";
      candidates.push({ verdict, config: compiled.config });
    }
  }
  for (const verdict of invalid) {
    const last = previous.get(idOf(verdict.meta));
    if (last === undefined) continue;
    verdict.live = "lastGood";
    candidates.push({ verdict, config: pruned(last, view) });
  }
  verdicts.push(...parsed.map((one) => one.verdict), ...invalid);
  return settleConflicts(candidates);
}

function settleConflicts(candidates: { verdict: Verdict; config: RouteConfig }[]): RouteConfig[] {
  const claims = new Claims();
  const routes: RouteConfig[] = [];
  candidates.sort((a, b) => a.verdict.meta.createdAtMs - b.verdict.meta.createdAtMs || byId(a.config, b.config));
  for (const { verdict, config } of candidates) {
    const settled = claims.settle(config);
    verdict.accepted.push(...settled.problems);
    if (settled.config) routes.push(settled.config);
    if (settled.problems.length > 0) verdict.live = settled.config === null ? "none" : verdict.live === "current" ? "partial" : verdict.live;
  }
  return routes;
}

const iso = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");

function compileKeys(input: CompileInput, verdicts: Verdict[]): KeyRecord[] {
  const previous = index(input.previous?.keys);
  const { parsed, invalid } = parseKind("ApiKey", input.world.objects);
  const live = new Map<string, KeyRecord>();
  const owners = new Map<string, string>();
  for (const { object, verdict } of parsed) {
    const compiled = compileKey(object, input.world);
    verdict.accepted = compiled.accepted;
    verdict.resolvedRefs = compiled.resolvedRefs;
    if (compiled.displayPrefix !== "") verdict.status["keyPrefix"] = compiled.displayPrefix;
    if (compiled.expiresAtMs !== null) {
      verdict.status["expiresAt"] = iso(compiled.expiresAtMs);
      const over = input.nowMs >= compiled.expiresAtMs;
      verdict.conditions.push({
        type: "Expired",
        status: over ? "True" : "False",
        reason: over ? "Expired" : "NotExpired",
        message: `${over ? "expired" : "expires"} at ${iso(compiled.expiresAtMs)}`,
      });
    }
    const owner = compiled.record === null ? undefined : owners.get(compiled.record.digest);
    if (owner !== undefined)
      verdict.accepted.push(problem("DuplicateKey", `ApiKey ${owner} is older and has the same key; give this one a Secret of its own`, ["spec", "writeTo"]));
    if (compiled.record === null || [...verdict.accepted, ...verdict.resolvedRefs].some(isError)) continue;
    owners.set(compiled.record.digest, object.id);
    live.set(object.id, compiled.record);
    verdict.live = "current";
  }
  for (const verdict of [...parsed.map((one) => one.verdict), ...invalid]) {
    const last = previous.get(idOf(verdict.meta));
    if (verdict.live === "none" && last !== undefined && !owners.has(last.digest)) {
      owners.set(last.digest, last.id);
      fallBack(verdict, previous, live);
    }
    verdicts.push(verdict);
  }
  // A revocation takes effect even where the rest of the object can't be used.
  for (const { object } of parsed) {
    const record = live.get(object.id);
    if (record && object.spec.revoked && !record.revoked) live.set(object.id, { ...record, revoked: true });
  }
  return [...live.values()];
}

function compileBudgets(input: CompileInput, verdicts: Verdict[]): BudgetConfig[] {
  const { parsed, invalid } = parseKind("Budget", input.world.objects);
  const budgets: BudgetConfig[] = [];
  for (const { object, verdict } of parsed) {
    const compiled = compileBudget(object);
    verdict.accepted = compiled.accepted;
    if (compiled.accepted.some(isError)) continue;
    budgets.push(compiled.config);
    verdict.live = "current";
  }
  verdicts.push(...parsed.map((one) => one.verdict), ...invalid);
  return budgets;
}

const kindOrder: readonly Kind[] = ["LLMProvider", "RoutingPolicy", "Budget", "ApiKey"];

export function compile(input: CompileInput, capabilities: Readonly<Record<string, Capabilities>>): Compiled {
  const verdicts: Verdict[] = [];
  const view = compileProviders(input, capabilities, verdicts);
  const routes = compileRoutes(input, view, verdicts);
  const keys = compileKeys(input, verdicts);
  const budgets = compileBudgets(input, verdicts);
  verdicts.sort((a, b) => kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind) || (idOf(a.meta) < idOf(b.meta) ? -1 : 1));
  return {
    config: {
      settings: input.settings.proxy,
      providers: [...view.live.values()].sort(byId),
      routes: routes.sort(byId),
      budgets: budgets.sort(byId),
      keys: keys.sort((a, b) => (a.digest < b.digest ? -1 : 1)),
    },
    verdicts,
  };
}
