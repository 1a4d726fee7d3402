/** Patterns of a policy, which must run in linear time: RE2 has no look-around and no back-references. */
import { patternProblem } from "../../crds/pattern.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import type { GuardConfig } from "../../proxy/config/schema.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

function check(patterns: readonly string[], list: "deny" | "allow", accepted: Problem[]): string[] {
  for (const [at, pattern] of patterns.entries()) {
    const why = patternProblem(pattern);
    if (why !== null) accepted.push(problem("Invalid", `spec.guard.${list}[${at}] is no regular expression of RE2: ${why}`, ["spec", "guard", list, at]));
  }
  return [...patterns];
}

export function compileGuard(spec: RoutingPolicySpec["guard"], accepted: Problem[]): GuardConfig | null {
  if (spec === undefined) return null;
  return {
    deny: check(spec.deny ?? [], "deny", accepted),
    allow: spec.allow === undefined ? null : check(spec.allow, "allow", accepted),
    maxPromptBytes: spec.maxPromptBytes ?? null,
    exemptRoles: [...(spec.exemptRoles ?? [])].sort(),
  };
}
