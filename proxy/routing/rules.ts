/** Which targets a route's rules choose for a request: the first rule that matches decides. Pure. */
import type { RuleConfig } from "../config/route.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PlanRequest } from "./routing.ts";

type When = RuleConfig["when"];

const oneOf = (wanted: readonly string[] | null, value: string | null): boolean =>
  wanted === null || (value !== null && wanted.includes(value));
const above = (limit: number | null, value: () => number): boolean => limit === null || value() > limit;

const keyOf = ({ identity }: PlanRequest) => (identity.anonymous ? null : identity.key);

/** Each condition under the name that it has in a policy. */
const conditions: readonly (readonly [string, (when: When, request: PlanRequest) => boolean])[] = [
  [
    "tags",
    (when, request) => when.tags === null || (keyOf(request)?.tags.some((tag) => when.tags?.includes(tag)) ?? false),
  ],
  ["roles", (when, request) => oneOf(when.roles, keyOf(request)?.role ?? null)],
  ["teams", (when, request) => oneOf(when.teams, keyOf(request)?.team ?? null)],
  ["users", (when, request) => oneOf(when.users, keyOf(request)?.user ?? null)],
  ["models", (when, request) => oneOf(when.models, request.model)],
  ["headers", (when, request) => when.headers.every((one) => request.header(one.name) === one.value)],
  ["batchSize", (when, request) => above(when.batchSizeAbove, () => request.batchSize)],
  ["promptTokens", (when, request) => above(when.promptTokensAbove, request.promptTokens)],
];

export const matchesRule = (when: When, request: PlanRequest): boolean =>
  conditions.every(([, holds]) => holds(when, request));

/** Names of the conditions that don't hold. */
export const unmet = (when: When, request: PlanRequest): string[] =>
  conditions.filter(([, holds]) => !holds(when, request)).map(([name]) => name);

/** The model's context can hold the prompt, as far as its size is known. */
export const holds = (target: ResolvedTarget, request: PlanRequest): boolean =>
  target.model.config.contextTokens === null || request.promptTokens() <= target.model.config.contextTokens;

/** Targets whose context can't hold the prompt are left out, unless none could. */
export function fitting(request: PlanRequest, targets: readonly ResolvedTarget[]): readonly ResolvedTarget[] {
  const fits = targets.filter((target) => holds(target, request));
  return fits.length > 0 ? fits : targets;
}

/** The targets to choose among, and whether a rule has put them in order already. */
export function eligible(request: PlanRequest): { targets: readonly ResolvedTarget[]; ordered: boolean } {
  const rule = request.route.config.routing.rules.find((one) => matchesRule(one.when, request));
  if (rule === undefined) return { targets: request.targets, ordered: false };
  const byName = new Map(request.targets.map((target) => [target.config.name, target]));
  const targets = rule.use.flatMap((name) => byName.get(name) ?? []);
  return { targets, ordered: true };
}
