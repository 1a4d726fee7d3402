/** API keys: owners, permissions and last use. Never a key or a part of one. */
import type { KeyRecord } from "../../../proxy/config/key-record.ts";
import type { LedgerRow } from "../../../proxy/config/ledger.ts";
import type { ConsoleFacts } from "../gather.ts";
import { seesObject, type Viewer } from "../viewer.ts";
import { type ObjectState, objectState } from "./conditions.ts";

export interface ConsoleKey {
  id: string;
  user: string;
  team: string;
  role: string;
  tags: string[];
  models: string[] | null;
  expiresAtMs: number | null;
  /** End of the time in which a rotation's previous key is still accepted. */
  previousUntilMs: number | null;
  state: "in use" | "idle" | "expired" | "revoked" | "not served";
  why: string;
  /** To the second for recent calls, otherwise to the hour. null if the key wasn't used in the last 30 days. */
  lastUsedMs: number | null;
  requests: number;
  costNanoUsd: number;
}

export interface KeysView {
  keys: ConsoleKey[];
  total: number;
  /** Number of days of usage shown. */
  days: number;
}

export const keyUsageDays = 30;
const maxRows = 500;

interface Used {
  lastMs: number;
  requests: number;
  costNanoUsd: number;
}

function usedKeys(facts: ConsoleFacts, rows: readonly LedgerRow[]): Map<string, Used> {
  const used = new Map<string, Used>();
  const usedOf = (key: string): Used => {
    const entry = used.get(key) ?? { lastMs: 0, requests: 0, costNanoUsd: 0 };
    used.set(key, entry);
    return entry;
  };
  for (const row of rows) {
    if (row.key === "") continue;
    const key = usedOf(row.key);
    key.lastMs = Math.max(key.lastMs, row.hourMs);
    key.requests += row.requests;
    key.costNanoUsd += row.costNanoUsd;
  }
  for (const { calls } of facts.activities)
    for (const { key, endedMs } of calls) if (key !== "") usedOf(key).lastMs = Math.max(usedOf(key).lastMs, endedMs);
  return used;
}

function keyRow(record: KeyRecord, state: ObjectState | undefined, used: Used | undefined, nowMs: number): ConsoleKey {
  const { id, user, team, role, tags, models, expiresAtMs, revoked, previous } = record;
  const over = expiresAtMs !== null && expiresAtMs <= nowMs;
  return {
    ...{ id, user, team: team ?? "", role, tags, models, expiresAtMs },
    previousUntilMs: previous !== undefined && previous.untilMs > nowMs ? previous.untilMs : null,
    state: revoked ? "revoked" : over ? "expired" : used === undefined ? "idle" : "in use",
    why: state?.why ?? "",
    lastUsedMs: used?.lastMs ?? null,
    requests: used?.requests ?? 0,
    costNanoUsd: used?.costNanoUsd ?? 0,
  };
}

const unserved = ({ id, why }: ObjectState): ConsoleKey => ({
  ...{ id, user: "", team: "", role: "", tags: [], models: null, expiresAtMs: null, previousUntilMs: null },
  ...{ state: "not served", why, lastUsedMs: null, requests: 0, costNanoUsd: 0 },
});

/** `search`: part of a name, user, team or role. */
export function keysView(facts: ConsoleFacts, rows: readonly LedgerRow[], viewer: Viewer, search: string): KeysView {
  const objects = facts.objects.filter(({ kind, meta }) => kind === "ApiKey" && viewer.sees(kind, meta.namespace));
  const states = new Map(objects.map((object) => [objectState(object).id, objectState(object)]));
  const used = usedKeys(facts, rows);
  const records = (facts.config?.keys ?? []).filter(({ id }) => seesObject(viewer, "ApiKey", id));
  const served = new Set(records.map(({ id }) => id));
  const wanted = search.toLowerCase();
  const all = [
    ...records.map((record) => keyRow(record, states.get(record.id), used.get(record.id), facts.nowMs)),
    ...[...states.values()].filter(({ id }) => !served.has(id)).map(unserved),
  ].filter(({ id, user, team, role }) => `${id} ${user} ${team} ${role}`.toLowerCase().includes(wanted));
  all.sort((a, b) => (b.lastUsedMs ?? 0) - (a.lastUsedMs ?? 0) || (a.id < b.id ? -1 : 1));
  return { keys: all.slice(0, maxRows), total: all.length, days: keyUsageDays };
}
