/** GET /v1/sluice/usage: what the holder of a key may read of the usage ledger, and what its budgets have left. */

import type { Identity, KeyIdentity } from "../call/identity.ts";
import type { LedgerRow } from "../config/ledger.ts";
import { isTimeZone } from "../config/periods.ts";
import {
  type Currency,
  figuresOf,
  type Group,
  type Grouping,
  groupings,
  groupRows,
  isGrouping,
  type KeyFacts,
} from "../config/usage-report.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { type BudgetStanding, budgetsOfCaller } from "./own-budgets.ts";
import type { Recounts } from "./recounts.ts";
import { missingPermission } from "./route.ts";

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const longestMs = 31 * dayMs;
const units: Readonly<Record<string, number>> = { h: hourMs, d: dayMs };

interface Asked {
  periodMs: number;
  groupBy: Grouping[];
  timeZone: string;
  everybody: boolean;
}

const invalid = (param: string, message: string): Failure => failure("invalid_value", message, { param });

function parseQuery(url: string): Asked | Failure {
  const query = new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?") + 1) : "");
  const period = /^([1-9][0-9]{0,2})([hd])$/.exec(query.get("period") ?? "1d");
  const periodMs = period === null ? 0 : Number(period[1]) * (units[period[2] ?? ""] ?? 0);
  if (periodMs === 0 || periodMs > longestMs)
    return invalid("period", "`period` must be a number of hours or days up to 31d, such as 24h or 7d.");
  const names = (query.get("group_by") ?? "model").split(",");
  const groupBy = names.filter(isGrouping);
  if (groupBy.length !== names.length || new Set(names).size !== names.length)
    return invalid(
      "group_by",
      `\`group_by\` must be one or more of ${groupings.join(", ")} or label:KEY, each only once.`,
    );
  const timeZone = query.get("time_zone") ?? "UTC";
  if (!isTimeZone(timeZone))
    return invalid("time_zone", "`time_zone` must be an IANA time zone, such as Europe/Berlin.");
  const scope = query.get("scope") ?? "own";
  if (scope !== "own" && scope !== "namespace") return invalid("scope", "`scope` must be own or namespace.");
  return { periodMs, groupBy, timeZone, everybody: scope === "namespace" };
}

/** Leaves out money unless `costs` is set. */
function shown({ by, sums }: Group, costs: boolean, currency: Currency | null): object {
  const isMoney = (name: string): boolean => name.startsWith("cost_") || name === "unpriced_requests";
  const figures = Object.entries(figuresOf(sums, currency)).filter(([name]) => costs || !isMoney(name));
  return { ...by, ...Object.fromEntries(figures) };
}

const mine =
  ({ key, namespace }: KeyIdentity, everybody: boolean) =>
  (row: LedgerRow) =>
    row.namespace === namespace && (everybody || row.user === key.user);

/** Tags and labels of the rows' keys, as they are now. */
export function keyFactsOf(rows: readonly LedgerRow[], snapshot: Pick<Snapshot, "keysOf">): Record<string, KeyFacts> {
  const facts: Record<string, KeyFacts> = {};
  for (const { key } of rows) {
    if (key === "" || key in facts) continue;
    const [record] = snapshot.keysOf(key);
    if (record !== undefined) facts[key] = { tags: record.tags, labels: record.labels ?? {} };
  }
  return facts;
}

export interface UsageSources {
  ledger: FleetStore;
  recounts?: Recounts;
  nowMs(): number;
}

export async function ownUsage(
  url: string,
  identity: Identity,
  snapshot: Snapshot,
  sources: UsageSources,
): Promise<object | Failure> {
  if (identity.anonymous) return identity.failure;
  const requested = parseQuery(url);
  if (isFailure(requested)) return requested;
  const { roles, settings } = snapshot;
  const refused = missingPermission(identity, requested.everybody ? "view_all_requests" : "view_own_requests", roles);
  if (refused) return refused;
  const costs = missingPermission(identity, "view_costs", roles) === null;
  const nowMs = sources.nowMs();
  const fromMs = Math.floor((nowMs - requested.periodMs) / hourMs) * hourMs;
  const currency = settings.currency ?? null;
  try {
    const rows = (await sources.ledger.readLedger(fromMs, nowMs + hourMs)).filter(mine(identity, requested.everybody));
    const { timeZone } = requested;
    const groups = groupRows(rows, requested.groupBy, { timeZone, keys: keyFactsOf(rows, snapshot) });
    const budgets: BudgetStanding[] = await budgetsOfCaller(identity, snapshot, sources, costs);
    return {
      object: "list",
      from: new Date(fromMs).toISOString(),
      to: new Date(nowMs).toISOString(),
      data: groups.map((group) => shown(group, costs, currency)),
      budgets,
    };
  } catch {
    return failure("not_ready", "The usage ledger can't be reached now. Try again in a moment.", {
      retryAfterMs: 5000,
    });
  }
}
