/** The objects that an import makes. */
import { apiVersion, type Kind } from "../../crds/kinds.ts";
import { objectNameFrom, uniqueName } from "./names.ts";
import type { SecretValue } from "./secret-value.ts";

export type Spec = Record<string, unknown>;

export interface ImportedObject {
  kind: Kind;
  name: string;
  labels: Record<string, string>;
  spec: Spec;
}

export interface ImportedSecret {
  name: string;
  values: Map<string, SecretValue>;
}

export class Manifests {
  readonly objects: ImportedObject[] = [];
  readonly secrets: ImportedSecret[] = [];
  /** Helm values of the installation that the objects need. */
  readonly helmValues: Record<string, unknown> = {};
  readonly #names = new Map<string, Set<string>>();

  /** Adds an object. Its name is derived from `wished` and made unique. */
  add(kind: Kind, wished: string, spec: Spec, labels: Record<string, string> = {}): ImportedObject {
    const object = { kind, name: this.#unique(kind, wished), labels, spec };
    this.objects.push(object);
    return object;
  }

  secret(wished: string): ImportedSecret {
    const secret = { name: this.#unique("Secret", wished), values: new Map<string, SecretValue>() };
    this.secrets.push(secret);
    return secret;
  }

  of(kind: Kind): ImportedObject[] {
    return this.objects.filter((object) => object.kind === kind);
  }

  #unique(kind: string, wished: string): string {
    const taken = this.#names.get(kind) ?? new Set<string>();
    this.#names.set(kind, taken);
    return uniqueName(objectNameFrom(wished), taken);
  }
}

export function objectManifest({ kind, name, labels, spec }: ImportedObject, namespace: string): object {
  const meta = { name, namespace, ...(Object.keys(labels).length === 0 ? {} : { labels }) };
  return { apiVersion, kind, metadata: meta, spec };
}

/** Clear values are encoded, so that `${…}` in them isn't filled in. */
export function secretManifest({ name, values }: ImportedSecret, namespace: string): object {
  const stringData: Record<string, string> = {};
  const data: Record<string, string> = {};
  for (const [key, value] of values) {
    if ("env" in value) stringData[key] = `\${${value.env}}`;
    else if ("clear" in value) data[key] = Buffer.from(value.clear, "utf8").toString("base64");
  }
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, labels: { "sluice.dev/readable": "true" } },
    ...(Object.keys(stringData).length === 0 ? {} : { stringData }),
    ...(Object.keys(data).length === 0 ? {} : { data }),
  };
}

const has = (secret: ImportedSecret, form: "env" | "clear"): boolean =>
  [...secret.values.values()].some((value) => form in value);

/** Whether the Secret can be shown: it has only references. */
export const isShowable = (secret: ImportedSecret): boolean => has(secret, "env") && !has(secret, "clear");

/** Whether the import knows any of its values. */
export const isKnown = (secret: ImportedSecret): boolean => has(secret, "env") || has(secret, "clear");
