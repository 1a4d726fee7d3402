/**
 * Assumes the content of Secrets that can't be read: in a repository, which should hold no Secrets, and for users of a
 * command who may not see them. Pure.
 */
import { Buffer } from "node:buffer";
import { capabilitiesByType } from "../proxy/config/capabilities.generated.ts";
import { keyedDigest } from "../proxy/config/encode.ts";
import { secretRefs } from "./cluster/world.ts";
import type { SecretFact, World, WorldObject } from "./compile/world.ts";

/** Any value will do: only that two keys differ matters. */
const pepper = Buffer.alloc(32);

function factOf(ref: string, key: string): SecretFact {
  const half = { publicKey: "" };
  return {
    digest: keyedDigest(pepper, `${ref}/${key}`),
    displayPrefix: "",
    ...(key === "tls.crt" ? { certificate: { ...half, notAfterMs: Number.POSITIVE_INFINITY } } : {}),
    ...(key === "tls.key" ? { privateKey: half } : {}),
  };
}

export const assumedFacts = (ref: string, keys: readonly string[]): Record<string, SecretFact> =>
  Object.fromEntries(keys.map((key) => [key, factOf(ref, key)]));

interface ReferringValue {
  valueFrom?: { secretKeyRef?: { key?: string } };
}

interface Refers {
  credentials?: { secretRef?: { key?: string } };
  headers?: ReferringValue[];
  query?: ReferringValue[];
  writeTo?: { key?: string };
  alerts?: Partial<
    Record<"slack" | "pagerDuty" | "webhook", { secretRef?: { key?: string }; signingKeyRef?: { key?: string } }>
  >[];
}

/** Keys of a Secret that objects name, and those that their types imply. */
function wantedKeys(objects: readonly WorldObject[], ref: string): string[] {
  const named = objects
    .filter((object) => secretRefs(object).includes(ref))
    .flatMap(({ spec }) => {
      const { credentials, headers, query, writeTo, alerts = [] } = (spec ?? {}) as Refers;
      const added = [headers, query].flatMap((list) => (Array.isArray(list) ? list : []));
      const channels = Array.isArray(alerts)
        ? alerts.flatMap((alert) => [
            (alert.slack ?? alert.pagerDuty ?? alert.webhook)?.secretRef?.key,
            alert.webhook?.signingKeyRef?.key,
          ])
        : [];
      const values = (added as (ReferringValue | null)[]).map((value) => value?.valueFrom?.secretKeyRef?.key);
      const keys = [credentials?.secretRef?.key, writeTo?.key, ...values, ...channels];
      return keys.filter((key) => typeof key === "string");
    });
  const fields = Object.values(capabilitiesByType).flatMap((type) => type.credentials.map((field) => field.name));
  return [...new Set([...fields, "apiKey", "tls.crt", "tls.key", ...named])];
}

/** The world with these Secrets: they contain every key that objects name, and the objects may use them. */
export function withAssumed(world: World, refs: Iterable<string>): World {
  const secrets = { ...world.secrets };
  const secretRights = { ...world.secretRights };
  for (const ref of refs) {
    secrets[ref] = assumedFacts(ref, wantedKeys(world.objects, ref));
    delete secretRights[ref];
  }
  return { ...world, secrets, ...(world.secretRights === undefined ? {} : { secretRights }) };
}
