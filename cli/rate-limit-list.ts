/** The limits of a namespace, and hints about other limits for users of `sluice set-rate-limit`. Pure. */
import { nounCount } from "../proxy/config/noun-count.ts";
import { textTable } from "./tables.ts";

export interface LimitRow {
  metadata: { name: string; namespace?: string };
  spec: Readonly<Record<string, unknown>>;
}

/** Fields of a Budget's scope, and the option of `set-rate-limit` for each. */
export const scopeFields = {
  users: "user",
  teams: "team",
  roles: "role",
  tags: "tag",
  apiKeys: "key",
  models: "model",
} as const;

const scopeNames: Readonly<Record<string, string>> = { ...scopeFields, providers: "provider" };

const scopeOfSpec = ({ spec }: LimitRow): Record<string, string[]> => (spec["scope"] ?? {}) as Record<string, string[]>;

function whom(row: LimitRow): string {
  const parts = Object.entries(scopeOfSpec(row))
    .filter(([, values]) => Array.isArray(values))
    .map(([field, values]) => `${scopeNames[field] ?? field} ${values.join(" or ")}`);
  return parts.length === 0 ? "everybody" : parts.join(", ");
}

type LimitSpec = Partial<Record<"requests" | "tokens" | "concurrency", number>> & {
  window?: string;
  duration?: string;
};

function textOfLimit({ requests, tokens, concurrency, window, duration }: LimitSpec): string {
  if (requests !== undefined) return `${nounCount(requests, "request")} per ${window}`;
  if (tokens !== undefined) return `${nounCount(tokens, "token")} per ${window}`;
  return concurrency === undefined ? `${duration} long` : `${concurrency} at once`;
}

export const isLimit = ({ spec }: LimitRow): boolean =>
  spec["amount"] === undefined && Array.isArray(spec["limits"]) && spec["limits"].length > 0;

/** Lists Budgets that limit no money. */
export function limitTable(budgets: readonly LimitRow[], namespace: string): string {
  const limits = budgets.filter(isLimit);
  if (limits.length === 0) return `namespace ${namespace} has no limits`;
  const rows = limits
    .map((row): string[] => [
      row.metadata.name,
      whom(row),
      (row.spec["limits"] as LimitSpec[]).map(textOfLimit).join(", "),
      typeof row.spec["per"] === "string" ? row.spec["per"] : "",
      typeof row.spec["expiresAt"] === "string" ? row.spec["expiresAt"] : "",
    ])
    .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));
  return textTable([["NAME", "FOR", "LIMIT", "PER", "EXPIRES"], ...rows]);
}

/** Other limits that name one of the same callers, for someone who removed one of them. */
export function stillLimiting(
  budgets: readonly LimitRow[],
  scope: Readonly<Record<string, readonly string[]>>,
): string[] {
  const others = budgets.filter(
    (row) =>
      isLimit(row) &&
      Object.entries(scope).some(([field, values]) => values.some((value) => scopeOfSpec(row)[field]?.includes(value))),
  );
  return others.map(
    (row) =>
      `note: Budget ${row.metadata.name} still limits ${whom(row)}; --remove --name ${row.metadata.name} removes it`,
  );
}

/** Users, teams, tags and keys that no ApiKey has: perhaps a typo, perhaps callers with an issuer's token. */
export function unknownCallers(
  keys: readonly LimitRow[],
  scope: Readonly<Record<string, readonly string[]>>,
): string[] {
  const describers: Readonly<Record<string, (row: LimitRow) => unknown[]>> = {
    users: ({ spec }) => [spec["user"]],
    teams: ({ spec }) => [spec["team"]],
    tags: ({ spec }) => (Array.isArray(spec["tags"]) ? spec["tags"] : []),
    apiKeys: ({ metadata }) => [metadata.name],
  };
  return Object.entries(describers).flatMap(([field, describe]) => {
    const names = new Set(keys.flatMap(describe));
    const missing = (scope[field] ?? []).filter((name) => !names.has(name));
    const what = scopeNames[field];
    return missing.map(
      (name) =>
        `note: no ApiKey of the namespace has the ${what === "key" ? "name" : what} ${name}; the limit is for callers who ${what === "key" ? "will have it" : "come with a token, or for keys to come"}`,
    );
  });
}
