/** A verified token's claims → the caller. */
import type { JWTPayload } from "jose";
import type { IdentityIssuer } from "../config/identity.ts";
import type { KeyRecord } from "../config/key-record.ts";

/** As a label of an object may be: it ends up in records, budgets and rules. */
const label = /^[A-Za-z0-9]([A-Za-z0-9._@:/+-]{0,126}[A-Za-z0-9])?$/;
const namespaceName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const serviceAccountName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const maxTags = 32;

export interface TokenCaller {
  key: KeyRecord;
  namespace: string;
}

/** The name of the claim that can't be used. */
export class UnusableClaimError extends Error {
  override readonly name = "UnusableClaimError";
}

function own(value: unknown, name: string): unknown {
  return value !== null && typeof value === "object" && !Array.isArray(value) && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** By its whole name, as names that are URLs have dots; else as a path. */
function claim(payload: JWTPayload, path: string): unknown {
  const whole = own(payload, path);
  return whole === undefined ? path.split(".").reduce<unknown>((value, name) => own(value, name), payload) : whole;
}

/** A list of several is refused where one is needed: which of them counts must not hang on their order. */
function one(payload: JWTPayload, path: string | null): string | null {
  if (path === null) return null;
  const found = claim(payload, path);
  if (found === undefined || found === null) return null;
  const value = Array.isArray(found) && found.length === 1 ? (found[0] as unknown) : found;
  if (typeof value !== "string" || !label.test(value)) throw new UnusableClaimError(path);
  return value;
}

/** A list, or words between blanks as in `scope`. What can't be a tag is left out. */
function many(payload: JWTPayload, path: string | null): string[] | null {
  if (path === null) return null;
  const found = claim(payload, path);
  if (found === undefined || found === null) return null;
  const words: unknown[] = typeof found === "string" ? found.split(" ") : Array.isArray(found) ? found : [];
  return [...new Set(words.filter((word): word is string => typeof word === "string" && label.test(word)))]
    .slice(0, maxTags)
    .sort();
}

function record(issuer: IdentityIssuer, payload: JWTPayload, namespace: string, user: string): TokenCaller {
  const { claims, defaults } = issuer;
  const key: KeyRecord = {
    digest: "",
    id: `${namespace}/${issuer.name}:${user}`,
    user,
    team: one(payload, claims.team) ?? defaults.team,
    role: one(payload, claims.role) ?? defaults.role,
    tags: many(payload, claims.tags) ?? defaults.tags,
    models: issuer.models,
    expiresAtMs: (payload.exp ?? 0) * 1000,
    revoked: false,
  };
  return { key, namespace };
}

/** A workload by its ServiceAccount: `sub` and the claims under `kubernetes.io` must agree. */
function workload(issuer: IdentityIssuer, payload: JWTPayload): TokenCaller {
  const about = own(payload, "kubernetes.io");
  const namespace = own(about, "namespace");
  const account = own(own(about, "serviceaccount"), "name");
  if (typeof namespace !== "string" || !namespaceName.test(namespace)) throw new UnusableClaimError("kubernetes.io");
  if (typeof account !== "string" || !serviceAccountName.test(account)) throw new UnusableClaimError("kubernetes.io");
  const user = `system:serviceaccount:${namespace}:${account}`;
  if (payload.sub !== user) throw new UnusableClaimError("sub");
  return record(issuer, payload, namespace, user);
}

/** Throws UnusableClaimError. */
export function keyOfClaims(issuer: IdentityIssuer, payload: JWTPayload): TokenCaller {
  if (issuer.kind === "Kubernetes") return workload(issuer, payload);
  const user = one(payload, issuer.claims.user);
  if (user === null) throw new UnusableClaimError(issuer.claims.user);
  if (issuer.namespace === null) throw new UnusableClaimError("namespace");
  return record(issuer, payload, issuer.namespace, user);
}
