/** What the API server holds → the world that compile sees. Pure, except for what it remembers. */
import { Buffer } from "node:buffer";
import type { KubernetesObject, V1Namespace } from "@kubernetes/client-node";
import { type Kind, kinds } from "../../crds/kinds.ts";
import { KeyedDigester } from "../../proxy/config/encode.ts";
import { delta, MapMemo } from "../../proxy/config/incremental.ts";
import { classOf, type SecretFact, type World, type WorldObject } from "../compile/world.ts";
import type { KeyState } from "../publish/revocation-book.ts";
import { secretFactBy } from "../secrets.ts";
import type { SecretValues } from "./secrets.ts";

export interface CustomObject extends KubernetesObject {
  spec?: Record<string, unknown>;
  status?: unknown;
}

/** Shared by all objects without any. */
const noStatus = {};
const noLabels: Record<string, string> = {};

function worldObject(kind: Kind, object: CustomObject): WorldObject {
  const meta = object.metadata ?? {};
  return {
    kind,
    meta: {
      name: meta.name ?? "",
      namespace: meta.namespace ?? "",
      uid: meta.uid ?? "",
      generation: meta.generation ?? 0,
      createdAtMs: meta.creationTimestamp ? new Date(meta.creationTimestamp).getTime() : 0,
      labels: meta.labels ?? noLabels,
      ...(meta.annotations === undefined ? {} : { annotations: meta.annotations }),
    },
    spec: object.spec,
    status: object.status ?? noStatus,
  };
}

/**
 * The revocation state of an ApiKey in the API server; undefined if it doesn't exist. An invalid spec can still revoke.
 */
export function keyState(object: CustomObject | undefined, className: string): KeyState {
  const { metadata, spec } = object ?? {};
  if (metadata === undefined || metadata.deletionTimestamp !== undefined) return "Gone";
  if (classOf({ labels: metadata.labels ?? {} }) !== className) return "Gone";
  return spec?.["revoked"] === true ? "Revoked" : "Live";
}

interface ReferringTls {
  clientCertificate?: { secretRef?: { name?: string } };
}

interface ReferringValue {
  valueFrom?: { secretKeyRef?: { name?: string } };
}

interface Refers {
  credentials?: { secretRef?: { name?: string } };
  headers?: ReferringValue[];
  query?: ReferringValue[];
  tls?: ReferringTls;
  tokenService?: { tls?: ReferringTls };
  writeTo?: { name?: string };
  alerts?: Partial<
    Record<"slack" | "pagerDuty" | "webhook", { secretRef?: { name?: string }; signingKeyRef?: { name?: string } }>
  >[];
}

function namesOfChannel(channel: NonNullable<Refers["alerts"]>[number] | null): unknown[] {
  const named = channel?.slack ?? channel?.pagerDuty ?? channel?.webhook;
  return [named?.secretRef?.name, named?.signingKeyRef?.name];
}

function namesIn(kind: Kind, spec: Refers): unknown[] {
  if (kind === "ApiKey") return [spec.writeTo?.name];
  const alerts = Array.isArray(spec.alerts) ? spec.alerts.flatMap(namesOfChannel) : [];
  if (kind !== "LLMProvider") return alerts;
  const pairs = [spec.tls, spec.tokenService?.tls].map((tls) => tls?.clientCertificate?.secretRef?.name);
  const added = [spec.headers, spec.query].flatMap((list) => (Array.isArray(list) ? list : []));
  const values = (added as (ReferringValue | null)[]).map((value) => value?.valueFrom?.secretKeyRef?.name);
  return [spec.credentials?.secretRef?.name, ...pairs, ...values, ...alerts];
}

/** `namespace/name` of the Secrets that an object refers to, whether or not the rest of its spec is valid. */
export function secretRefs({ kind, meta, spec }: WorldObject): string[] {
  const names = namesIn(kind, (spec ?? {}) as Refers).filter((name) => typeof name === "string" && name !== "");
  return names.map((name) => `${meta.namespace}/${String(name)}`);
}

/** Counts the objects that refer to each Secret, so that a change shows which Secrets to read and which to forget. */
export class SecretRefs {
  #objects: readonly WorldObject[] = [];
  readonly #counts = new Map<string, number>();

  /** Secrets that nothing referred to before, and those that nothing refers to any more. */
  update(objects: readonly WorldObject[]): { come: string[]; gone: string[] } {
    const changes = delta(this.#objects, objects);
    this.#objects = objects;
    const touched = new Map<string, boolean>();
    const add = (object: WorldObject, by: number): void => {
      for (const ref of secretRefs(object)) {
        const before = this.#counts.get(ref) ?? 0;
        if (!touched.has(ref)) touched.set(ref, before > 0);
        this.#counts.set(ref, before + by);
      }
    };
    for (const object of changes.come) add(object, 1);
    for (const object of changes.gone) add(object, -1);
    const come: string[] = [];
    const gone: string[] = [];
    for (const [ref, before] of touched) {
      const now = (this.#counts.get(ref) ?? 0) > 0;
      if (!now) this.#counts.delete(ref);
      if (now !== before) (now ? come : gone).push(ref);
    }
    return { come, gone };
  }
}

/** Facts on Secrets, recomputed only for Secrets that changed. */
export class SecretFacts {
  #pepper: Uint8Array = new Uint8Array();
  #known = new WeakMap<SecretValues, Record<string, SecretFact>>();
  #secrets: ReadonlyMap<string, SecretValues> = new Map();
  #facts: World["secrets"] = {};

  of(secrets: ReadonlyMap<string, SecretValues>, pepper: Uint8Array): World["secrets"] {
    const samePepper = Buffer.compare(this.#pepper, pepper) === 0;
    if (samePepper && this.#secrets === secrets) return this.#facts;
    if (!samePepper) this.#known = new WeakMap();
    this.#pepper = pepper;
    this.#secrets = secrets;
    const digester = new KeyedDigester(pepper);
    this.#facts = Object.fromEntries([...secrets].map(([ref, values]) => [ref, this.#factsOf(values, digester)]));
    return this.#facts;
  }

  #factsOf(values: SecretValues, digester: KeyedDigester): Record<string, SecretFact> {
    const cached = this.#known.get(values);
    if (cached !== undefined) return cached;
    const facts = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, secretFactBy(digester, value)]),
    );
    this.#known.set(values, facts);
    return facts;
  }
}

/** Digest → clear value of what `objects` refer to. */
export function valuesOf(
  objects: readonly WorldObject[],
  secrets: ReadonlyMap<string, SecretValues>,
  facts: World["secrets"],
): Map<string, string> {
  const values = new Map<string, string>();
  for (const ref of new Set(objects.flatMap(secretRefs))) {
    for (const [key, value] of Object.entries(secrets.get(ref) ?? {})) {
      const digest = facts[ref]?.[key]?.digest;
      if (digest !== undefined) values.set(digest, value);
    }
  }
  return values;
}

/** Objects as compile sees them: an object that the API server has not changed is the same object as before. */
export class WorldObjects {
  readonly #kind: Kind;
  readonly #className: string;
  readonly #made = new MapMemo<CustomObject, WorldObject | null>();

  constructor(kind: Kind, className = "") {
    this.#kind = kind;
    this.#className = className;
  }

  /** An object that only waits for finalizers no longer counts, nor does one of another installation. */
  of(objects: readonly CustomObject[]): WorldObject[] {
    const made = this.#made.of(objects, (object) => {
      if (object.metadata?.deletionTimestamp !== undefined) return null;
      const known = worldObject(this.#kind, object);
      return classOf(known.meta) === this.#className ? known : null;
    });
    return made.filter((object) => object !== null);
  }
}

export const namespaceLabels = (namespaces: readonly V1Namespace[]): World["namespaces"] =>
  Object.fromEntries(namespaces.map((namespace) => [namespace.metadata?.name ?? "", namespace.metadata?.labels ?? {}]));

export const pluralOf = (kind: Kind): string => kinds[kind].plural;
