/** Rules of a policy: the first match decides, so a rule behind a wider one never matches. */
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import { listsModel, mayMeanTheSame } from "../../proxy/config/model-pattern.ts";
import type { RuleConfig } from "../../proxy/config/route.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

export function compileRules(spec: RoutingPolicySpec, names: ReadonlySet<string>, accepted: Problem[]): RuleConfig[] {
  return (spec.routing.rules ?? []).map((rule, index) => {
    const unknown = rule.use.filter((name) => !names.has(name));
    if (unknown.length > 0)
      accepted.push(
        problem("TargetNotFound", `no target is named ${unknown.join(", ")}; targets are ${[...names].join(", ")}`, [
          "spec",
          "routing",
          "rules",
          index,
          "use",
        ]),
      );
    const { when } = rule;
    return {
      when: {
        tags: when.tags ?? null,
        roles: when.roles ?? null,
        teams: when.teams ?? null,
        users: when.users ?? null,
        models: when.models ?? null,
        headers: when.headers ?? [],
        batchSizeAbove: when.batchSize?.greaterThan ?? null,
        promptTokensAbove: when.promptTokens?.greaterThan ?? null,
      },
      use: rule.use,
    };
  });
}

type When = RuleConfig["when"];

/**
 * Whether everything that `later` matches also matches `earlier`. `models`: all models that can be requested, null for
 * any.
 */
function covers(earlier: When, later: When, models: readonly string[] | null): boolean {
  const possible =
    later.models === null
      ? models
      : later.models.filter((name) => models === null || models.some((model) => mayMeanTheSame(model, name)));
  const within = (wide: readonly string[] | null, narrow: readonly string[] | null): boolean =>
    wide === null || (narrow?.every((text) => wide.includes(text)) ?? false);
  const above = (wide: number | null, narrow: number | null): boolean =>
    wide === null || (narrow !== null && narrow >= wide);
  return (
    (earlier.models === null || (possible?.every((name) => listsModel(earlier.models ?? [], name)) ?? false)) &&
    (["tags", "roles", "teams", "users"] as const).every((name) => within(earlier[name], later[name])) &&
    (["batchSizeAbove", "promptTokensAbove"] as const).every((name) => above(earlier[name], later[name])) &&
    earlier.headers.every((header) =>
      later.headers.some((other) => other.name === header.name && other.value === header.value),
    )
  );
}

function whyUnreachable(rules: readonly RuleConfig[], index: number, models: readonly string[] | null): string | null {
  const when = rules[index]?.when;
  if (when === undefined) return null;
  if (
    models !== null &&
    when.models !== null &&
    !when.models.some((name) => models.some((model) => mayMeanTheSame(model, name)))
  )
    return "match.models has none of its models";
  const before = rules.slice(0, index).findIndex((earlier) => covers(earlier.when, when, models));
  return before < 0 ? null : `rule ${before + 1} matches all that it does`;
}

export function warnUnreachable(
  rules: readonly RuleConfig[],
  models: readonly string[] | null,
  accepted: Problem[],
): void {
  for (const index of rules.keys()) {
    const why = whyUnreachable(rules, index, models);
    if (why !== null)
      accepted.push(
        problem(
          "UnreachableRule",
          `rule ${index + 1} never matches, because ${why}`,
          ["spec", "routing", "rules", index],
          "warning",
        ),
      );
  }
}
