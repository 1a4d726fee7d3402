/**
 * Which Secrets, and which values in them, are Sluice's to write. A Secret is writable where Sluice made it or its owner
 * handed it over by label. A value is Sluice's where the annotation on the Secret holds its digest, so that a value that
 * somebody put there later is never replaced. Pure.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { V1Secret } from "@kubernetes/client-node";
import { wellFormedKey } from "../../proxy/config/key-form.ts";
import { previousOf, rotatedAtOf } from "../compile/key-secret.ts";
import { readableLabel, type SecretAccess, writableLabel } from "../compile/secret-rights.ts";
import type { SecretRights } from "../compile/world.ts";

/** On a Secret: key → digest of the value that Sluice wrote there last, as JSON. */
const writtenAnnotation = "sluice.dev/written";
const managedBy = "app.kubernetes.io/managed-by";
/** Of Secrets that Sluice makes for API keys. */
export const madeLabels = { [managedBy]: "sluice" };
/** Of what the operator publishes for proxies: provider credentials and the pepper, which no tenant may name. */
const publishedBy = "sluice-operator";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const clear = (value: string): string => Buffer.from(value, "base64").toString("utf8");
/** A key has 256 random bits, so its digest tells nothing about it. */
const digestOf = (value: string): string => createHash("sha256").update(value).digest("hex").slice(0, 32);

const labelsOf = (secret: V1Secret): Readonly<Record<string, string>> => secret.metadata?.labels ?? {};

export function mayWrite(secret: V1Secret): boolean {
  const labels = labelsOf(secret);
  return labels[managedBy] === madeLabels[managedBy] || labels[writableLabel] === "true";
}

/** null where Sluice has written nothing down. */
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

/** Secrets that were made before the annotation came hold keys of a form that only Sluice makes. */
const isOwnForm = (value: string): boolean => wellFormedKey(value) || /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value);

/** Whether the value of a key, as it is in the Secret, was written by Sluice. */
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

/** Whether the key may be rotated: neither it nor what rotation puts beside it is somebody else's. */
export function mayRotate({ writable, foreign }: SecretRights, key: string): boolean {
  return writable && ![key, previousOf(key), rotatedAtOf(key)].some((name) => foreign.includes(name));
}

/**
 * Data and annotation of a Secret after a write. `values`: clear text by key; null takes a key out. `before`: null where
 * the Secret is not there.
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
