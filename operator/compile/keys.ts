/** ApiKey → KeyRecord. Only digests are here. */
import { durationMs } from "../../crds/quantity.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { previousOf, rotatedAtOf } from "./key-secret.ts";
import { compileKeyLimits } from "./limits.ts";
import { own, type ParsedObject, problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";
import type { SecretFact, World } from "./world.ts";

/** The key before, if its grace still lasts. */
function rotationOf(
  key: ParsedObject<"ApiKey">,
  secret: Readonly<Record<string, SecretFact>> | undefined,
  nowMs: number,
): Rotation {
  const { rotation, writeTo } = key.spec;
  const rotatedAtMs = (secret && own(secret, rotatedAtOf(writeTo.key))?.momentMs) ?? null;
  const before = secret && own(secret, previousOf(writeTo.key));
  const untilMs = rotatedAtMs === null ? null : rotatedAtMs + durationMs(rotation?.grace ?? defaultGrace);
  const lasts = before !== undefined && before.unusable === undefined && untilMs !== null && nowMs < untilMs;
  const sinceMs = rotatedAtMs ?? (key.meta.createdAtMs || null);
  const nextAtMs =
    rotation?.every === undefined || sinceMs === null || key.spec.revoked ? null : sinceMs + durationMs(rotation.every);
  const graceEndsMs = before === undefined || before.unusable !== undefined ? null : untilMs;
  return { rotatedAtMs, nextAtMs, previous: lasts ? { digest: before.digest, untilMs } : null, graceEndsMs };
}

export interface Rotation {
  rotatedAtMs: number | null;
  nextAtMs: number | null;
  previous: NonNullable<KeyRecord["previous"]> | null;
  /** The one moment at which time alone makes it another. */
  graceEndsMs: number | null;
}

/** Of a key that was rotated by hand, in a folder. */
const defaultGrace = "24h";

export interface CompiledKey {
  rotation: Rotation;
  record: KeyRecord | null;
  expiresAtMs: number | null;
  displayPrefix: string;
  accepted: Problem[];
  resolvedRefs: Problem[];
}

function expiryOf(key: ParsedObject<"ApiKey">, accepted: Problem[]): number | null {
  const { expiresAt, expiresAfter } = key.spec;
  if (expiresAt !== undefined) {
    const at = Date.parse(expiresAt);
    if (Number.isNaN(at))
      accepted.push(
        problem("Invalid", "spec.expiresAt must be a date and time such as 2027-02-18T00:00:00Z", [
          "spec",
          "expiresAt",
        ]),
      );
    return Number.isNaN(at) ? null : at;
  }
  if (expiresAfter === undefined) return null;
  if (key.meta.createdAtMs === 0) {
    accepted.push(
      problem("Invalid", "in a folder an object has no time of creation to count from; use spec.expiresAt", [
        "spec",
        "expiresAfter",
      ]),
    );
    return null;
  }
  return key.meta.createdAtMs + durationMs(expiresAfter);
}

/** What keeps the Secret from giving a key; null where nothing does. */
function secretProblem(
  { spec, meta }: ParsedObject<"ApiKey">,
  secret: Readonly<Record<string, SecretFact>> | undefined,
  fact: SecretFact | undefined,
): Problem | null {
  const { name, key } = spec.writeTo;
  const path = ["spec", "writeTo"];
  if (secret === undefined) {
    const message = `Secret ${name} is not in namespace ${meta.namespace}; in a cluster the operator makes it, in a folder write it down with key ${key}`;
    return problem("SecretNotFound", message, path);
  }
  if (fact === undefined) return problem("SecretKeyNotFound", `Secret ${name} has no key ${key}`, path);
  return fact.unusable === undefined
    ? null
    : problem("SecretUnusable", `Secret ${name}, key ${key}: ${fact.unusable}`, path);
}

export function compileKey(key: ParsedObject<"ApiKey">, world: World, nowMs: number): CompiledKey {
  const { spec, meta } = key;
  const accepted: Problem[] = [];
  const resolvedRefs: Problem[] = [];
  const expiresAtMs = expiryOf(key, accepted);
  const secret = own(world.secrets, `${meta.namespace}/${spec.writeTo.name}`);
  const fact = secret && own(secret, spec.writeTo.key);
  const rotation = rotationOf(key, secret, nowMs);
  const wrong = secretProblem(key, secret, fact);
  if (wrong !== null) resolvedRefs.push(wrong);
  const limits = compileKeyLimits(spec.limits, accepted);
  const record: KeyRecord | null =
    fact === undefined || fact.unusable !== undefined
      ? null
      : {
          digest: fact.digest,
          id: key.id,
          user: spec.user,
          team: spec.team ?? null,
          role: spec.role,
          tags: [...(spec.tags ?? [])].sort(),
          models: spec.models === undefined ? null : [...spec.models].sort(),
          expiresAtMs,
          ...(rotation.previous ? { previous: rotation.previous } : {}),
          revoked: spec.revoked,
          ...limits,
          ...(spec.clientTokens
            ? {
                clientTokens: {
                  origins: spec.clientTokens.origins?.toSorted() ?? null,
                  maxLifeMs: durationMs(spec.clientTokens.maxLifetime),
                },
              }
            : {}),
        };
  return { record, rotation, expiresAtMs, displayPrefix: fact?.displayPrefix ?? "", accepted, resolvedRefs };
}
