/** Limits of policies and keys → LimitConfig. */
import { durationMs } from "../../crds/quantity.ts";
import type { ApiKeySpec } from "../../crds/types/api-key.ts";
import type { BudgetSpec } from "../../crds/types/budget.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import type { LimitConfig, SessionTimeConfig } from "../../proxy/config/limits.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

type LimitSpec = NonNullable<RoutingPolicySpec["limits"]>[number] | NonNullable<ApiKeySpec["limits"]>[number];

type SessionSpec = NonNullable<RoutingPolicySpec["limits"]>[number] | NonNullable<BudgetSpec["limits"]>[number];

const minMs = 1_000;
const longestMs = 31 * 86_400_000;

function limitOf(spec: LimitSpec, per: LimitConfig["per"]): LimitConfig {
  const counted = spec.requests !== undefined ? "Requests" : spec.tokens !== undefined ? "Tokens" : "Concurrency";
  return {
    per: "per" in spec ? spec.per : per,
    of: counted,
    amount: spec.requests ?? spec.tokens ?? spec.concurrency ?? 1,
    windowMs: counted === "Concurrency" ? 0 : durationMs(spec.window),
    onStateLoss: spec.onStateLoss === "Deny" ? "deny" : "allow",
  };
}

const isOfTime = (spec: LimitSpec): boolean => "duration" in spec && spec.duration !== undefined;

const identityOf = ({ per, of, windowMs }: LimitConfig): string => `${per} ${of} ${windowMs}`;

/** `per`: what a limit counts by if it does not say so itself. */
export function compileLimits(
  specs: readonly LimitSpec[] | undefined,
  accepted: Problem[],
  per: LimitConfig["per"] = "ApiKey",
): LimitConfig[] {
  const limits: LimitConfig[] = [];
  for (const [index, spec] of (specs ?? []).entries()) {
    if (isOfTime(spec)) continue;
    const limit = limitOf(spec, per);
    limits.push(limit);
    const path = ["spec", "limits", index];
    if (limit.of !== "Concurrency" && (limit.windowMs < minMs || limit.windowMs > longestMs))
      accepted.push(problem("Invalid", "window must be at least 1s and at most 31d", [...path, "window"]));
    if (limits.some((other) => other !== limit && identityOf(other) === identityOf(limit)))
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

/** How long a session may last, left out if no limit says so. */
export function compileSessionTime(
  specs: readonly SessionSpec[] | undefined,
  accepted: Problem[],
): { sessionTime?: SessionTimeConfig } {
  let shortest: SessionTimeConfig | null = null;
  for (const [index, { duration, onStateLoss }] of (specs ?? []).entries()) {
    if (duration === undefined) continue;
    const maxMs = durationMs(duration);
    const path = ["spec", "limits", index];
    if (maxMs < minMs || maxMs > longestMs)
      accepted.push(problem("Invalid", "duration must be at least 1s and at most 31d", [...path, "duration"]));
    if (shortest !== null)
      accepted.push(problem("Invalid", "two limits set a duration; keep the one that is meant", path));
    shortest = { maxMs, onStateLoss: onStateLoss === "Deny" ? "deny" : "allow" };
  }
  return shortest === null ? {} : { sessionTime: shortest };
}

/** A key's own limits, left out if it has none. */
export function compileKeyLimits(specs: ApiKeySpec["limits"], accepted: Problem[]): { limits?: LimitConfig[] } {
  return specs === undefined ? {} : { limits: compileLimits(specs, accepted) };
}
