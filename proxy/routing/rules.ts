/** Which targets a route's rules choose for a request. The first matching rule decides. Pure. */
import { allowsModel } from "../config/model-pattern.ts";
import type { RuleConfig } from "../config/route.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PlanRequest } from "./routing.ts";

type When = RuleConfig["when"];

const oneOf = (wanted: readonly string[] | null, value: string | null): boolean =>
  wanted === null || (value !== null && wanted.includes(value));
const above = (limit: number | null, value: () => number): boolean => limit === null || value() > limit;

const keyOf = ({ identity }: PlanRequest) => (identity.anonymous ? null : identity.key);

/** Each condition under its name in a policy. */
const conditions: readonly (readonly [string, (when: When, request: PlanRequest) => boolean])[] = [
  [
    "tags",
    (when, request) => when.tags === null || (keyOf(request)?.tags.some((tag) => when.tags?.includes(tag)) ?? false),
  ],
  ["roles", (when, request) => oneOf(when.roles, keyOf(request)?.role ?? null)],
  ["teams", (when, request) => oneOf(when.teams, keyOf(request)?.team ?? null)],
  ["users", (when, request) => oneOf(when.users, keyOf(request)?.user ?? null)],
  ["models", (when, request) => allowsModel(when.models, request.model)],
  ["headers", (when, request) => when.headers.every(({ name, value }) => request.header(name) === value)],
  ["batchSize", (when, request) => above(when.batchSizeAbove, () => request.batchSize)],
  ["promptTokens", (when, request) => above(when.promptTokensAbove, () => request.promptTokens())],
];

export const matchesRule = (when: When, request: PlanRequest): boolean =>
  conditions.every(([, holds]) => holds(when, request));

/** Returns the names of the conditions that don't hold. */
export const unmet = (when: When, request: PlanRequest): string[] =>
  conditions.filter(([, holds]) => !holds(when, request)).map(([name]) => name);

/** Whether the model's context window can hold the prompt, as far as its size is known. */
export const holds = (target: ResolvedTarget, request: PlanRequest): boolean =>
  target.model.config.contextTokens === null || request.promptTokens() <= target.model.config.contextTokens;

/** Leaves out targets whose context window can't hold the prompt, unless that leaves none. */
export function fitting(request: PlanRequest, targets: readonly ResolvedTarget[]): readonly ResolvedTarget[] {
  if (targets.every((target) => holds(target, request))) return targets;
  const fits = targets.filter((target) => holds(target, request));
  return fits.length > 0 ? fits : targets;
}

/** Returns the targets to choose from, and whether a rule has already ordered them. */
export function eligible(request: PlanRequest): { targets: readonly ResolvedTarget[]; ordered: boolean } {
  const { rules } = request.route.config.routing;
  const rule = rules.length === 0 ? undefined : rules.find(({ when }) => matchesRule(when, request));
  if (rule === undefined) return { targets: request.targets, ordered: false };
  const byName = new Map(request.targets.map((target) => [target.config.name, target]));
  const targets = rule.use.flatMap((name) => byName.get(name) ?? []);
  return { targets, ordered: true };
}
