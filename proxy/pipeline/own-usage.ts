/** GET /v1/sluice/usage: what the holder of a key may read of the usage ledger. */

import type { Identity, KeyIdentity } from "../call/identity.ts";
import { type Group, type Grouping, groupings, groupRows, tokensOf, usd } from "../config/usage-report.ts";
import { type Failure, failure } from "../failure.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { Role } from "../snapshot/snapshot.ts";
import { missingPermission } from "./route.ts";

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const longestMs = 31 * dayMs;
const units: Readonly<Record<string, number>> = { h: hourMs, d: dayMs };

interface Asked {
  periodMs: number;
  groupBy: Grouping[];
  everybody: boolean;
}

function parseQuery(url: string): Asked | Failure {
  const query = new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?") + 1) : "");
  const period = /^([1-9][0-9]{0,2})([hd])$/.exec(query.get("period") ?? "1d");
  const periodMs = period === null ? 0 : Number(period[1]) * (units[period[2] ?? ""] ?? 0);
  if (periodMs === 0 || periodMs > longestMs)
    return failure("invalid_value", "`period` must be a number of hours or days up to 31d, such as 24h or 7d.", {
      param: "period",
    });
  const names = (query.get("group_by") ?? "model").split(",");
  const groupBy = names.filter((name): name is Grouping => (groupings as readonly string[]).includes(name));
  if (groupBy.length !== names.length)
    return failure("invalid_value", `\`group_by\` must be one or more of ${groupings.join(", ")}.`, {
      param: "group_by",
    });
  const scope = query.get("scope") ?? "own";
  if (scope !== "own" && scope !== "namespace")
    return failure("invalid_value", "`scope` must be own or namespace.", { param: "scope" });
  return { periodMs, groupBy, everybody: scope === "namespace" };
}

function shown({ by, sums }: Group, costs: boolean): object {
  return {
    ...by,
    requests: sums.requests,
    errors: sums.errors,
    input_tokens: sums.promptTokens,
    cached_tokens: sums.cachedTokens,
    output_tokens: sums.completionTokens,
    total_tokens: tokensOf(sums),
    estimated_requests: sums.estimated,
    ...(costs ? { cost_usd: usd(sums.costNanoUsd), unpriced_requests: sums.unpriced } : {}),
  };
}

const mine =
  ({ key, namespace }: KeyIdentity, everybody: boolean) =>
  (row: { namespace: string; user: string }) =>
    row.namespace === namespace && (everybody || row.user === key.user);

export async function ownUsage(
  url: string,
  identity: Identity,
  roles: ReadonlyMap<string, Role>,
  store: FleetStore,
  nowMs: number,
): Promise<object | Failure> {
  if (identity.anonymous) return identity.failure;
  const asked = parseQuery(url);
  if ("code" in asked) return asked;
  const refused = missingPermission(identity, asked.everybody ? "view_all_requests" : "view_own_requests", roles);
  if (refused) return refused;
  const costs = missingPermission(identity, "view_costs", roles) === null;
  const fromMs = Math.floor((nowMs - asked.periodMs) / hourMs) * hourMs;
  try {
    const rows = (await store.readLedger(fromMs, nowMs + hourMs)).filter(mine(identity, asked.everybody));
    const groups = groupRows(rows, asked.groupBy).map((group) => shown(group, costs));
    return { object: "list", from: new Date(fromMs).toISOString(), to: new Date(nowMs).toISOString(), data: groups };
  } catch {
    return failure("not_ready", "The usage ledger can't be reached now. Try again in a moment.", {
      retryAfterMs: 5000,
    });
  }
}
