/** ApiKey → KeyRecord. Holds digests only. */
import { durationMs } from "../../crds/quantity.ts";
import { sha256Hex } from "../../proxy/config/encode.ts";
import { type KeyRecord, minKeyCharacters } from "../../proxy/config/key-record.ts";
import { credentialName } from "../../proxy/config/names.ts";
import { browserOrigin } from "../../proxy/config/origin.ts";
import { previousOf, rotatedAtOf } from "./key-secret.ts";
import { compileKeyLimits } from "./limits.ts";
import { own, type ParsedObject, problem } from "./outcome.ts";
import { forbidden, rightsTo, writableLabel } from "./secret-rights.ts";
import type { Problem } from "./verdict.ts";
import type { SecretFact, World } from "./world.ts";

type WriteTo = NonNullable<ParsedObject<"ApiKey">["spec"]["writeTo"]>;

/** The previous key, during its grace period. */
function rotationOf(
  key: ParsedObject<"ApiKey">,
  writeTo: WriteTo,
  secret: Readonly<Record<string, SecretFact>> | undefined,
  nowMs: number,
): Rotation {
  const { rotation } = key.spec;
  const rotatedAtMs = (secret && own(secret, rotatedAtOf(writeTo.key))?.momentMs) ?? null;
  const before = secret && own(secret, previousOf(writeTo.key));
  const untilMs = rotatedAtMs === null ? null : rotatedAtMs + durationMs(rotation?.grace ?? defaultGrace);
  const lasts = before !== undefined && before.unusable === undefined && untilMs !== null && nowMs < untilMs;
  const sinceMs = rotatedAtMs ?? (key.meta.createdAtMs || null);
  const nextAtMs =
    rotation?.every === undefined || sinceMs === null || key.spec.revoked ? null : sinceMs + durationMs(rotation.every);
  const graceEndsMs = before === undefined || before.unusable !== undefined ? null : untilMs;
  if (rotatedAtMs === null && nextAtMs === null && before === undefined) return neverRotated;
  return { rotatedAtMs, nextAtMs, previous: lasts ? { digest: before.digest, untilMs } : null, graceEndsMs };
}

export interface Rotation {
  rotatedAtMs: number | null;
  nextAtMs: number | null;
  previous: NonNullable<KeyRecord["previous"]> | null;
  /** The moment at which the record changes by time alone. */
  graceEndsMs: number | null;
}

/** One object for the many keys that are never rotated. */
const neverRotated: Rotation = { rotatedAtMs: null, nextAtMs: null, previous: null, graceEndsMs: null };

/** For a key that was rotated by hand, in a folder. */
const defaultGrace = "24h";

export interface CompiledKey {
  rotation: Rotation;
  record: KeyRecord | null;
  expiresAtMs: number | null;
  displayPrefix: string;
  /** Whether the value must not serve as an API key, so that no last good form replaces it. */
  isWeak: boolean;
  /** Why the key is not rotated; null if it is, or no rotation is requested. */
  rotationRefusal: string | null;
  accepted: Problem[];
  resolvedRefs: Problem[];
}

function expiryOf(key: ParsedObject<"ApiKey">, accepted: Problem[]): number | null {
  const { expiresAt, expiresAfter } = key.spec;
  if (expiresAt !== undefined) {
    const expiresAtMs = Date.parse(expiresAt);
    if (Number.isNaN(expiresAtMs))
      accepted.push(
        problem("Invalid", "spec.expiresAt must be a date and time such as 2027-02-18T00:00:00Z", [
          "spec",
          "expiresAt",
        ]),
      );
    return Number.isNaN(expiresAtMs) ? null : expiresAtMs;
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

/** Why the Secret gives no key; null if it does. */
function secretProblem(
  { meta }: ParsedObject<"ApiKey">,
  { name, key }: WriteTo,
  world: World,
  secret: Readonly<Record<string, SecretFact>> | undefined,
  fact: SecretFact | undefined,
): Problem | null {
  const path = ["spec", "writeTo"];
  const lost = forbidden(world, meta.namespace, name, path);
  if (lost !== null) return lost;
  if (secret === undefined) {
    const message = `Secret ${name} is not in namespace ${meta.namespace}; in a cluster the operator makes it; in a folder, add it with key ${key}`;
    return problem("SecretNotFound", message, path);
  }
  if (fact === undefined && rightsTo(world, meta.namespace, name)?.writable === false) {
    const message = `Secret ${name} has no key ${key}, and Sluice did not make the Secret; name another in spec.writeTo, or have its owner run: kubectl -n ${meta.namespace} label secret ${name} ${writableLabel}=true`;
    return problem("SecretNotOwned", message, path);
  }
  if (fact === undefined) return problem("SecretKeyNotFound", `Secret ${name} has no key ${key}`, path);
  return fact.unusable === undefined
    ? null
    : problem("SecretUnusable", `Secret ${name}, key ${key}: ${fact.unusable}`, path);
}

/** An installation's requirements for values of API keys. */
export interface KeyRules {
  /** Whether keys that are too short, or are also used as another credential, are refused. */
  refuseWeak: boolean;
  /** Names (`credentialName`) of the values that other objects use as credentials. */
  credentials: ReadonlySet<string>;
  /** Labels that reports can group by. */
  reportLabels: readonly string[];
  /** Origins of web pages that may read answers; null if unknown. */
  origins: readonly string[] | null;
}

export const anyKey: KeyRules = { refuseWeak: false, credentials: new Set(), reportLabels: [], origins: null };

/** The browser keeps answers from pages of other origins, whatever their token says. */
function warnOrigins({ spec }: ParsedObject<"ApiKey">, { origins }: KeyRules, accepted: Problem[]): void {
  if (origins === null) return;
  for (const [index, origin] of (spec.clientTokens?.origins ?? []).entries()) {
    if (origins.includes(browserOrigin(origin))) continue;
    const message = `pages of ${origin} can't use a token: the Helm value cors.allowedOrigins does not list their origin`;
    accepted.push(problem("OriginNotAllowed", message, ["spec", "clientTokens", "origins", index], "warning"));
  }
}

/** The key's labels that reports can group by, sorted; absent if it has none. */
function labelsOf({ meta }: ParsedObject<"ApiKey">, { reportLabels }: KeyRules): Pick<KeyRecord, "labels"> {
  const names = reportLabels.filter((name) => meta.labels[name] !== undefined).sort();
  return names.length === 0 ? {} : { labels: Object.fromEntries(names.map((name) => [name, meta.labels[name] ?? ""])) };
}

function weakness({ name, key }: WriteTo, fact: SecretFact, rules: KeyRules): Problem | null {
  if (!rules.refuseWeak) return null;
  const advice = "delete it from the Secret to have Sluice make one, or name another Secret";
  const path = ["spec", "writeTo"];
  if (rules.credentials.has(credentialName(fact.digest))) {
    const message = `Secret ${name}, key ${key}: the value is used as a credential by another object, so it can't be an API key too; ${advice}`;
    return problem("WeakKey", message, path);
  }
  if (fact.shortForKey !== true) return null;
  const message = `Secret ${name}, key ${key}: an API key has at least ${minKeyCharacters} characters; ${advice}`;
  return problem("WeakKey", message, path);
}

/** Why the key can't be rotated; null if it can, or no rotation is requested. */
function rotationRefusal({ spec, meta }: ParsedObject<"ApiKey">, { name, key }: WriteTo, world: World): string | null {
  const rights = rightsTo(world, meta.namespace, name);
  if (rights === undefined || spec.rotation === undefined) return null;
  if (!rights.writable)
    return `the key is not rotated: Sluice did not make Secret ${name}, and its owner has not allowed it to; name another Secret in spec.writeTo`;
  const foreign = [key, previousOf(key), rotatedAtOf(key)].find((text) => rights.foreign.includes(text));
  return foreign === undefined
    ? null
    : `the key is not rotated: Sluice did not write the value of ${foreign} in Secret ${name}, and never replaces what others wrote; delete ${foreign} from the Secret, or rotate the key by hand`;
}

function recordOf(
  { id, spec }: ParsedObject<"ApiKey">,
  digest: string,
  { previous }: Rotation,
  expiresAtMs: number | null,
  limits: ReturnType<typeof compileKeyLimits>,
): KeyRecord {
  const { clientTokens } = spec;
  return {
    digest,
    id,
    user: spec.user,
    team: spec.team ?? null,
    role: spec.role,
    tags: [...(spec.tags ?? [])].sort(),
    models: spec.models === undefined ? null : [...spec.models].sort(),
    expiresAtMs,
    ...(previous ? { previous } : {}),
    ...(spec.digests === undefined ? {} : { foreign: spec.digests.map(({ value }) => value).sort() }),
    revoked: spec.revoked,
    ...limits,
    ...(clientTokens
      ? {
          clientTokens: {
            origins: clientTokens.origins?.map(browserOrigin).sort() ?? null,
            maxLifeMs: durationMs(clientTokens.maxLifetime),
          },
        }
      : {}),
  };
}

/** SHA-256 of keys that appear in examples and tests, and are therefore public. */
export const exampleKeyDigests: ReadonlySet<string> = new Set(
  [
    "",
    "sk-1234",
    "sk-12345",
    "sk-123456",
    "sk-1234567890",
    "sk-test",
    "sk-litellm",
    "sk-litellm-master-key",
    "sk-my-key",
    "test",
    "changeme",
    "password",
    "dummy",
    "anything",
  ].map((clear) => sha256Hex(clear)),
);

/** Whether a digest is that of a public key. Only the proxy, which refuses short keys, can check others. */
function weakDigests({ spec: { digests = [] } }: ParsedObject<"ApiKey">): Problem[] {
  return digests.flatMap(({ value }, index) => {
    if (!exampleKeyDigests.has(value)) return [];
    const message = `spec.digests[${index}] is the digest of a key that examples show; remove it, and give the caller a new key`;
    return [problem("WeakKey", message, ["spec", "digests", index, "value"])];
  });
}

/** The key in the Secret of `writeTo`. */
interface FromSecret {
  digest: string | null;
  rotation: Rotation;
  displayPrefix: string;
  rotationRefusal: string | null;
  wrong: Problem | null;
  weak: Problem | null;
}

const withoutSecret: FromSecret = {
  digest: null,
  rotation: neverRotated,
  displayPrefix: "",
  rotationRefusal: null,
  wrong: null,
  weak: null,
};

function fromSecret(key: ParsedObject<"ApiKey">, world: World, nowMs: number, rules: KeyRules): FromSecret {
  const { writeTo } = key.spec;
  if (writeTo === undefined) return withoutSecret;
  const secret = own(world.secrets, `${key.meta.namespace}/${writeTo.name}`);
  const fact = secret && own(secret, writeTo.key);
  const wrong = secretProblem(key, writeTo, world, secret, fact);
  return {
    digest: fact !== undefined && fact.unusable === undefined ? fact.digest : null,
    rotation: rotationOf(key, writeTo, secret, nowMs),
    displayPrefix: fact?.displayPrefix ?? "",
    rotationRefusal: rotationRefusal(key, writeTo, world),
    wrong,
    weak: fact === undefined || wrong !== null ? null : weakness(writeTo, fact, rules),
  };
}

/** An ApiKey without a Secret is identified by its first key of another gateway. */
function digestOf({ spec: { writeTo, digests = [] } }: ParsedObject<"ApiKey">, secret: FromSecret): string | null {
  if (writeTo !== undefined) return secret.digest;
  return digests.map(({ value }) => value).sort()[0] ?? null;
}

export function compileKey(
  key: ParsedObject<"ApiKey">,
  world: World,
  nowMs: number,
  rules: KeyRules = anyKey,
): CompiledKey {
  const accepted: Problem[] = [];
  const expiresAtMs = expiryOf(key, accepted);
  const secret = fromSecret(key, world, nowMs, rules);
  const { rotation, wrong, weak } = secret;
  const limits = compileKeyLimits(key.spec.limits, accepted);
  const known = weakDigests(key);
  const digest = digestOf(key, secret);
  warnOrigins(key, rules, accepted);
  return {
    record:
      digest === null ? null : { ...recordOf(key, digest, rotation, expiresAtMs, limits), ...labelsOf(key, rules) },
    rotation,
    expiresAtMs,
    displayPrefix: secret.displayPrefix,
    isWeak: weak !== null || known.length > 0,
    rotationRefusal: secret.rotationRefusal,
    accepted: [...accepted, ...known],
    resolvedRefs: [wrong, weak].filter((problem) => problem !== null),
  };
}
