/** Tokens of issuers → identities. What was verified once is kept for a while, by digest, so that a signature costs once. */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import type { Identity } from "../call/identity.ts";
import type { IdentityIssuer } from "../config/identity.ts";
import { type Failure, failure } from "../failure.ts";
import { parseJson } from "../wire/json.ts";
import { keyOfClaims, UnusableClaimError } from "./claims.ts";
import { type FetchJson, IssuerKeys, KeysUnavailableError } from "./keys.ts";

/** Verified anew at least this often, so that a key which its issuer withdrew stops counting. */
const keptMs = 300_000;
const maxKept = 10_000;
/** Signatures checked at once: they share threads with the look-up of names, which a flood of forged tokens must not hold up. */
const maxAtOnce = 64;

export interface TokenVerifier {
  /** Settles at once for a token that was verified before. */
  verify(token: string, issuers: readonly IdentityIssuer[]): Identity | Promise<Identity>;
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
const unavailable: Failure = failure(
  "identity_unavailable",
  "The token's issuer can't be reached, so it can't be checked. Try again in a moment.",
  {
    retryAfterMs: 5_000,
  },
);

const busy: Failure = failure(
  "identity_unavailable",
  "Too many tokens are being checked at once. Try again in a moment.",
  { retryAfterMs: 1_000 },
);

const meanings: Readonly<Record<string, string>> = {
  aud: "The token is meant for another audience. Ask its issuer for one for this gateway.",
  iss: "The token's issuer is not one that this gateway takes.",
  nbf: "The token is not valid yet.",
  iat: "The token's lifetime is not one that this gateway takes.",
  exp: "The token has no end. Tokens must expire.",
};

/** The private cause names what was wrong; the token itself is in neither. */
function refusalOf(cause: unknown): Identity {
  if (cause instanceof errors.JWTExpired) return { anonymous: true, failure: expired };
  if (cause instanceof KeysUnavailableError) return { anonymous: true, failure: unavailable };
  if (cause instanceof UnusableClaimError)
    return refused(`The token's claim ${cause.message} does not say who calls in a form that can be used.`);
  if (cause instanceof errors.JWTClaimValidationFailed)
    return refused(meanings[cause.claim] ?? "A claim of the token is not as it must be.", cause.message);
  return refused("The token is not valid here.", cause instanceof errors.JOSEError ? cause.code : "malformed token");
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
  /** By the issuer's whole settings: other settings, other keys. */
  readonly #keys = new Map<string, IssuerKeys>();
  readonly #names = new WeakMap<IdentityIssuer, string>();

  constructor(fetch: FetchJson, nowMs: () => number, failed: (issuer: string, cause: unknown) => void) {
    this.#fetch = fetch;
    this.#nowMs = nowMs;
    this.#failed = failed;
  }

  verify(token: string, issuers: readonly IdentityIssuer[]): Identity | Promise<Identity> {
    const digest = hash("sha256", token, "base64");
    const kept = this.#kept.get(digest);
    if (kept !== undefined) {
      if (this.#nowMs() < kept.untilMs && issuers.some((one) => this.#nameOf(one) === kept.issuer))
        return kept.identity;
      this.#kept.delete(digest);
    }
    const pending = this.#pending.get(digest);
    if (pending !== undefined) return pending;
    if (this.#pending.size >= maxAtOnce) return { anonymous: true, failure: busy };
    const verified = this.#verify(token, digest, issuers)
      .catch(refusalOf)
      .finally(() => this.#pending.delete(digest));
    this.#pending.set(digest, verified);
    return verified;
  }

  /** Keys of issuers that are gone are forgotten; those that stay keep theirs. */
  keep(issuers: readonly IdentityIssuer[]): void {
    const wanted = new Set(issuers.map((one) => this.#nameOf(one)));
    for (const name of this.#keys.keys()) if (!wanted.has(name)) this.#keys.delete(name);
  }

  #nameOf(issuer: IdentityIssuer): string {
    const known = this.#names.get(issuer);
    if (known !== undefined) return known;
    const name = JSON.stringify(issuer);
    this.#names.set(issuer, name);
    return name;
  }

  #keysOf(issuer: IdentityIssuer): IssuerKeys {
    const name = this.#nameOf(issuer);
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const keys = new IssuerKeys(issuer, this.#fetch, this.#nowMs, this.#failed);
    this.#keys.set(name, keys);
    return keys;
  }

  async #verify(token: string, digest: string, issuers: readonly IdentityIssuer[]): Promise<Identity> {
    const claimed = unverified(token);
    const named = issuers.filter((one) => one.issuer === claimed.issuer);
    if (named.length === 0) return refused(meanings["iss"] ?? "");
    const issuer =
      named.find((one) => one.audiences.some((audience) => claimed.audiences.includes(audience))) ?? named[0];
    if (issuer === undefined) return refused(meanings["iss"] ?? "");
    const key = await this.#keysOf(issuer).resolver(claimed.keyId);
    const nowMs = this.#nowMs();
    const { payload } = await jwtVerify(token, key, {
      issuer: issuer.issuer,
      audience: issuer.audiences,
      algorithms: [...issuer.algorithms],
      clockTolerance: issuer.clockSkewMs / 1000,
      currentDate: new Date(nowMs),
      requiredClaims: ["exp", "iat"],
    });
    const { exp = 0, iat = 0 } = payload;
    if ((exp - iat) * 1000 > issuer.maxLifetimeMs) return refused(meanings["iat"] ?? "", "it lives too long");
    if (iat * 1000 > nowMs + issuer.clockSkewMs) return refused(meanings["nbf"] ?? "", "it was issued in the future");
    const { key: record, namespace } = keyOfClaims(issuer, claimsOf(token));
    const identity: Identity = { anonymous: false, key: record, namespace };
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
