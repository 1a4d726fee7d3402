/** Rotates keys whose time has come, and forgets those whose grace is over. */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { parseSpec } from "../../crds/parse.ts";
import { durationMs } from "../../crds/quantity.ts";
import type { ApiKeySpec } from "../../crds/types/api-key.ts";
import { mintKey } from "../../proxy/config/key-form.ts";
import { previousOf, rotatedAtOf } from "../compile/key-secret.ts";
import type { WorldObject } from "../compile/world.ts";
import { asMerge, type Cluster, fieldManager, orNull, statusCode } from "./api.ts";
import type { SecretValues } from "./secrets.ts";

export interface DueRotation {
  namespace: string;
  secret: string;
  key: string;
  /** rotate: a new key. forget: the grace of the one before is over. */
  action: "rotate" | "forget";
}

const momentOf = (text: string | undefined): number | null => {
  const at = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(at) ? null : at;
};

/** A key is due when its period is over, or when somebody asked for it since it was last rotated. */
function due(rotation: NonNullable<ApiKeySpec["rotation"]>, sinceMs: number, nowMs: number): boolean {
  const asked = momentOf(rotation.requestedAt);
  if (asked !== null && asked <= nowMs && asked > sinceMs) return true;
  return rotation.every !== undefined && nowMs >= sinceMs + durationMs(rotation.every);
}

function turnOf(
  { rotation, writeTo }: ApiKeySpec,
  meta: WorldObject["meta"],
  values: SecretValues,
  nowMs: number,
): DueRotation["action"] | null {
  if (rotation === undefined || values[writeTo.key] === undefined) return null;
  const rotatedMs = momentOf(values[rotatedAtOf(writeTo.key)]);
  if (due(rotation, rotatedMs ?? meta.createdAtMs, nowMs)) return "rotate";
  const over = nowMs >= (rotatedMs ?? 0) + durationMs(rotation.grace);
  return over && values[previousOf(writeTo.key)] !== undefined ? "forget" : null;
}

/** Pure: what is to be done now. Keys that were revoked are left alone. */
export function dueRotations(
  objects: readonly WorldObject[],
  secrets: ReadonlyMap<string, SecretValues>,
  nowMs: number,
): DueRotation[] {
  const turns: DueRotation[] = [];
  for (const { kind, meta, spec } of objects) {
    const parsed = kind === "ApiKey" ? parseSpec("ApiKey", spec ?? {}) : null;
    if (parsed === null || !parsed.ok || parsed.spec.revoked) continue;
    const { writeTo } = parsed.spec;
    const action = turnOf(parsed.spec, meta, secrets.get(`${meta.namespace}/${writeTo.name}`) ?? {}, nowMs);
    if (action !== null) turns.push({ namespace: meta.namespace, secret: writeTo.name, key: writeTo.key, action });
  }
  return turns;
}

/** Holds only for the version of the Secret that was seen; whoever was faster is looked at in the next pass. */
export async function rotate(cluster: Cluster, turn: DueRotation, values: SecretValues, nowMs: number): Promise<void> {
  const { namespace, secret: name, key } = turn;
  const there = await orNull(cluster.core.readNamespacedSecret({ namespace, name }));
  const current = there?.data?.[key];
  // The cache may be behind: a key that is another by now has had its turn.
  if (there === null || current === undefined || Buffer.from(current, "base64").toString("utf8") !== values[key])
    return;
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const data =
    turn.action === "forget"
      ? { [previousOf(key)]: null }
      : {
          [key]: base64(mintKey(randomBytes(32))),
          [previousOf(key)]: current,
          [rotatedAtOf(key)]: base64(new Date(nowMs).toISOString()),
        };
  try {
    await cluster.core.patchNamespacedSecret(
      { namespace, name, body: { metadata: { resourceVersion: there.metadata?.resourceVersion }, data }, fieldManager },
      asMerge,
    );
  } catch (cause) {
    if (statusCode(cause) !== 409) throw cause;
  }
}
