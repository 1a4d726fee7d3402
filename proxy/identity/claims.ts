/** A verified token's claims → the caller. */
import type { JWTPayload } from "jose";
import type { IdentityIssuer } from "../config/identity.ts";
import type { KeyRecord } from "../config/key-record.ts";

const namespaceName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const serviceAccountName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const maxNameLength = 128;
/** Control, format and private characters, separators of lines, and blanks at either end: they make one name look like another. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]|^\s|\s$/u;
/** A token of the largest size that headers may have holds no more. */
const maxTags = 1024;

export interface TokenCaller {
  key: KeyRecord;
  namespace: string;
  /** Of a ServiceAccount. */
  uid?: string;
}

/** A claim that can't be used: `claim` is its name, the message says why and never holds its value. */
export class UnusableClaimError extends Error {
  override readonly name = "UnusableClaimError";
  readonly claim: string;

  constructor(claim: string, why: string) {
    super(why);
    this.claim = claim;
  }
}

function own(value: unknown, name: string): unknown {
  return value !== null && typeof value === "object" && !Array.isArray(value) && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

const parentOf = (payload: unknown, path: string): { parent: unknown; name: string } => {
  const names = path.split(".");
  const name = names.pop() ?? "";
  return { parent: names.reduce<unknown>((value, step) => own(value, step), payload), name };
};

/** By its whole name, as names that are URLs have dots; else as a path. */
function claimAt(payload: JWTPayload, path: string): unknown {
  const whole = own(payload, path);
  if (whole !== undefined) return whole;
  const { parent, name } = parentOf(payload, path);
  return own(parent, name);
}

/** Names are compared as text: one that is composed of other characters must not pass for another. */
function nameIn(value: unknown, path: string): string {
  if (Array.isArray(value)) throw new UnusableClaimError(path, "it is a list of several values");
  if (typeof value !== "string") throw new UnusableClaimError(path, `it is a ${typeof value}, not a string`);
  const name = value.normalize("NFC");
  if (name === "") throw new UnusableClaimError(path, "it is empty");
  if (name.length > maxNameLength) throw new UnusableClaimError(path, `it is longer than ${maxNameLength} characters`);
  if (unprintable.test(name))
    throw new UnusableClaimError(path, "it has control characters, or spaces at its beginning or end");
  return name;
}

/** A list of several is refused where one is needed: which of them counts must not depend on their order. */
function oneName(payload: JWTPayload, path: string | null): string | null {
  if (path === null) return null;
  const value = claimAt(payload, path);
  if (value === undefined || value === null) return null;
  return nameIn(Array.isArray(value) && value.length === 1 ? value[0] : value, path);
}

/** A list, or words between blanks as in `scope`. What is no name is left out. */
function manyNames(payload: JWTPayload, path: string | null): string[] | null {
  if (path === null) return null;
  const value = claimAt(payload, path);
  if (value === undefined || value === null) return null;
  const words: unknown[] = typeof value === "string" ? value.split(" ") : Array.isArray(value) ? value : [];
  const names = words.flatMap((word) => {
    if (typeof word !== "string" || word === "" || word.length > maxNameLength) return [];
    const name = word.normalize("NFC");
    return unprintable.test(name) ? [] : [name];
  });
  return [...new Set(names)].slice(0, maxTags).sort();
}

/**
 * Of a list of groups or roles, the one that is a role of the installation. Where several are, the issuer's `roles` say
 * which goes first; where none is, the default holds.
 */
function roleOf(payload: JWTPayload, issuer: IdentityIssuer): string | null {
  const path = issuer.claims.role;
  const value = path === null ? null : claimAt(payload, path);
  if (path === null || !Array.isArray(value) || value.length < 2) return oneName(payload, path);
  const names = manyNames(payload, path) ?? [];
  const first = issuer.roles?.find((role) => names.includes(role));
  if (first !== undefined || issuer.roles !== undefined) return first ?? null;
  // Nobody said which roles there are.
  if (issuer.roleNames === undefined) throw new UnusableClaimError(path, "it is a list of several values");
  const known = names.filter((name) => issuer.roleNames?.includes(name));
  if (known.length > 1)
    throw new UnusableClaimError(
      path,
      `it names several roles (${known.join(", ")}); the platform team can say in identity.issuers[].roles which goes first`,
    );
  return known[0] ?? null;
}

/** An address that its holder has not confirmed may be anybody's. */
function checkVerified(payload: JWTPayload, path: string): void {
  const { parent, name } = own(payload, path) === undefined ? parentOf(payload, path) : { parent: payload, name: path };
  if (name !== "email") return;
  const verified = own(parent, "email_verified");
  if (verified === false || String(verified).toLowerCase() === "false")
    throw new UnusableClaimError(path, "its issuer has not verified the address (email_verified is false)");
}

function record(issuer: IdentityIssuer, payload: JWTPayload, namespace: string, user: string): TokenCaller {
  const { claims, defaults } = issuer;
  const key: KeyRecord = {
    digest: "",
    id: `${namespace}/${issuer.name}:${user}`,
    user,
    team: oneName(payload, claims.team) ?? defaults.team,
    role: roleOf(payload, issuer) ?? defaults.role,
    tags: manyNames(payload, claims.tags) ?? defaults.tags,
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
  const foreign = "it does not name a ServiceAccount and its namespace";
  if (typeof namespace !== "string" || !namespaceName.test(namespace))
    throw new UnusableClaimError("kubernetes.io", foreign);
  if (typeof account !== "string" || !serviceAccountName.test(account))
    throw new UnusableClaimError("kubernetes.io", foreign);
  const user = `system:serviceaccount:${namespace}:${account}`;
  if (payload.sub !== user)
    throw new UnusableClaimError("sub", "it is not the ServiceAccount that kubernetes.io names");
  const uid = own(own(about, "serviceaccount"), "uid");
  if (typeof uid !== "string" || uid === "" || uid.length > maxNameLength)
    throw new UnusableClaimError("kubernetes.io", "it does not have the uid of the ServiceAccount");
  return { ...record(issuer, payload, namespace, user), uid };
}

/** Throws UnusableClaimError. */
export function keyOfClaims(issuer: IdentityIssuer, payload: JWTPayload): TokenCaller {
  if (issuer.kind === "Kubernetes") return workload(issuer, payload);
  const user = oneName(payload, issuer.claims.user);
  if (user === null) throw new UnusableClaimError(issuer.claims.user, "it is missing");
  checkVerified(payload, issuer.claims.user);
  if (issuer.namespace === null) throw new UnusableClaimError("namespace", "it is missing");
  return record(issuer, payload, issuer.namespace, user);
}
