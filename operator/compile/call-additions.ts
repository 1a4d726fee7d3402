/** `spec.headers` and `spec.query` of an LLMProvider → what every call to it carries. Pure. */
import type { CallAdditionSpec } from "../../crds/types/call-additions.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import { credentialName } from "../../proxy/config/names.ts";
import type { AddedValue, ProviderConfig } from "../../proxy/config/provider.ts";
import { own, type ParsedObject, problem } from "./outcome.ts";
import { unreadable } from "./secret-rights.ts";
import type { Problem } from "./verdict.ts";
import type { World } from "./world.ts";

type Field = "headers" | "query";

/** Names whose values are usually secrets. */
const secretive = /(^|[._-])(api-?key|key|token|secret|password|passwd|authorization|auth|signature|sig)$/i;
/** Cloudflare's AI Gateway uses it to choose a cache entry. */
const harmless: ReadonlySet<string> = new Set(["cf-aig-cache-key"]);

interface Problems {
  accepted: Problem[];
  refs: Problem[];
}

/** null if the value can't be used: then `refs` says why. */
function secretValue(
  { name, key }: { name: string; key: string },
  { meta }: ParsedObject<"LLMProvider">,
  path: (string | number)[],
  world: World,
  refs: Problem[],
): AddedValue | null {
  const refuse = (reason: Problem["reason"], message: string): null => {
    refs.push(problem(reason, `Secret ${name}${message}`, path));
    return null;
  };
  const secret = own(world.secrets, `${meta.namespace}/${name}`);
  const forbidden = unreadable(world, meta.namespace, name, path);
  if (forbidden !== null) {
    refs.push(forbidden);
    return null;
  }
  if (secret === undefined) return refuse("SecretNotFound", ` is not in namespace ${meta.namespace}; create it`);
  const fact = own(secret, key);
  if (fact === undefined) return refuse("SecretKeyNotFound", ` has no key ${key}`);
  if (fact.unusable !== undefined) return refuse("SecretUnusable", `, key ${key}: ${fact.unusable}`);
  return { secret: credentialName(fact.digest) };
}

function nameProblem(field: Field, name: string, spec: ParsedObject<"LLMProvider">["spec"], type: Capabilities) {
  const { headers = [], credential = [], query = [] } = type.sets ?? {};
  if (field === "query")
    return query.includes(name)
      ? `spec.query must not set ${name}: ${type.type} sets it itself; see spec.options`
      : null;
  if (headers.includes(name)) return `spec.headers must not set ${name}: ${type.type} sets it itself; see spec.options`;
  return credential.includes(name) && (spec.credentials !== undefined || type.credentialsRequired)
    ? `spec.headers must not set ${name}: ${type.type} puts the credential there; see spec.credentials`
    : null;
}

function additions(
  field: Field,
  provider: ParsedObject<"LLMProvider">,
  capabilities: Capabilities,
  world: World,
  { accepted, refs }: Problems,
): Record<string, AddedValue> | undefined {
  const additions: readonly CallAdditionSpec[] = provider.spec[field] ?? [];
  if (additions.length === 0) return undefined;
  const added = new Map<string, AddedValue>();
  for (const [index, { name, value, valueFrom }] of additions.entries()) {
    const path = ["spec", field, index];
    const wrong = nameProblem(field, name, provider.spec, capabilities);
    if (wrong !== null) accepted.push(problem("Invalid", wrong, [...path, "name"]));
    if (value !== undefined && secretive.test(name) && !harmless.has(name)) {
      const message = `spec.${field} has the value of ${name} in the object, where everyone who may read it sees it; put a secret into a Secret and name it in valueFrom.secretKeyRef`;
      accepted.push(problem("SecretInObject", message, [...path, "value"], "warning"));
    }
    const secret = valueFrom?.secretKeyRef;
    const used =
      secret === undefined
        ? { value: value ?? "" }
        : secretValue(secret, provider, [...path, "valueFrom", "secretKeyRef"], world, refs);
    if (used !== null) added.set(name, used);
  }
  return Object.fromEntries(added);
}

/** As members of the config: nothing if the object sets nothing. */
export function callAdditionsOf(
  provider: ParsedObject<"LLMProvider">,
  capabilities: Capabilities,
  world: World,
  problems: Problems,
): Pick<ProviderConfig, Field> {
  const headers = additions("headers", provider, capabilities, world, problems);
  const query = additions("query", provider, capabilities, world, problems);
  return { ...(headers === undefined ? {} : { headers }), ...(query === undefined ? {} : { query }) };
}
