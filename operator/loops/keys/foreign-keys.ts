/** What the proxies report on keys of other gateways → `status.digests` of ApiKeys: when each was last used. */
import { type ForeignKeyUse, foreignKeyLabel } from "../../../proxy/config/foreign-key-use.ts";
import { idOf } from "../../compile/outcome.ts";
import type { StatusPatch, Verdict } from "../../compile/verdict.ts";
import type { WorldObject } from "../../compile/world.ts";

/** An entry of `status.digests`. */
export interface DigestUse {
  index: number;
  label: string;
  lastUsedAt?: string;
}

type Times = ReadonlyMap<string, number>;

/** By `namespace/name label`. */
function latest(uses: readonly ForeignKeyUse[]): Times {
  const times = new Map<string, number>();
  for (const { key, label, lastUsedMs } of uses) {
    const name = `${key} ${label}`;
    times.set(name, Math.max(times.get(name) ?? 0, lastUsedMs));
  }
  return times;
}

/** The entries of a status. Anything may have been written there. */
function known(status: unknown): Map<string, number> {
  const digests = (status as { digests?: unknown } | null)?.digests;
  const times = new Map<string, number>();
  for (const use of Array.isArray(digests) ? (digests as Partial<DigestUse>[]) : []) {
    const ms = Date.parse(String(use?.lastUsedAt));
    if (typeof use?.label === "string" && Number.isFinite(ms)) times.set(use.label, ms);
  }
  return times;
}

const valuesOf = (spec: unknown): string[] => {
  const digests = (spec as { digests?: unknown } | null)?.digests;
  return Array.isArray(digests)
    ? digests.map((digest) => String((digest as { value?: unknown } | null)?.value ?? ""))
    : [];
};

function digestUses({ meta, spec, status }: WorldObject, times: Times): DigestUse[] {
  const before = known(status);
  return valuesOf(spec).map((value, index) => {
    const label = foreignKeyLabel(value);
    const lastMs = Math.max(before.get(label) ?? 0, times.get(`${idOf(meta)} ${label}`) ?? 0);
    return { index, label, ...(lastMs === 0 ? {} : { lastUsedAt: new Date(lastMs).toISOString() }) };
  });
}

/** Keeps earlier uses: proxies forget them when they restart. */
export function foreignKeyPatches(
  verdicts: readonly Verdict[],
  objects: readonly WorldObject[],
  uses: readonly ForeignKeyUse[],
): StatusPatch[] {
  const accepting = verdicts.filter(({ kind, status }) => kind === "ApiKey" && status["foreignKeys"] !== undefined);
  if (accepting.length === 0) return [];
  const times = latest(uses);
  const byId = new Map(objects.filter(({ kind }) => kind === "ApiKey").map((object) => [idOf(object.meta), object]));
  return accepting.flatMap((verdict) => {
    const object = byId.get(idOf(verdict.meta));
    return object === undefined ? [] : [{ verdict, status: { digests: digestUses(object, times) } }];
  });
}
