/** `spec.credentials` of an LLMProvider → names in the credentials Secret. Pure. */
import type { LLMProviderSpec } from "../../crds/types/llm-provider.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import { credentialName } from "../../proxy/config/names.ts";
import { own, type ParsedObject, problem } from "./outcome.ts";
import { unreadable } from "./secret-rights.ts";
import type { Problem } from "./verdict.ts";
import type { World } from "./world.ts";

/** Why the keys found are not enough to authenticate; null if they are. */
function incompleteSet(
  found: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
  capabilities: Capabilities,
): string | null {
  const sets = capabilities.credentialSets ?? [];
  if (Object.keys(found).length === 0 && capabilities.credentialsRequired)
    return ` has none of the keys ${capabilities.credentials.map((credential) => credential.name).join(", ")}`;
  const whole = sets.some(
    (set) =>
      set.credentials.every((name) => Object.hasOwn(found, name)) &&
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
    key: field.name,
    required: field.required,
  }));
  if (key === undefined) return first === undefined ? [] : [first, ...others];
  return [{ field: first?.field ?? "apiKey", key, required: true }, ...others.filter((other) => other.required)];
}

function missingCredential({ credentials }: LLMProviderSpec, capabilities: Capabilities): Problem[] {
  if (!capabilities.credentialsRequired || credentials?.workloadIdentity !== undefined) return [];
  const or = capabilities.identity === undefined ? "" : " or workloadIdentity";
  return [problem("SecretNotFound", `${capabilities.type} needs spec.credentials.secretRef${or}`, ["spec"])];
}

/** Credential field → name in the credentials Secret. */
export function credentialsOf(
  provider: ParsedObject<"LLMProvider">,
  capabilities: Capabilities,
  world: World,
  refs: Problem[],
): Record<string, string> {
  const ref = provider.spec.credentials?.secretRef;
  if (ref === undefined) {
    refs.push(...missingCredential(provider.spec, capabilities));
    return {};
  }
  const path = ["spec", "credentials", "secretRef"];
  const secret = own(world.secrets, `${provider.meta.namespace}/${ref.name}`);
  if (secret === undefined) {
    refs.push(
      problem("SecretNotFound", `Secret ${ref.name} is not in namespace ${provider.meta.namespace}; create it`, path),
    );
    return {};
  }
  const forbidden = unreadable(world, provider.meta.namespace, ref.name, path);
  if (forbidden !== null) {
    refs.push(forbidden);
    return {};
  }
  const wanted = wantedKeys(ref.key, capabilities);
  const found: Record<string, string> = {};
  for (const { field, key, required } of wanted) {
    const fact = own(secret, key);
    if (fact?.unusable !== undefined)
      refs.push(problem("SecretUnusable", `Secret ${ref.name}, key ${key}: ${fact.unusable}`, path));
    else if (fact !== undefined) found[field] = credentialName(fact.digest);
    else if (required) refs.push(problem("SecretKeyNotFound", `Secret ${ref.name} has no key ${key}`, path));
  }
  const incomplete = refs.length === 0 ? incompleteSet(found, provider.spec.options ?? {}, capabilities) : null;
  if (incomplete !== null) refs.push(problem("SecretKeyNotFound", `Secret ${ref.name}${incomplete}`, path));
  return found;
}
