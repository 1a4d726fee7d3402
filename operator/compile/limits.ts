/** Limits of policies and keys → LimitConfig. */
import { durationMs } from "../../crds/quantity.ts";
import type { ApiKeySpec } from "../../crds/types/api-key.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import type { LimitConfig } from "../../proxy/config/limits.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

type LimitSpec = NonNullable<RoutingPolicySpec["limits"]>[number] | NonNullable<ApiKeySpec["limits"]>[number];

const shortestMs = 1_000;
const longestMs = 31 * 86_400_000;

function limitOf(spec: LimitSpec, per: LimitConfig["per"]): LimitConfig {
  const of = spec.requests !== undefined ? "Requests" : spec.tokens !== undefined ? "Tokens" : "Concurrency";
  return {
    per: "per" in spec ? spec.per : per,
    of,
    amount: spec.requests ?? spec.tokens ?? spec.concurrency ?? 1,
    windowMs: of === "Concurrency" ? 0 : durationMs(spec.window),
    onStateLoss: spec.onStateLoss === "Deny" ? "deny" : "allow",
  };
}

const identityOf = ({ per, of, windowMs }: LimitConfig): string => `${per} ${of} ${windowMs}`;

/** `per`: what a limit counts by if it does not say so itself. */
export function compileLimits(
  specs: readonly LimitSpec[] | undefined,
  accepted: Problem[],
  per: LimitConfig["per"] = "ApiKey",
): LimitConfig[] {
  const limits = (specs ?? []).map((spec) => limitOf(spec, per));
  for (const [index, limit] of limits.entries()) {
    const path = ["spec", "limits", index];
    if (limit.of !== "Concurrency" && (limit.windowMs < shortestMs || limit.windowMs > longestMs))
      accepted.push(problem("Invalid", "window must be at least 1s and at most 31d", [...path, "window"]));
    if (limits.findIndex((other) => identityOf(other) === identityOf(limit)) < index)
      accepted.push(
        problem(
          "Invalid",
          `two limits are for the same ${limit.of.toLowerCase()} in the same window; keep the one that is meant`,
          path,
        ),
      );
  }
  return limits.sort((a, b) => (identityOf(a) < identityOf(b) ? -1 : 1));
}

/** A key's own limits, left out if it has none. */
export function compileKeyLimits(specs: ApiKeySpec["limits"], accepted: Problem[]): { limits?: LimitConfig[] } {
  return specs === undefined ? {} : { limits: compileLimits(specs, accepted) };
}
