/** What the API server holds → the world that compile sees. Pure. */
import type { KubernetesObject, V1Namespace } from "@kubernetes/client-node";
import { type Kind, kinds } from "../../crds/kinds.ts";
import type { SecretFact, World, WorldObject } from "../compile/world.ts";
import { secretFact } from "../secrets.ts";
import type { SecretValues } from "./secrets.ts";

export interface CustomObject extends KubernetesObject {
  spec?: Record<string, unknown>;
  status?: unknown;
}

export function worldObject(kind: Kind, object: CustomObject): WorldObject {
  const meta = object.metadata ?? {};
  return {
    kind,
    meta: {
      name: meta.name ?? "",
      namespace: meta.namespace ?? "",
      uid: meta.uid ?? "",
      generation: meta.generation ?? 0,
      createdAtMs: meta.creationTimestamp ? new Date(meta.creationTimestamp).getTime() : 0,
      labels: meta.labels ?? {},
      ...(meta.annotations === undefined ? {} : { annotations: meta.annotations }),
    },
    spec: object.spec,
    status: object.status ?? {},
  };
}

interface Refers {
  credentials?: { secretRef?: { name?: string } };
  writeTo?: { name?: string };
  alerts?: Partial<Record<"slack" | "pagerDuty" | "webhook", { secretRef?: { name?: string } }>>[];
}

function namesIn(kind: Kind, spec: Refers): unknown[] {
  if (kind === "LLMProvider") return [spec.credentials?.secretRef?.name];
  if (kind === "ApiKey") return [spec.writeTo?.name];
  if (kind !== "Budget" || !Array.isArray(spec.alerts)) return [];
  return spec.alerts.map((one) => (one?.slack ?? one?.pagerDuty ?? one?.webhook)?.secretRef?.name);
}

/** `namespace/name` of the Secrets that an object refers to, whether or not the rest of it is valid. */
export function secretRefs(objects: readonly WorldObject[]): Set<string> {
  const refs = new Set<string>();
  for (const { kind, meta, spec } of objects) {
    for (const name of namesIn(kind, (spec ?? {}) as Refers)) if (typeof name === "string" && name !== "") refs.add(`${meta.namespace}/${name}`);
  }
  return refs;
}

export function worldOf(
  objects: WorldObject[],
  namespaces: readonly V1Namespace[],
  secrets: ReadonlyMap<string, SecretValues>,
  pepper: Uint8Array,
): { world: World; values: Map<string, string> } {
  const values = new Map<string, string>();
  const facts: Record<string, Record<string, SecretFact>> = {};
  for (const [ref, data] of secrets) {
    const known: Record<string, SecretFact> = {};
    for (const [key, value] of Object.entries(data)) {
      const fact = secretFact(pepper, value);
      known[key] = fact;
      values.set(fact.digest, value);
    }
    facts[ref] = known;
  }
  const labels = Object.fromEntries(namespaces.map((one) => [one.metadata?.name ?? "", one.metadata?.labels ?? {}]));
  return { world: { objects, namespaces: labels, secrets: facts }, values };
}

export const pluralOf = (kind: Kind): string => kinds[kind].plural;
