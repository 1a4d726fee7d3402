/** Patterns of a policy, which must run in linear time: RE2 has no look-around and no back-references. */
import { matchesNothing, patternProblem, patternSize } from "../../crds/pattern.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import type { MaskConfig } from "../../proxy/config/masking.ts";
import type { GuardConfig } from "../../proxy/config/route.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

type GuardSpec = NonNullable<RoutingPolicySpec["guard"]>;

/**
 * Most instructions in one pattern, and in all patterns of a policy together: a repeat counts each possible repetition.
 */
const maxPatternSize = 500;
const maxPatternsSize = 2_000;

interface Sized {
  path: (string | number)[];
  name: string;
  pattern: string;
}

function* patternsOf({ deny, allow, mask }: GuardSpec): Generator<Sized> {
  for (const [list, patterns] of [
    ["deny", deny],
    ["allow", allow],
  ] as const)
    for (const [index, pattern] of (patterns ?? []).entries())
      yield { path: ["spec", "guard", list, index], name: `spec.guard.${list}[${index}]`, pattern };
  for (const [index, { pattern }] of (mask?.custom ?? []).entries())
    yield {
      path: ["spec", "guard", "mask", "custom", index],
      name: `spec.guard.mask.custom[${index}].pattern`,
      pattern,
    };
}

/** What the patterns of a policy may cost for each character of a request. */
function checkSizes(spec: GuardSpec, accepted: Problem[]): void {
  let total = 0;
  for (const { path, name, pattern } of patternsOf(spec)) {
    if (patternProblem(pattern) !== null) continue;
    const size = patternSize(pattern);
    total += size;
    if (size > maxPatternSize)
      accepted.push(
        problem(
          "Invalid",
          `${name} is too costly to match: it compiles to ${size} instructions, and a pattern may have ${maxPatternSize}. Use smaller repeats, or * instead of {0,900}`,
          path,
        ),
      );
  }
  if (total > maxPatternsSize)
    accepted.push(
      problem(
        "Invalid",
        `spec.guard has patterns that are too costly to match: they compile to ${total} instructions together, and those of a policy may have ${maxPatternsSize}. Use fewer patterns or smaller repeats`,
        ["spec", "guard"],
      ),
    );
}

function check(patterns: readonly string[], list: "deny" | "allow", accepted: Problem[]): string[] {
  for (const [index, pattern] of patterns.entries()) {
    const why = patternProblem(pattern);
    if (why !== null)
      accepted.push(
        problem("Invalid", `spec.guard.${list}[${index}] is not an RE2 regular expression: ${why}`, [
          "spec",
          "guard",
          list,
          index,
        ]),
      );
  }
  return [...patterns];
}

function compileMask(mask: GuardSpec["mask"], accepted: Problem[]): MaskConfig | null {
  if (mask === undefined) return null;
  for (const [index, { pattern }] of (mask.custom ?? []).entries()) {
    const why = patternProblem(pattern) ?? (matchesNothing(pattern) ? "it matches the empty text" : null);
    if (why !== null)
      accepted.push(
        problem(
          "Invalid",
          `spec.guard.mask.custom[${index}].pattern is not an RE2 regular expression that can be masked: ${why}`,
          ["spec", "guard", "mask", "custom", index],
        ),
      );
  }
  const custom = (mask.custom ?? []).map(({ name, pattern, replacement }) => ({
    name,
    pattern,
    replacement: replacement ?? null,
  }));
  return { detect: [...mask.detect].sort(), custom, mode: mask.mode, answers: mask.answers };
}

/** `resources`: whether files and batches pass through unread. */
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
  checkSizes(spec, accepted);
  return {
    deny: check(spec.deny ?? [], "deny", accepted),
    allow: spec.allow === undefined ? null : check(spec.allow, "allow", accepted),
    maxPromptBytes: spec.maxPromptBytes ?? null,
    exemptRoles: [...(spec.exemptRoles ?? [])].sort(),
    mask: compileMask(spec.mask, accepted),
  };
}
