/**
 * What a config would do with calls that are known only from a row of the usage ledger: without body, headers and
 * address. It uses the predicates that serve calls.
 */
import type { Identity } from "../call/identity.ts";
import type { LedgerRow } from "../config/ledger.ts";
import { ratesFor } from "../config/price.ts";
import { type Failure, isFailure } from "../failure.ts";
import type { PlanRequest } from "../routing/routing.ts";
import { eligible } from "../routing/rules.ts";
import { firstShares, type TargetShare } from "../routing/shares.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import { costNanoUsd } from "../telemetry/cost.ts";
import { address, addressFor } from "./address.ts";
import { authenticate } from "./authenticate.ts";
import { isMoney, type MoneyBudget, noPrice, pays } from "./budget-claims.ts";
import { identify } from "./identify.ts";
import { denyByRoleOrModel, noTargetByRule, offersTo, type Routed, route, targetsFor } from "./route.ts";
import { chargedNamespace, covers } from "./scope.ts";
import { parameterEdits } from "./shape.ts";

/** Where callers sent the calls of a row: its policy's prefix, and the model that they named. */
export interface Called {
  prefix: string;
  model: string;
}

/** Calls that would be served. */
export interface ReplayedRow {
  identity: Identity;
  model: string;
  /** Everything that they may be sent to. */
  targets: readonly ResolvedTarget[];
  shares: readonly TargetShare[];
  /** Those that refuse calls once their amount is spent. */
  budgets: readonly MoneyBudget[];
}

/**
 * Callers with an issuer's token have no ApiKey. The name of their key contains a colon, which no object's name does.
 */
const isOfIssuer = (key: string): boolean => key.includes(":");

/** Whether the config knows the caller: what an unknown one may do can't be judged. */
export const knowsCaller = ({ key }: LedgerRow, snapshot: Snapshot): boolean =>
  key === "" || isOfIssuer(key) || snapshot.keysOf(key).length > 0;

function identityOf(row: LedgerRow, snapshot: Snapshot, nowMs: number): Identity {
  if (row.key === "") return authenticate({ headers: {} }, snapshot, nowMs);
  if (!isOfIssuer(row.key)) return identify(snapshot.keysOf(row.key)[0] ?? null, nowMs);
  const { key: id, user, team, role, namespace } = row;
  const caller = { user, team: team === "" ? null : team, role, tags: [], models: null };
  return {
    anonymous: false,
    namespace,
    key: { digest: "", id, ...caller, expiresAtMs: null, revoked: false },
  };
}

const pathOf = (prefix: string): string => `${prefix === "" ? "/v1" : prefix}/chat/completions`;

/** The policy that would take the calls. */
function routedIn(snapshot: Snapshot, { prefix, model }: Called, identity: Identity): Routed | Failure {
  const path = pathOf(prefix);
  const addressed = address("POST", path, snapshot);
  if (isFailure(addressed)) return addressed;
  const entry = addressFor(identity, addressed, "POST", path, snapshot).path;
  return identity.anonymous && !offersTo(entry, identity) ? identity.failure : route(entry, model, identity);
}

/** The model after the policy's edits. */
function editedModel({ route, model }: Routed): string | null {
  const edited = parameterEdits(route, model === null ? {} : { model })["model"];
  return typeof edited === "string" ? edited : model;
}

/** How the row's calls were made, by the config that they were made under. */
export function calledUnder(row: LedgerRow, snapshot: Snapshot, nowMs: number): Called {
  const routes = [...snapshot.paths.values()].flatMap(({ routes }) => routes);
  const own = routes.find(({ config }) => config.id === row.route);
  const prefix = own?.config.pathPrefix ?? "";
  const identity = identityOf(row, snapshot, nowMs);
  const names = [row.model, ...(own?.config.models ?? [])];
  const requested = names.find((model) => {
    const routed = routedIn(snapshot, { prefix, model }, identity);
    return !isFailure(routed) && routed.route === own && editedModel(routed) === row.model;
  });
  return { prefix, model: requested ?? row.model };
}

const average = (tokens: number, { requests }: LedgerRow): number => Math.ceil(tokens / Math.max(1, requests));

function plan(
  row: LedgerRow,
  route: Route,
  model: string | null,
  targets: readonly ResolvedTarget[],
  identity: Identity,
): PlanRequest {
  return {
    route,
    targets,
    identity,
    session: "",
    model,
    header: () => null,
    preferred: null,
    batchSize: 1,
    promptTokens: () => average(row.promptTokens, row),
    outputTokens: () => average(row.completionTokens, row),
  };
}

function hardBudgets(
  snapshot: Snapshot,
  route: Route,
  identity: Identity,
  model: string,
  targets: readonly ResolvedTarget[],
  nowMs: number,
): MoneyBudget[] {
  const call = { route, identity, model, targets };
  const own = (snapshot.budgets.get(chargedNamespace(call)) ?? []).filter((budget) => covers(budget, call, nowMs));
  const role = identity.anonymous ? null : (snapshot.roles.get(identity.key.role)?.budget ?? null);
  return [...own, ...(role === null ? [] : [role])].filter(isMoney).filter(({ enforcement }) => enforcement === "Hard");
}

/** Guards, limits, countries and headers don't count: the ledger has nothing to judge them by. */
export function replay(row: LedgerRow, called: Called, snapshot: Snapshot, nowMs: number): ReplayedRow | Failure {
  const identity = identityOf(row, snapshot, nowMs);
  const routed = routedIn(snapshot, called, identity);
  if (isFailure(routed)) return routed;
  const refused = denyByRoleOrModel(routed.route, routed.model, identity, snapshot.roles);
  if (refused !== null) return refused;
  const model = editedModel(routed);
  const resolved = targetsFor(routed.route, model, null);
  if (isFailure(resolved)) return resolved;
  const planned = plan(row, routed.route, model, resolved, identity);
  const { targets } = eligible(planned);
  if (targets.length === 0) return noTargetByRule;
  const budgets = hardBudgets(snapshot, routed.route, identity, row.model, targets, nowMs);
  const unpayable = targets.some(
    ({ model, config }) => model.config.price === null && budgets.some((budget) => pays(budget, config.provider)),
  );
  if (unpayable) return noPrice;
  return { identity, model: row.model, targets, shares: firstShares(planned), budgets };
}

/**
 * What the row's tokens cost at a target, in nano-USD; null if it has no price. Prices that depend on the size of the
 * prompt use the average size. Units other than tokens are not in the ledger.
 */
export function costOfRow(row: LedgerRow, { model }: ResolvedTarget): number | null {
  const { price } = model.config;
  if (price === null) return null;
  const rates = ratesFor(price, average(row.promptTokens, row));
  const usage = {
    prompt: row.promptTokens,
    cachedPrompt: row.cachedTokens,
    cacheWrite: row.cacheWriteTokens,
    completion: row.completionTokens,
    reasoning: row.reasoningTokens,
    estimated: false,
    units: { request: row.requests },
  };
  return costNanoUsd(usage, { ...price, ...rates, tiers: [] });
}
