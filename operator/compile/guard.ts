/** Patterns of a policy, which must run in linear time: RE2 has no look-around and no back-references. */
import { matchesNothing, patternProblem } from "../../crds/pattern.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import type { MaskConfig } from "../../proxy/config/masking.ts";
import type { GuardConfig } from "../../proxy/config/route.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

function check(patterns: readonly string[], list: "deny" | "allow", accepted: Problem[]): string[] {
  for (const [at, pattern] of patterns.entries()) {
    const why = patternProblem(pattern);
    if (why !== null)
      accepted.push(
        problem("Invalid", `spec.guard.${list}[${at}] is no regular expression of RE2: ${why}`, [
          "spec",
          "guard",
          list,
          at,
        ]),
      );
  }
  return [...patterns];
}

type GuardSpec = NonNullable<RoutingPolicySpec["guard"]>;

function compileMask(mask: GuardSpec["mask"], accepted: Problem[]): MaskConfig | null {
  if (mask === undefined) return null;
  for (const [at, { pattern }] of (mask.custom ?? []).entries()) {
    const why = patternProblem(pattern) ?? (matchesNothing(pattern) ? "it matches the empty text" : null);
    if (why !== null)
      accepted.push(
        problem("Invalid", `spec.guard.mask.custom[${at}].pattern is no regular expression of RE2 to mask by: ${why}`, [
          "spec",
          "guard",
          "mask",
          "custom",
          at,
        ]),
      );
  }
  const custom = (mask.custom ?? []).map(({ name, pattern, replacement }) => ({
    name,
    pattern,
    replacement: replacement ?? null,
  }));
  return { detect: [...mask.detect].sort(), custom, mode: mask.mode, answers: mask.answers };
}

/** `resources`: files and batches pass through unread. */
export function compileGuard(
  spec: RoutingPolicySpec["guard"],
  resources: boolean,
  accepted: Problem[],
): GuardConfig | null {
  if (spec === undefined) return null;
  if (spec.mask !== undefined && resources) {
    const message =
      "spec.guard.mask can't look into files and batches, which pass through unread: serve spec.resources by a policy without mask";
    accepted.push(problem("Invalid", message, ["spec", "guard", "mask"]));
  }
  return {
    deny: check(spec.deny ?? [], "deny", accepted),
    allow: spec.allow === undefined ? null : check(spec.allow, "allow", accepted),
    maxPromptBytes: spec.maxPromptBytes ?? null,
    exemptRoles: [...(spec.exemptRoles ?? [])].sort(),
    mask: compileMask(spec.mask, accepted),
  };
}
