/** Tokens of issuers → identities. What was verified once is kept for a while, by digest, so that a signature costs once. */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import type { Identity } from "../call/identity.ts";
import type { IdentityIssuer } from "../config/identity.ts";
import { type Failure, failure } from "../failure.ts";
import { parseJson } from "../wire/json.ts";
import { keyOfClaims, UnusableClaimError } from "./claims.ts";
import { type FetchJson, IssuerKeys, KeysUnavailableError } from "./keys.ts";
import { Turns } from "./turns.ts";

/** Verified again at least this often, so that a key which its issuer withdrew stops counting. */
const keptMs = 300_000;
const maxKept = 10_000;
/**
 * Signatures of one issuer's tokens checked at once: they share threads with the look-up of names, which a flood of forged
 * tokens must not hold up. Addresses take turns. Callers that wait for an issuer's keys are not counted here, but by `IssuerKeys`.
 */
const checks = { running: 16, waitingOfSource: 256, waiting: 4_096 };
/** Keys tried for a token that does not say which one signed it. */
const maxTried = 8;
/** RFC 8725, 3.11: what is signed for another use, such as a logout token, is no proof of who calls. */
const tokenTypes: ReadonlySet<string> = new Set(["jwt", "at+jwt"]);
/** Keycloak says in a claim what a token is for. */
const otherUses: ReadonlySet<string> = new Set(["refresh", "offline", "logout", "backchannel-logout"]);

export interface TokenVerifier {
  /**
   * Settles at once for a token that was verified before. `source`: the caller's address; callers of other addresses have
   * their turn, however many tokens it sends.
   */
  verify(token: string, issuers: readonly IdentityIssuer[], source?: string): Identity | Promise<Identity>;
}

interface Kept {
  identity: Identity;
  issuer: string;
  untilMs: number;
}

const refused = (message: string, cause?: string): Identity => ({
  anonymous: true,
  failure: failure("invalid_token", message, cause === undefined ? {} : { cause }),
});

const expired: Failure = failure("expired_token", "The token has expired. Get a new one from its issuer.");
const unavailable = (retryAfterMs: number): Failure =>
  failure(
    "identity_unavailable",
    "The key that the token is signed with is not known here yet, so that it can't be checked. Try again in a moment.",
    { retryAfterMs },
  );

const busy: Failure = failure(
  "identity_unavailable",
  "Too many tokens are being checked at once. Try again in a moment.",
  { retryAfterMs: 1_000 },
);

const meanings: Readonly<Record<string, string>> = {
  aud: "The token is meant for another audience. Ask its issuer for one for this gateway.",
  iss: "This gateway does not accept tokens of this issuer.",
  nbf: "The token is not valid yet.",
  iat: "The token's lifetime is unknown, or longer than this gateway accepts.",
  exp: "The token has no expiry (exp). Tokens must expire.",
};

const faults: Readonly<Record<string, string>> = {
  ERR_JWKS_NO_MATCHING_KEY: "The token is signed with a key that its issuer does not publish. Get a new one from it.",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "The token's signature does not match its issuer's key.",
  ERR_JOSE_ALG_NOT_ALLOWED: "The token is signed with an algorithm that this gateway does not accept from its issuer.",
};

/** The message says what was wrong; the token itself is in neither message nor cause. */
function refusalOf(cause: unknown): Identity {
  if (cause instanceof errors.JWTExpired) return { anonymous: true, failure: expired };
  if (cause instanceof KeysUnavailableError) return { anonymous: true, failure: unavailable(cause.retryAfterMs) };
  if (cause instanceof UnusableClaimError)
    return refused(
      `The token's claim ${cause.claim} can't identify the caller: ${cause.message}.`,
      `claim ${cause.claim}: ${cause.message}`,
    );
  if (cause instanceof errors.JWTClaimValidationFailed)
    return refused(meanings[cause.claim] ?? "A claim of the token is invalid.", cause.message);
  const code = cause instanceof errors.JOSEError ? cause.code : "malformed token";
  return refused(faults[code] ?? "The token is not valid here.", code);
}

/** What the token is for, by its header and payload; null where that is to say who calls. */
function otherUse(token: string, payload: JWTPayload): string | null {
  const { typ } = decodeProtectedHeader(token);
  const type = typ?.toLowerCase().replace(/^application\//, "");
  if (type !== undefined && !tokenTypes.has(type)) return `its type is ${type.slice(0, 64)}`;
  const use = payload["typ"];
  if (typeof use === "string" && otherUses.has(use.toLowerCase())) return `its claim typ is ${use.toLowerCase()}`;
  return payload["events"] === undefined ? null : "it reports a security event";
}

/** Without a key id several keys may fit: each is tried, up to a bound. */
async function verified(token: string, key: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (cause) {
    if (!(cause instanceof errors.JWKSMultipleMatchingKeys)) throw cause;
    let tried = 0;
    for await (const key of cause) {
      if (++tried > maxTried) break;
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (wrong) {
        if (!(wrong instanceof errors.JWSSignatureVerificationFailed)) throw wrong;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** `iss` of a token that nobody has verified yet: only to choose by whose keys that will be done. */
function unverified(token: string): { issuer: unknown; audiences: unknown[]; keyId: string | undefined } {
  const payload = decodeJwt(token);
  const { kid } = decodeProtectedHeader(token);
  return { issuer: payload.iss, audiences: [payload.aud].flat(), keyId: typeof kid === "string" ? kid : undefined };
}

/** Of a token that is verified. Not as `jose` read them, which trusts JSON.parse with names in escapes, such as an address by PHP. */
const claimsOf = (token: string): JWTPayload =>
  parseJson(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as JWTPayload;

export class CachingVerifier implements TokenVerifier {
  readonly #fetch: FetchJson;
  readonly #nowMs: () => number;
  readonly #failed: (issuer: string, cause: unknown) => void;
  /** By digest of the token; the oldest goes first. */
  readonly #kept = new Map<string, Kept>();
  /** Tokens that are being verified now, by digest. */
  readonly #pending = new Map<string, Promise<Identity>>();
  /** Signatures that are being checked, by issuer. */
  readonly #checking = new Map<string, Turns>();
  /** By the issuer's whole settings: other settings, other keys. */
  readonly #keys = new Map<string, IssuerKeys>();
  readonly #names = new WeakMap<IdentityIssuer, string>();

  constructor(fetch: FetchJson, nowMs: () => number, failed: (issuer: string, cause: unknown) => void) {
    this.#fetch = fetch;
    this.#nowMs = nowMs;
    this.#failed = failed;
  }

  verify(token: string, issuers: readonly IdentityIssuer[], source = ""): Identity | Promise<Identity> {
    const digest = hash("sha256", token, "base64");
    const kept = this.#kept.get(digest);
    if (kept !== undefined) {
      if (this.#nowMs() < kept.untilMs && issuers.some((issuer) => this.#nameOf(issuer) === kept.issuer))
        return kept.identity;
      this.#kept.delete(digest);
    }
    const pending = this.#pending.get(digest);
    if (pending !== undefined) return pending;
    const verifying = this.#verify(token, digest, issuers, source)
      .catch(refusalOf)
      .finally(() => this.#pending.delete(digest));
    this.#pending.set(digest, verifying);
    return verifying;
  }

  /** Keys of issuers that are gone are forgotten; those that stay keep theirs. */
  keep(issuers: readonly IdentityIssuer[]): void {
    const wanted = new Set(issuers.map((issuer) => this.#nameOf(issuer)));
    for (const name of this.#keys.keys()) if (!wanted.has(name)) this.#keys.delete(name);
  }

  #nameOf(issuer: IdentityIssuer): string {
    const cached = this.#names.get(issuer);
    if (cached !== undefined) return cached;
    const name = JSON.stringify(issuer);
    this.#names.set(issuer, name);
    return name;
  }

  #keysOf(issuer: IdentityIssuer): IssuerKeys {
    const name = this.#nameOf(issuer);
    const existing = this.#keys.get(name);
    if (existing !== undefined) return existing;
    const keys = new IssuerKeys(issuer, this.#fetch, this.#nowMs, this.#failed);
    this.#keys.set(name, keys);
    return keys;
  }

  async #verify(token: string, digest: string, issuers: readonly IdentityIssuer[], source: string): Promise<Identity> {
    const claimed = unverified(token);
    const named = issuers.filter((issuer) => issuer.issuer === claimed.issuer);
    if (named.length === 0) return refused(meanings["iss"] ?? "");
    const issuer =
      named.find((issuer) => issuer.audiences.some((audience) => claimed.audiences.includes(audience))) ?? named[0];
    if (issuer === undefined) return refused(meanings["iss"] ?? "");
    const keys = this.#keysOf(issuer).resolver(claimed.keyId);
    const key = keys instanceof Promise ? await keys : keys;
    const name = this.#nameOf(issuer);
    const checking = this.#checking.get(name) ?? new Turns(checks);
    this.#checking.set(name, checking);
    try {
      const identity = checking.run(source, () => this.#check(token, digest, issuer, key));
      return identity === null ? { anonymous: true, failure: busy } : await identity;
    } finally {
      if (checking.idle) this.#checking.delete(name);
    }
  }

  async #check(token: string, digest: string, issuer: IdentityIssuer, key: JWTVerifyGetKey): Promise<Identity> {
    const nowMs = this.#nowMs();
    const payload = await verified(token, key, {
      issuer: issuer.issuer,
      audience: issuer.audiences,
      algorithms: [...issuer.algorithms],
      clockTolerance: issuer.clockSkewMs / 1000,
      currentDate: new Date(nowMs),
      requiredClaims: ["exp", "iat"],
    });
    const claims = claimsOf(token);
    const use = otherUse(token, claims);
    if (use !== null) return refused(`The token is not meant to identify a caller: ${use}. Send an access token.`, use);
    const { exp = 0, iat = 0 } = payload;
    if ((exp - iat) * 1000 > issuer.maxLifetimeMs) return refused(meanings["iat"] ?? "", "its lifetime is too long");
    if (iat * 1000 > nowMs + issuer.clockSkewMs) return refused(meanings["nbf"] ?? "", "it was issued in the future");
    const identity: Identity = { anonymous: false, ...keyOfClaims(issuer, claims) };
    this.#remember(digest, { identity, issuer: this.#nameOf(issuer), untilMs: Math.min(nowMs + keptMs, exp * 1000) });
    return identity;
  }

  #remember(digest: string, kept: Kept): void {
    if (this.#kept.size >= maxKept) {
      const oldest = this.#kept.keys().next().value;
      if (oldest !== undefined) this.#kept.delete(oldest);
    }
    this.#kept.set(digest, kept);
  }
}
