/**
 * All RoutingPolicies → the routes that are live: each policy by itself, then conflicts between them, oldest first, then
 * what fits into the published config.
 */
import type { RouteConfig } from "../../proxy/config/route.ts";
import { byId, indexById } from "./by-id.ts";
import type { CanaryPlan } from "./canary.ts";
import { RouteClaims, settlePrefixes } from "./conflicts.ts";
import { fitRoutes } from "./fit.ts";
import { closedAs, lastGoodRoute, underAccess } from "./last-good.ts";
import type { CompileMemo } from "./memo.ts";
import { warnOverlaps } from "./model-overlaps.ts";
import { compileObjectAlerts, type ObjectAlertWatch } from "./object-alerts.ts";
import { idOf, isError, type ParsedObject, parseKind } from "./outcome.ts";
import type { ProviderView } from "./provider-view.ts";
import { type CompiledRoute, compileRoute } from "./routes.ts";
import { asPermitted } from "./tenancy.ts";
import type { VerdictDraft } from "./verdict.ts";
import type { CompileInput, WorldObject } from "./world.ts";

interface Candidate {
  verdict: VerdictDraft;
  config: RouteConfig;
}

/** The result for a valid policy: itself, the part of it that resolved, or its last good form. */
function candidateOf(verdict: VerdictDraft, compiled: CompiledRoute, last: RouteConfig | null): Candidate | null {
  const broken = compiled.accepted.some(isError);
  const empty = compiled.config.routing.targets.length === 0;
  if (!broken && !empty) {
    verdict.live = compiled.resolvedRefs.some(isError) ? "partial" : "current";
    return { verdict, config: compiled.config };
  }
  const usable = last !== null && last.routing.targets.length > 0;
  return broken || usable ? lastGoodCandidate(verdict, last) : { verdict, config: compiled.config };
}

/** With no target left it serves nothing but stays, so that callers get a better error than an unknown model. */
function lastGoodCandidate(verdict: VerdictDraft, last: RouteConfig | null): Candidate | null {
  if (last === null) return null;
  if (last.routing.targets.length > 0) verdict.live = "lastGood";
  return { verdict, config: last };
}

export interface CompiledRoutes {
  routes: RouteConfig[];
  /** Canaries that are live. */
  canaries: CanaryPlan[];
  alertWatches: ObjectAlertWatch[];
  verdicts: VerdictDraft[];
}

/** Compiles the policies one by one, before conflicts between them are settled. */
class Policies {
  readonly #input: CompileInput;
  readonly #view: ProviderView;
  readonly previous: ReadonlyMap<string, RouteConfig>;
  readonly candidates: Candidate[] = [];
  /** Published forms, limited to what may still be served. */
  readonly stays = new Map<string, RouteConfig>();
  readonly plans: CanaryPlan[] = [];
  readonly alertWatches: ObjectAlertWatch[] = [];

  constructor(input: CompileInput, view: ProviderView) {
    this.#input = input;
    this.#view = view;
    this.previous = indexById(input.previous?.routes);
  }

  add(object: ParsedObject<"RoutingPolicy">, verdict: VerdictDraft): void {
    const { world, settings, canaries } = this.#input;
    const { id } = object;
    const last = this.previous.get(id);
    const compiled = compileRoute(object, { last, view: this.#view, world, settings, fact: canaries?.get(id) });
    if (compiled.canary !== null) this.plans.push(compiled.canary);
    verdict.accepted = compiled.accepted;
    verdict.resolvedRefs = compiled.resolvedRefs;
    const watch = compileObjectAlerts(object, world, settings.hasMail ?? true, verdict);
    if (watch !== null) this.alertWatches.push(watch);
    const stay = this.#stay(id, compiled);
    if (stay !== null) this.stays.set(id, stay);
    this.#push(candidateOf(verdict, compiled, stay));
  }

  /** A policy whose spec can't be read. */
  addInvalid(verdict: VerdictDraft): void {
    this.#push(lastGoodCandidate(verdict, this.#lastGood(idOf(verdict.meta))));
  }

  #push(candidate: Candidate | null): void {
    if (candidate !== null) this.candidates.push(candidate);
  }

  /** What is no longer permitted does not return as a last good form either. */
  #lastGood(id: string): RouteConfig | null {
    const last = this.previous.get(id);
    const permitted = last === undefined ? null : asPermitted(last, this.#input.settings);
    return permitted === null ? null : lastGoodRoute(permitted, this.#view, this.#input.world);
  }

  #stay(id: string, { config, accessSettled }: CompiledRoute): RouteConfig | null {
    const last = this.#lastGood(id);
    const closed = last === null ? null : closedAs(last, config);
    return closed !== null && accessSettled ? underAccess(closed, config.access, this.#view) : closed;
  }
}

/** The routes that fit into what is published. Equal routes are the same objects as in the last pass. */
function fitting(
  settled: readonly Candidate[],
  stays: ReadonlyMap<string, RouteConfig>,
  memo: CompileMemo,
): RouteConfig[] {
  const interned = indexById(memo.routes.of(settled.map(({ config }) => config).sort(byId)));
  const candidates = settled.map(({ verdict, config }) => ({ verdict, config: interned.get(config.id) ?? config }));
  return fitRoutes(candidates, (id) => stays.get(id) ?? null).sort(byId);
}

export function compileRoutes(
  objects: readonly WorldObject[],
  input: CompileInput,
  view: ProviderView,
  memo: CompileMemo,
): CompiledRoutes {
  const { parsed, invalid } = parseKind("RoutingPolicy", objects, memo.policySpecs);
  const policies = new Policies(input, view);
  for (const { object, verdict } of parsed) policies.add(object, verdict);
  for (const verdict of invalid) policies.addInvalid(verdict);
  const verdicts = [...parsed.map(({ verdict }) => verdict), ...invalid];
  const settled = settleConflicts(policies.candidates, policies.previous);
  const routes = fitting(settled, policies.stays, memo);
  for (const verdict of verdicts) verdict.status["targets"] = 0;
  const served = indexById(routes);
  for (const { verdict } of settled)
    verdict.status["targets"] = served.get(idOf(verdict.meta))?.routing.targets.length ?? 0;
  return {
    routes,
    canaries: policies.plans.filter((plan) => served.get(plan.route)?.routing.canary?.id === plan.id),
    alertWatches: policies.alertWatches,
    verdicts,
  };
}

const candidatesByAge = (a: Candidate, b: Candidate): number =>
  a.verdict.meta.createdAtMs - b.verdict.meta.createdAtMs || byId(a.config, b.config);

/**
 * Routes in the order in which path prefixes were claimed: those already published at their prefix come first. An old
 * policy that moves to a prefix is a late claim; otherwise it could take a younger policy's prefix away.
 */
function byClaim(candidates: readonly Candidate[], previous: ReadonlyMap<string, RouteConfig>): RouteConfig[] {
  const holds = ({ config }: Candidate): boolean => previous.get(config.id)?.pathPrefix === config.pathPrefix;
  const aged = candidates.toSorted(candidatesByAge);
  return [...aged.filter(holds), ...aged.filter((candidate) => !holds(candidate))].map(({ config }) => config);
}

function settleConflicts(candidates: Candidate[], previous: ReadonlyMap<string, RouteConfig>): Candidate[] {
  const claims = new RouteClaims();
  const left: Candidate[] = [];
  const elsewhere = settlePrefixes(byClaim(candidates, previous));
  for (const { verdict, config } of candidates.sort(candidatesByAge)) {
    const taken = elsewhere.get(config);
    const settled = taken === undefined ? claims.settle(config) : { config: null, problems: [taken] };
    verdict.accepted.push(...settled.problems);
    if (settled.config) left.push({ verdict, config: settled.config });
    if (settled.problems.length > 0)
      verdict.live = settled.config === null ? "none" : verdict.live === "current" ? "partial" : verdict.live;
  }
  warnOverlaps(left);
  return left;
}
