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
import { idOf, isError, type Parsed, parseKind, problem } from "./outcome.ts";
import { compileProvider } from "./providers.ts";
import { type CompiledRoute, compileRoute, type ProviderView } from "./routes.ts";
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
    return provider !== undefined && (target.model === null || Object.hasOwn(provider.models, target.model));
  });
  return { ...route, routing: { ...route.routing, targets } };
}

interface Candidate {
  verdict: Verdict;
  config: RouteConfig;
}

/** What a valid policy comes to: itself, what resolved of it, or its last good form. */
function candidateOf(verdict: Verdict, compiled: CompiledRoute, last: RouteConfig | undefined, view: ProviderView): Candidate | null {
  const broken = compiled.accepted.some(isError);
  const empty = compiled.config.routing.targets.length === 0;
  if ((broken || empty) && last !== undefined && routeUsable(last, view)) {
    verdict.live = "lastGood";
    return { verdict, config: pruned(last, view) };
  }
  if (broken) return null;
  verdict.live = !compiled.resolvedRefs.some(isError) ? "current" : empty ? "none" : "partial";
  return { verdict, config: compiled.config };
}

function compileRoutes(input: CompileInput, view: ProviderView, verdicts: Verdict[]): RouteConfig[] {
  const previous = index(input.previous?.routes);
  const { parsed, invalid } = parseKind("RoutingPolicy", input.world.objects);
  const candidates: Candidate[] = [];
  for (const { object, verdict } of parsed) {
    const compiled = compileRoute(object, view, input.world, input.settings);
    verdict.accepted = compiled.accepted;
    verdict.resolvedRefs = compiled.resolvedRefs;
    verdict.status = { targets: compiled.config.routing.targets.length };
    const candidate = candidateOf(verdict, compiled, previous.get(object.id), view);
    if (candidate) candidates.push(candidate);
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

function settleConflicts(candidates: Candidate[]): RouteConfig[] {
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

/** Keys that are live so far, and who owns which digest: two objects can't share a key. */
interface LiveKeys {
  live: Map<string, KeyRecord>;
  owners: Map<string, string>;
}

function noteExpiry(verdict: Verdict, expiresAtMs: number, nowMs: number): void {
  const over = nowMs >= expiresAtMs;
  const at = iso(expiresAtMs);
  verdict.status["expiresAt"] = at;
  verdict.conditions.push({
    type: "Expired",
    status: over ? "True" : "False",
    reason: over ? "Expired" : "NotExpired",
    message: `${over ? "expired" : "expires"} at ${at}`,
  });
}

function addKey(object: Parsed<"ApiKey">, verdict: Verdict, input: CompileInput, keys: LiveKeys): void {
  const compiled = compileKey(object, input.world);
  verdict.accepted = compiled.accepted;
  verdict.resolvedRefs = compiled.resolvedRefs;
  if (compiled.displayPrefix !== "") verdict.status["keyPrefix"] = compiled.displayPrefix;
  if (compiled.expiresAtMs !== null) noteExpiry(verdict, compiled.expiresAtMs, input.nowMs);
  const { record } = compiled;
  const owner = record === null ? undefined : keys.owners.get(record.digest);
  if (owner !== undefined)
    verdict.accepted.push(problem("DuplicateKey", `ApiKey ${owner} is older and has the same key; give this one a Secret of its own`, ["spec", "writeTo"]));
  if (record === null || [...verdict.accepted, ...verdict.resolvedRefs].some(isError)) return;
  keys.owners.set(record.digest, object.id);
  keys.live.set(object.id, record);
  verdict.live = "current";
}

function compileKeys(input: CompileInput, verdicts: Verdict[]): KeyRecord[] {
  const previous = index(input.previous?.keys);
  const { parsed, invalid } = parseKind("ApiKey", input.world.objects);
  const keys: LiveKeys = { live: new Map(), owners: new Map() };
  for (const { object, verdict } of parsed) addKey(object, verdict, input, keys);
  for (const verdict of [...parsed.map((one) => one.verdict), ...invalid]) {
    const last = previous.get(idOf(verdict.meta));
    if (verdict.live === "none" && last !== undefined && !keys.owners.has(last.digest)) {
      keys.owners.set(last.digest, last.id);
      fallBack(verdict, previous, keys.live);
    }
    verdicts.push(verdict);
  }
  // A revocation takes effect even where the rest of the object can't be used.
  for (const { object } of parsed) {
    const record = keys.live.get(object.id);
    if (record && object.spec.revoked && !record.revoked) keys.live.set(object.id, { ...record, revoked: true });
  }
  return [...keys.live.values()];
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
