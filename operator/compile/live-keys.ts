/** Which keys are live: each by its digest, the older of two that share one, the last good form of one that can't be compiled. */
import type { KeyRecord, RouteConfig } from "../../proxy/config/schema.ts";
import { type CompiledKey, compileKey, type Rotation } from "./keys.ts";
import { idOf, isError, type Parsed, parseKind, problem } from "./outcome.ts";
import type { Problem, Verdict } from "./verdict.ts";
import type { CompileInput, WorldObject } from "./world.ts";

const iso = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");

/** Keys that are live so far, and who owns which digest: two objects can't share a key. */
interface LiveKeys {
  live: Map<string, KeyRecord>;
  owners: Map<string, string>;
}

function noteExpiry(verdict: Verdict, expiresAtMs: number, nowMs: number): void {
  const over = nowMs >= expiresAtMs;
  const at = iso(expiresAtMs);
  verdict.status["expiresAt"] = at;
  verdict.conditions.push({
    type: "Expired",
    status: over ? "True" : "False",
    reason: over ? "Expired" : "NotExpired",
    message: `${over ? "expired" : "expires"} at ${at}`,
  });
}

function noteRotation(verdict: Verdict, { rotatedAtMs, nextAtMs, previous }: Rotation): void {
  if (nextAtMs !== null) verdict.status["nextRotationAt"] = iso(nextAtMs);
  if (rotatedAtMs === null) return;
  verdict.status["rotatedAt"] = iso(rotatedAtMs);
  if (previous !== null) verdict.status["previousExpiresAt"] = iso(previous.untilMs);
  const message = `rotated at ${iso(rotatedAtMs)}; ${previous === null ? "the key before is refused" : `the key before is accepted until ${iso(previous.untilMs)}`}`;
  verdict.conditions.push({ type: "Rotated", status: "True", reason: previous === null ? "Rotated" : "InGrace", message });
}

/** null as well where nobody says which roles there are. */
function unknownRole({ spec }: Parsed<"ApiKey">, { settings }: CompileInput): Problem | null {
  const roles = settings.proxy.roles;
  if (settings.knowsRoles !== true || roles === undefined || Object.hasOwn(roles, spec.role)) return null;
  const message = `this installation has no role ${spec.role}, so that calls with this key are refused; its roles are: ${Object.keys(roles).sort().join(", ")}`;
  return problem("RoleNotFound", message, ["spec", "role"]);
}

function addKey(object: Parsed<"ApiKey">, verdict: Verdict, input: CompileInput, keys: LiveKeys): CompiledKey {
  const compiled = compileKey(object, input.world, input.nowMs);
  verdict.accepted = compiled.accepted;
  verdict.resolvedRefs = compiled.resolvedRefs;
  const unknown = unknownRole(object, input);
  if (unknown !== null) verdict.resolvedRefs.push(unknown);
  const { record } = compiled;
  const owner = record === null ? undefined : keys.owners.get(record.digest);
  if (owner !== undefined)
    verdict.accepted.push(problem("DuplicateKey", `ApiKey ${owner} is older and has the same key; give this one a Secret of its own`, ["spec", "writeTo"]));
  // A key of an unknown role goes live all the same, so that its holder is told what is wrong with it; no call passes.
  if (record === null || [...verdict.accepted, ...compiled.resolvedRefs.filter((one) => one !== unknown)].some(isError)) return compiled;
  if (compiled.displayPrefix !== "") verdict.status["keyPrefix"] = compiled.displayPrefix;
  noteRotation(verdict, compiled.rotation);
  keys.owners.set(record.digest, object.id);
  keys.live.set(object.id, record);
  verdict.live = unknown === null ? "current" : "partial";
  return compiled;
}

/** A revocation is read even from a spec that is invalid otherwise: a slip of the pen must not keep a stolen key alive. */
function isRevoked({ spec }: WorldObject): boolean {
  return (spec as { revoked?: unknown } | null | undefined)?.revoked === true;
}

/** The last good form of a key, with what its owner has taken away since: a revocation, a nearer expiry. */
function tightened(last: KeyRecord, revoked: boolean, expiresAtMs: number | null): KeyRecord {
  const ends = [last.expiresAtMs, expiresAtMs].filter((end) => end !== null);
  return { ...last, revoked: last.revoked || revoked, expiresAtMs: ends.length === 0 ? null : Math.min(...ends) };
}

/** Namespace → models that its keys can ask for; null where a policy takes any. */
function offers(routes: readonly RouteConfig[]): (namespace: string) => ReadonlySet<string> | null {
  const known = new Map<string, ReadonlySet<string> | null>();
  return (namespace) => {
    const before = known.get(namespace);
    if (before !== undefined) return before;
    const offered = routes.filter((route) => route.access.anonymous || route.consumers === "*" || route.consumers.includes(namespace));
    const any = offered.some((route) => route.models === null);
    const models = any ? null : new Set(offered.flatMap((route) => route.models ?? []));
    known.set(namespace, models);
    return models;
  };
}

function warnUnknownModels({ spec, meta }: Parsed<"ApiKey">, verdict: Verdict, offered: ReadonlySet<string> | null): void {
  for (const [at, model] of (spec.models ?? []).entries()) {
    if (offered === null || offered.has(model)) continue;
    const message = `no RoutingPolicy serves ${model} to namespace ${meta.namespace}`;
    verdict.accepted.push(problem("ModelNotFound", message, ["spec", "models", at], "warning"));
  }
}

/** `routes` are those that are live: a key may name models that none of them serves. */
export function compileKeys(input: CompileInput, routes: readonly RouteConfig[], verdicts: Verdict[]): KeyRecord[] {
  const previous = new Map((input.previous?.keys ?? []).map((record) => [record.id, record]));
  const { parsed, invalid } = parseKind("ApiKey", input.world.objects);
  const revoked = new Set(input.world.objects.filter((object) => object.kind === "ApiKey" && isRevoked(object)).map((object) => idOf(object.meta)));
  const keys: LiveKeys = { live: new Map(), owners: new Map() };
  const expiry = new Map(parsed.map(({ object, verdict }) => [object.id, addKey(object, verdict, input, keys).expiresAtMs]));
  const offeredTo = offers(routes);
  for (const { object, verdict } of parsed) warnUnknownModels(object, verdict, offeredTo(object.meta.namespace));
  for (const verdict of [...parsed.map((one) => one.verdict), ...invalid]) {
    const id = idOf(verdict.meta);
    const last = previous.get(id);
    if (verdict.live === "none" && last !== undefined && !keys.owners.has(last.digest)) {
      keys.owners.set(last.digest, id);
      keys.live.set(id, tightened(last, revoked.has(id), expiry.get(id) ?? null));
      verdict.live = "lastGood";
    }
    const end = keys.live.has(id) ? keys.live.get(id)?.expiresAtMs : expiry.get(id);
    if (end !== undefined && end !== null) noteExpiry(verdict, end, input.nowMs);
    verdicts.push(verdict);
  }
  return [...keys.live.values()];
}
