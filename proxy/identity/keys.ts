/**
 * The public keys of one issuer. They are fetched on first use and now and then behind the scenes, never for a request
 * that could do without; an unknown key id makes for one fetch at most in a while. While the issuer can't be reached,
 * the keys that are known go on counting, for a day.
 */
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { IdentityIssuer } from "../config/identity.ts";

const freshMs = 600_000;
const staleMs = 86_400_000;
/** Between two fetches, whatever asks for them. */
const pauseMs = 30_000;
/** The same while no key is known at all. */
const firstPauseMs = 2_000;

/** By the issuer's rules: where it may be, and whom its certificate must be of. */
export type FetchJson = (url: string, issuer: Pick<IdentityIssuer, "allowPrivateEndpoint" | "ca">) => Promise<unknown>;

export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";
}

interface Held {
  resolve: JWTVerifyGetKey;
  ids: ReadonlySet<string>;
  fetchedMs: number;
}

function member(value: unknown, name: string): unknown {
  return value !== null && typeof value === "object" && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** Throws where it is no key set. Only public keys that can sign are kept. */
function held(document: unknown, fetchedMs: number): Held {
  const given = member(document, "keys");
  if (!Array.isArray(given)) throw new Error("the key set has no list of keys");
  const keys = given
    .filter((key) => ["RSA", "EC", "OKP"].includes(String(member(key, "kty"))) && member(key, "use") !== "enc")
    .slice(0, 100) as JSONWebKeySet["keys"];
  if (keys.length === 0) throw new Error("the key set has no public key that signs");
  return { resolve: createLocalJWKSet({ keys }), ids: new Set(keys.map((key) => String(key.kid ?? ""))), fetchedMs };
}

export class IssuerKeys {
  readonly #issuer: IdentityIssuer;
  readonly #fetch: FetchJson;
  readonly #nowMs: () => number;
  readonly #failed: (issuer: string, cause: unknown) => void;
  #held: Held | null = null;
  #fetching: Promise<void> | null = null;
  #triedMs = Number.NEGATIVE_INFINITY;

  constructor(
    issuer: IdentityIssuer,
    fetch: FetchJson,
    nowMs: () => number,
    failed: (issuer: string, cause: unknown) => void,
  ) {
    this.#issuer = issuer;
    this.#fetch = fetch;
    this.#nowMs = nowMs;
    this.#failed = failed;
    if (issuer.jwks !== null) this.#held = held(issuer.jwks, Number.POSITIVE_INFINITY);
  }

  /** Throws KeysUnavailableError where there are none, and none can be had now. */
  async resolver(keyId: string | undefined): Promise<JWTVerifyGetKey> {
    const now = this.#nowMs();
    const known = this.#held;
    if (known === null) await this.#refresh(firstPauseMs);
    else if (keyId !== undefined && !known.ids.has(keyId)) await this.#refresh(pauseMs);
    else if (now - known.fetchedMs >= freshMs) void this.#refresh(pauseMs);
    const usable = this.#held;
    if (usable === null || now - usable.fetchedMs > staleMs)
      throw new KeysUnavailableError(`no keys of issuer ${this.#issuer.name}`);
    return usable.resolve;
  }

  /** One at a time; what fails leaves the keys that are there. */
  #refresh(pause: number): Promise<void> {
    if (this.#fetching !== null) return this.#fetching;
    if (this.#issuer.jwks !== null || this.#nowMs() - this.#triedMs < pause) return Promise.resolve();
    this.#triedMs = this.#nowMs();
    const fetching = this.#load()
      .catch((cause: unknown) => this.#failed(this.#issuer.name, cause))
      .finally(() => {
        this.#fetching = null;
      });
    this.#fetching = fetching;
    return fetching;
  }

  async #load(): Promise<void> {
    const url = this.#issuer.jwksUrl ?? (await this.#discover());
    this.#held = held(await this.#fetch(url, this.#issuer), this.#nowMs());
  }

  async #discover(): Promise<string> {
    const { issuer } = this.#issuer;
    const document = await this.#fetch(`${issuer.replace(/\/+$/, "")}/.well-known/openid-configuration`, this.#issuer);
    const url = member(document, "jwks_uri");
    if (member(document, "issuer") !== issuer) throw new Error("the discovery document is another issuer's");
    if (typeof url !== "string" || !URL.canParse(url)) throw new Error("the discovery document names no jwks_uri");
    if (issuer.startsWith("https:") && !url.startsWith("https:"))
      throw new Error("the discovery document names a jwks_uri without TLS");
    return url;
  }
}
