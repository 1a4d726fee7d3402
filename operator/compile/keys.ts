/** ApiKey → KeyRecord. Only digests are here. */
import { durationMs } from "../../crds/quantity.ts";
import type { KeyRecord } from "../../proxy/config/schema.ts";
import { keyLimits } from "./limits.ts";
import { own, type Parsed, problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";
import type { World } from "./world.ts";

export interface CompiledKey {
  record: KeyRecord | null;
  expiresAtMs: number | null;
  displayPrefix: string;
  accepted: Problem[];
  resolvedRefs: Problem[];
}

function expiryOf(key: Parsed<"ApiKey">, accepted: Problem[]): number | null {
  const { expiresAt, expiresAfter } = key.spec;
  if (expiresAt !== undefined) {
    const at = Date.parse(expiresAt);
    if (Number.isNaN(at)) accepted.push(problem("Invalid", "spec.expiresAt must be a date and time such as 2027-02-18T00:00:00Z", ["spec", "expiresAt"]));
    return Number.isNaN(at) ? null : at;
  }
  if (expiresAfter === undefined) return null;
  if (key.meta.createdAtMs === 0) {
    accepted.push(problem("Invalid", "in a folder an object has no time of creation to count from; use spec.expiresAt", ["spec", "expiresAfter"]));
    return null;
  }
  return key.meta.createdAtMs + durationMs(expiresAfter);
}

export function compileKey(key: Parsed<"ApiKey">, world: World): CompiledKey {
  const { spec, meta } = key;
  const accepted: Problem[] = [];
  const resolvedRefs: Problem[] = [];
  const expiresAtMs = expiryOf(key, accepted);
  const path = ["spec", "writeTo"];
  const secret = own(world.secrets, `${meta.namespace}/${spec.writeTo.name}`);
  const fact = secret && own(secret, spec.writeTo.key);
  if (secret === undefined) {
    resolvedRefs.push(
      problem(
        "SecretNotFound",
        `Secret ${spec.writeTo.name} is not in namespace ${meta.namespace}; in a cluster the operator makes it, in a folder write it down with key ${spec.writeTo.key}`,
        path,
      ),
    );
  } else if (fact === undefined) resolvedRefs.push(problem("SecretKeyNotFound", `Secret ${spec.writeTo.name} has no key ${spec.writeTo.key}`, path));
  else if (fact.unusable !== undefined)
    resolvedRefs.push(problem("SecretUnusable", `Secret ${spec.writeTo.name}, key ${spec.writeTo.key}: ${fact.unusable}`, path));
  const limits = keyLimits(spec.limits, accepted);
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
          revoked: spec.revoked,
          ...limits,
          ...(spec.clientTokens
            ? { clientTokens: { origins: spec.clientTokens.origins?.toSorted() ?? null, maxLifeMs: durationMs(spec.clientTokens.maxLifetime) } }
            : {}),
        };
  return { record, expiresAtMs, displayPrefix: fact?.displayPrefix ?? "", accepted, resolvedRefs };
}
