/** Rotates keys that are due, and removes previous keys whose grace period is over. */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { parseSpec } from "../../crds/parse.ts";
import { durationMs } from "../../crds/quantity.ts";
import type { ApiKeySpec } from "../../crds/types/api-key.ts";
import { mintKey } from "../../proxy/config/key-form.ts";
import { previousOf, rotatedAtOf } from "../compile/key-secret.ts";
import { byAge } from "../compile/outcome.ts";
import type { WorldObject } from "../compile/world.ts";
import { type Cluster, orNull } from "./api.ts";
import { mayRotate, rightsOf } from "./secret-ownership.ts";
import { patchSecret } from "./secret-patch.ts";
import type { SecretValues } from "./secrets.ts";

export interface DueRotation {
  namespace: string;
  /** Name of the ApiKey. */
  name: string;
  secret: string;
  key: string;
  /** rotate: make a new key. forget: remove the previous key, whose grace period is over. */
  action: "rotate" | "forget";
}

const momentOf = (text: string | undefined): number | null => {
  const timeMs = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(timeMs) ? null : timeMs;
};

/** A key is due when its period is over, or when a rotation was requested since the last one. */
function due(rotation: NonNullable<ApiKeySpec["rotation"]>, sinceMs: number, nowMs: number): boolean {
  const requested = momentOf(rotation.requestedAt);
  if (requested !== null && requested <= nowMs && requested > sinceMs) return true;
  return rotation.every !== undefined && nowMs >= sinceMs + durationMs(rotation.every);
}

function turnOf(
  { rotation, writeTo }: ApiKeySpec,
  meta: WorldObject["meta"],
  values: SecretValues,
  nowMs: number,
): DueRotation["action"] | null {
  if (rotation === undefined || writeTo === undefined || values[writeTo.key] === undefined) return null;
  const rotatedMs = momentOf(values[rotatedAtOf(writeTo.key)]);
  if (due(rotation, rotatedMs ?? meta.createdAtMs, nowMs)) return "rotate";
  const over = nowMs >= (rotatedMs ?? 0) + durationMs(rotation.grace);
  return over && values[previousOf(writeTo.key)] !== undefined ? "forget" : null;
}

/** Pure: rotations that are due now. Revoked keys are left alone. */
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
    if (writeTo === undefined) continue;
    const action = turnOf(parsed.spec, meta, secrets.get(`${meta.namespace}/${writeTo.name}`) ?? {}, nowMs);
    if (action !== null)
      turns.push({ namespace: meta.namespace, name: meta.name, secret: writeTo.name, key: writeTo.key, action });
  }
  return turns;
}

/**
 * Pure: drops the rotations of ApiKeys that name the same key of the same Secret as an older ApiKey. The key belongs to
 * the older one, so that nobody can rotate it through an ApiKey of their own.
 */
export function ownRotations(turns: readonly DueRotation[], objects: readonly WorldObject[]): DueRotation[] {
  if (turns.length === 0) return [];
  const owners = new Map<string, WorldObject | null>(turns.map((turn) => [placeOf(turn), null]));
  for (const object of objects) {
    const parsed = object.kind === "ApiKey" ? parseSpec("ApiKey", object.spec ?? {}) : null;
    if (parsed === null || !parsed.ok) continue;
    const { writeTo } = parsed.spec;
    if (writeTo === undefined) continue;
    const place = placeOf({ namespace: object.meta.namespace, secret: writeTo.name, key: writeTo.key });
    if (!owners.has(place)) continue;
    const owner = owners.get(place);
    if (owner === null || owner === undefined || byAge(object, owner) < 0) owners.set(place, object);
  }
  return turns.filter((turn) => owners.get(placeOf(turn))?.meta.name === turn.name);
}

const placeOf = ({ namespace, secret, key }: Pick<DueRotation, "namespace" | "secret" | "key">): string =>
  JSON.stringify([namespace, secret, key]);

/**
 * Applies only to the version of the Secret that was read; a concurrent change is picked up by the next pass. Leaves
 * alone Secrets that Sluice may not write and values that others wrote.
 */
export async function rotate(cluster: Cluster, turn: DueRotation, values: SecretValues, nowMs: number): Promise<void> {
  const { namespace, secret: name, key } = turn;
  const there = await orNull(cluster.core.readNamespacedSecret({ namespace, name }));
  const current = there?.data?.[key];
  if (there === null || current === undefined || !mayRotate(rightsOf(there, { access: "Labelled" }), key)) return;
  const clear = Buffer.from(current, "base64").toString("utf8");
  // The cache may be stale: a key that has changed meanwhile was rotated already.
  if (clear !== values[key]) return;
  await patchSecret(
    cluster,
    { namespace, name, secret: there },
    turn.action === "forget"
      ? { [previousOf(key)]: null }
      : {
          [key]: mintKey(randomBytes(32)),
          [previousOf(key)]: clear,
          [rotatedAtOf(key)]: new Date(nowMs).toISOString(),
        },
  );
}
