/** `spec.credentials` of an LLMProvider → names in the credentials Secret. Pure. */
import type { LLMProviderSpec } from "../../crds/types/llm-provider.ts";
import type { Capabilities, CredentialField } from "../../proxy/config/capabilities.ts";
import { credentialName } from "../../proxy/config/names.ts";
import { isError, own, type ParsedObject, problem } from "./outcome.ts";
import { unreadable } from "./secret-rights.ts";
import type { Problem } from "./verdict.ts";
import type { CompileInput, PemFacts, SecretFact, Unusable } from "./world.ts";

/** Why the keys found are not enough to authenticate; null if they are. */
function incompleteSet(
  values: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
  capabilities: Capabilities,
): string | null {
  const sets = capabilities.credentialSets ?? [];
  if (Object.keys(values).length === 0 && capabilities.credentialsRequired)
    return ` has none of the keys ${capabilities.credentials.map((credential) => credential.name).join(", ")}`;
  const whole = sets.some(
    (set) =>
      set.credentials.every((name) => Object.hasOwn(values, name)) &&
      set.options.every((name) => Object.hasOwn(given, name)),
  );
  if (sets.length === 0 || whole) return null;
  const ways = sets.map(({ credentials, options }) => {
    const withOptions = options.length === 0 ? "" : ` with spec.options.${options.join(" and spec.options.")}`;
    return `${credentials.join(" and ")}${withOptions}`;
  });
  return ` must hold ${ways.join(", or ")}`;
}

interface WantedKey {
  field: string;
  pem: CredentialField["pem"];
  /** Key within the Secret. */
  key: string;
  required: boolean;
}

/**
 * `secretRef.key` names the key of the type's first field, and the other fields use their own names; without it every
 * field uses its own name.
 */
function wantedKeys(key: string | undefined, capabilities: Capabilities): WantedKey[] {
  const [first, ...others] = capabilities.credentials.map((field) => ({
    field: field.name,
    pem: field.pem,
    key: field.name,
    required: field.required,
  }));
  if (key === undefined) return first === undefined ? [] : [first, ...others];
  return [
    { field: first?.field ?? "apiKey", pem: first?.pem, key, required: true },
    ...others.filter((other) => other.required),
  ];
}

function missingCredential({ credentials }: LLMProviderSpec, capabilities: Capabilities): Problem[] {
  if (!capabilities.credentialsRequired || credentials?.workloadIdentity !== undefined) return [];
  const or = capabilities.identity === undefined ? "" : " or workloadIdentity";
  return [problem("SecretNotFound", `${capabilities.type} needs spec.credentials.secretRef${or}`, ["spec"])];
}

/** Why a value can't serve as this field; null if it can. */
function whyUnusable(fact: SecretFact, pem: WantedKey["pem"]): string | null {
  if (pem === undefined) return fact.unusable ?? null;
  const half = fact[pem];
  if (half === undefined) return `the value is not a ${pem === "certificate" ? "certificate" : "private key"} in PEM`;
  return "unusable" in half ? `the value ${half.unusable}` : null;
}

function halfOf<Half extends "certificate" | "privateKey">(
  secret: Readonly<Record<string, SecretFact>>,
  wanted: readonly WantedKey[],
  half: Half,
): Exclude<NonNullable<PemFacts[Half]>, Unusable> | null {
  const key = wanted.find(({ pem }) => pem === half)?.key;
  const value = key === undefined ? undefined : own(secret, key)?.[half];
  return value === undefined || "unusable" in value ? null : (value as Exclude<NonNullable<PemFacts[Half]>, Unusable>);
}

/** Whether a certificate and a private key belong together, and how long the certificate is valid. */
function checkPair(
  name: string,
  secret: Readonly<Record<string, SecretFact>>,
  wanted: readonly WantedKey[],
  nowMs: number,
  path: string[],
): Problem[] {
  const certificate = halfOf(secret, wanted, "certificate");
  const privateKey = halfOf(secret, wanted, "privateKey");
  if (certificate === null || privateKey === null) return [];
  if (certificate.publicKey !== privateKey.publicKey)
    return [problem("SecretUnusable", `Secret ${name} has a private key that is not the certificate's`, path)];
  if (certificate.notAfterMs > nowMs) return [];
  const expired = `Secret ${name} has a certificate that expired at ${new Date(certificate.notAfterMs).toISOString()}; renew it`;
  return [problem("CertificateExpired", expired, path, "warning")];
}

function foundKeys(
  name: string,
  secret: Readonly<Record<string, SecretFact>>,
  wanted: readonly WantedKey[],
  path: string[],
  refs: Problem[],
): Record<string, string> {
  const values: Record<string, string> = {};
  for (const { field, key, pem, required } of wanted) {
    const fact = own(secret, key);
    const wrong = fact === undefined ? null : whyUnusable(fact, pem);
    if (wrong !== null) refs.push(problem("SecretUnusable", `Secret ${name}, key ${key}: ${wrong}`, path));
    else if (fact !== undefined) values[field] = credentialName(fact.digest);
    else if (required) refs.push(problem("SecretKeyNotFound", `Secret ${name} has no key ${key}`, path));
    if (wrong === null && pem === undefined && fact?.doubtful !== undefined)
      refs.push(problem("SecretUnusable", `Secret ${name}, key ${key}: ${fact.doubtful}`, path, "warning"));
  }
  return values;
}

/** Credential field → name in the credentials Secret. */
export function credentialsOf(
  provider: ParsedObject<"LLMProvider">,
  capabilities: Capabilities,
  { world, nowMs }: Pick<CompileInput, "world" | "nowMs">,
  refs: Problem[],
): Record<string, string> {
  const ref = provider.spec.credentials?.secretRef;
  if (ref === undefined) {
    refs.push(...missingCredential(provider.spec, capabilities));
    return {};
  }
  const path = ["spec", "credentials", "secretRef"];
  const secret = own(world.secrets, `${provider.meta.namespace}/${ref.name}`);
  const forbidden = unreadable(world, provider.meta.namespace, ref.name, path);
  if (forbidden !== null) {
    refs.push(forbidden);
    return {};
  }
  if (secret === undefined) {
    refs.push(
      problem("SecretNotFound", `Secret ${ref.name} is not in namespace ${provider.meta.namespace}; create it`, path),
    );
    return {};
  }
  const wanted = wantedKeys(ref.key, capabilities);
  const values = foundKeys(ref.name, secret, wanted, path, refs);
  if (!refs.some(isError)) refs.push(...checkPair(ref.name, secret, wanted, nowMs, path));
  const incomplete = !refs.some(isError) ? incompleteSet(values, provider.spec.options ?? {}, capabilities) : null;
  if (incomplete !== null) refs.push(problem("SecretKeyNotFound", `Secret ${ref.name}${incomplete}`, path));
  return values;
}
