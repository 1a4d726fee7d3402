/**
 * Which Secrets, and which values in them, Sluice may write. A Secret is writable if Sluice made it or its owner
 * labelled it. A value is Sluice's if the annotation on the Secret holds its digest, so that a value that somebody
 * stored later is never replaced. Pure.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { V1Secret } from "@kubernetes/client-node";
import { wellFormedKey } from "../../proxy/config/key-form.ts";
import { previousOf, rotatedAtOf } from "../compile/key-secret.ts";
import { readableLabel, type SecretAccess, writableLabel } from "../compile/secret-rights.ts";
import type { SecretRights } from "../compile/world.ts";

/** Annotation of a Secret: key → digest of the value that Sluice last wrote there, as JSON. */
const writtenAnnotation = "sluice.dev/written";
const managedBy = "app.kubernetes.io/managed-by";
/** Label of Secrets that Sluice makes for API keys. */
export const madeLabels = { [managedBy]: "sluice" };
/** Label of what the operator publishes for proxies: provider credentials and the pepper, which no tenant may name. */
const publishedBy = "sluice-operator";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const clear = (value: string): string => Buffer.from(value, "base64").toString("utf8");
/** A key has 256 random bits, so its digest reveals nothing about it. */
const digestOf = (value: string): string => createHash("sha256").update(value).digest("hex").slice(0, 32);

const labelsOf = (secret: V1Secret): Readonly<Record<string, string>> => secret.metadata?.labels ?? {};

export function mayWrite(secret: V1Secret): boolean {
  const labels = labelsOf(secret);
  return labels[managedBy] === madeLabels[managedBy] || labels[writableLabel] === "true";
}

/** null if Sluice has recorded nothing. */
function writtenIn(secret: V1Secret): Record<string, unknown> | null {
  const text = secret.metadata?.annotations?.[writtenAnnotation];
  if (text === undefined) return null;
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

/** Secrets from before the annotation existed hold keys of a form that only Sluice makes. */
const isOwnForm = (value: string): boolean => wellFormedKey(value) || /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value);

/** Whether Sluice wrote the key's present value in the Secret. */
export function wrote(secret: V1Secret, key: string): boolean {
  const value = secret.data?.[key];
  if (value === undefined) return false;
  const written = writtenIn(secret);
  if (written === null) return labelsOf(secret)[managedBy] === madeLabels[managedBy] && isOwnForm(clear(value));
  return Object.hasOwn(written, key) && written[key] === digestOf(clear(value));
}

export interface RightsRule {
  access: SecretAccess;
}

export function rightsOf(secret: V1Secret, { access }: RightsRule): SecretRights {
  const labels = labelsOf(secret);
  const published = labels[managedBy] === publishedBy;
  return {
    readable: !published && (access === "Namespace" || labels[readableLabel] === "true"),
    writable: mayWrite(secret),
    foreign: Object.keys(secret.data ?? {}).filter((key) => !wrote(secret, key)),
  };
}

/** Whether the key may be rotated: neither its value nor what rotation stores next to it was written by others. */
export function mayRotate({ writable, foreign }: SecretRights, key: string): boolean {
  return writable && ![key, previousOf(key), rotatedAtOf(key)].some((name) => foreign.includes(name));
}

/**
 * Data and annotation of a Secret after a write. `values`: clear text by key; null removes a key. `before`: null if the
 * Secret does not exist.
 */
export function writtenSecret(
  before: V1Secret | null,
  values: Readonly<Record<string, string | null>>,
): { data: Record<string, string | null>; annotations: Record<string, string> } {
  const digests: Record<string, string> = {};
  for (const key of Object.keys(before?.data ?? {}))
    if (before !== null && wrote(before, key)) digests[key] = digestOf(clear(before.data?.[key] ?? ""));
  const data: Record<string, string | null> = {};
  for (const [key, value] of Object.entries(values)) {
    data[key] = value === null ? null : base64(value);
    if (value === null) delete digests[key];
    else digests[key] = digestOf(value);
  }
  const sorted = Object.fromEntries(Object.entries(digests).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { data, annotations: { [writtenAnnotation]: JSON.stringify(sorted) } };
}
