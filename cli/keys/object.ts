/** The ApiKey that a command line describes. Pure. */
import { apiVersion } from "../../crds/kinds.ts";
import { parseSpec } from "../../crds/parse.ts";
import { UsageError } from "../../proxy/usage-error.ts";
import type { KeysValues } from "./arguments.ts";

export interface KeyObject {
  apiVersion: string;
  kind: "ApiKey";
  metadata: { name: string; namespace: string };
  spec: Record<string, unknown>;
}

/** alice@example.com → alice-example-com */
export function nameOf(user: string): string {
  return user
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 200);
}

export function keyObject(values: KeysValues, namespace: string): KeyObject {
  const user = values.user ?? "";
  const name = values.name ?? nameOf(user);
  const spec: Record<string, unknown> = {
    user,
    ...(values.team === undefined ? {} : { team: values.team }),
    ...(values.role === undefined ? {} : { role: values.role }),
    ...(values.tag === undefined ? {} : { tags: values.tag }),
    ...(values.model === undefined ? {} : { models: values.model }),
    ...(values["expires-in"] === undefined ? {} : { expiresAfter: values["expires-in"] }),
    writeTo: { name: values.secret ?? `${name}-llm-key` },
  };
  check(spec);
  return { apiVersion, kind: "ApiKey", metadata: { name, namespace }, spec };
}

/** Refuses what an API server would refuse, with the same message. */
export function check(spec: Record<string, unknown>): void {
  const parsed = parseSpec("ApiKey", spec);
  if (!parsed.ok) throw new UsageError(parsed.problems.map((problem) => problem.message).join("; "));
}

export function rotationOf(
  spec: Record<string, unknown>,
  gracePeriod: string | undefined,
  nowMs: number,
): Record<string, unknown> {
  const before = (spec["rotation"] ?? {}) as Record<string, unknown>;
  const grace = gracePeriod ?? before["grace"];
  const rotation = { ...before, ...(grace === undefined ? {} : { grace }), requestedAt: new Date(nowMs).toISOString() };
  check({ ...spec, rotation });
  return rotation;
}

export interface KeyRow {
  namespace: string;
  name: string;
  user: string;
  team: string;
  role: string;
  prefix: string;
  expiresAt: string;
  state: string;
}

const columns = ["namespace", "name", "user", "team", "role", "prefix", "expiresAt", "state"] as const;
const titles: Readonly<Record<(typeof columns)[number], string>> = {
  namespace: "NAMESPACE",
  name: "NAME",
  user: "USER",
  team: "TEAM",
  role: "ROLE",
  prefix: "KEY",
  expiresAt: "EXPIRES",
  state: "STATE",
};

export function table(rows: readonly KeyRow[]): string {
  const lines = [titles, ...rows];
  const widths = columns.map((column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) =>
      columns
        .map((column, index) => line[column].padEnd(widths[index] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}

interface Condition {
  type: string;
  status: string;
  reason: string;
}

interface KeyStatus {
  keyPrefix?: unknown;
  expiresAt?: unknown;
  conditions?: Condition[];
}

function stateOf(spec: Record<string, unknown>, conditions: readonly Condition[]): string {
  if (spec["revoked"] === true) return "revoked";
  const conditionOf = (type: string): Condition | undefined => conditions.find((condition) => condition.type === type);
  if (conditionOf("Expired")?.status === "True") return "expired";
  const wrong = ["Accepted", "ResolvedRefs", "Programmed"]
    .map(conditionOf)
    .find((condition) => condition?.status === "False");
  if (wrong) return wrong.reason;
  return conditionOf("Rotated")?.reason === "InGrace"
    ? "live, rotating"
    : conditionOf("Programmed")?.status === "True"
      ? "live"
      : "pending";
}

export function rowOf(
  meta: { name: string; namespace: string },
  spec: Record<string, unknown>,
  status: KeyStatus,
): KeyRow {
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return {
    ...meta,
    user: text(spec["user"]),
    team: text(spec["team"]),
    role: text(spec["role"]) || "developer",
    prefix: status.keyPrefix === undefined ? "" : `${text(status.keyPrefix)}…`,
    expiresAt: text(status.expiresAt),
    state: stateOf(spec, status.conditions ?? []),
  };
}
