/** Which targets a route's rules choose for a request: the first rule that matches decides. Pure. */
import type { RuleConfig } from "../config/schema.ts";
import type { ResolvedTarget } from "../pipeline/route.ts";
import type { PlanRequest } from "./routing.ts";

type When = RuleConfig["when"];

const oneOf = (wanted: readonly string[] | null, value: string | null): boolean => wanted === null || (value !== null && wanted.includes(value));
const above = (limit: number | null, value: () => number): boolean => limit === null || value() > limit;

function matchesCaller(when: When, request: PlanRequest): boolean {
  const key = request.identity.anonymous ? null : request.identity.key;
  const tagged = when.tags === null || (key?.tags.some((tag) => when.tags?.includes(tag)) ?? false);
  return tagged && oneOf(when.roles, key?.role ?? null) && oneOf(when.teams, key?.team ?? null) && oneOf(when.users, key?.user ?? null);
}

export function matches(when: When, request: PlanRequest): boolean {
  return (
    matchesCaller(when, request) &&
    oneOf(when.models, request.model) &&
    when.headers.every((one) => request.header(one.name) === one.value) &&
    above(when.batchSizeAbove, () => request.batchSize) &&
    above(when.promptTokensAbove, request.promptTokens)
  );
}

/** The targets to choose among, and whether a rule has put them in order already. */
export function eligible(request: PlanRequest): { targets: readonly ResolvedTarget[]; ordered: boolean } {
  const rule = request.route.config.routing.rules.find((one) => matches(one.when, request));
  if (rule === undefined) return { targets: request.targets, ordered: false };
  const byName = new Map(request.targets.map((target) => [target.config.name, target]));
  const targets = rule.use.flatMap((name) => byName.get(name) ?? []);
  return { targets, ordered: true };
}
