/**
 * The public keys of one issuer. They are fetched on first use and at intervals in the background, never for a request
 * that could do without; unknown key ids cause at most one fetch per interval, and are asked to come back until there was
 * one. While the issuer can't be reached, the keys that are known go on counting, for a day.
 */
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { IdentityIssuer } from "../config/identity.ts";

const freshMs = 600_000;
const staleMs = 86_400_000;
/** Between two fetches, whatever asks for them. */
const pauseMs = 10_000;
/** The same while no key is known at all. */
const firstPauseMs = 2_000;

/** By the issuer's rules: where it may be, and whom its certificate must be of. */
export type FetchJson = (url: string, issuer: Pick<IdentityIssuer, "allowPrivateEndpoint" | "ca">) => Promise<unknown>;

/** Of requests for a fetch that is under way. */
const patienceMs = 5_000;
/** Requests that wait for the keys of one issuer. */
const maxWaiting = 64;
/** How long a key id that no key of the cluster has may belong to one that the operator is about to publish. */
const graceMs = 15_000;
const graceRetryMs = 5_000;
const maxRemembered = 1_000;

export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";
  /** When there may be some, in milliseconds from now. */
  readonly retryAfterMs: number;

  constructor(issuer: string, retryAfterMs: number) {
    super(`the key of a token of issuer ${issuer} is not known yet`);
    this.retryAfterMs = retryAfterMs;
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  if (map.size >= maxRemembered) {
    const oldest = map.keys().next().value;
    if (oldest !== undefined) map.delete(oldest);
  }
  map.set(key, value);
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
  const listed = member(document, "keys");
  if (!Array.isArray(listed)) throw new Error("the key set has no list of keys");
  const keys = listed
    .filter((key) => ["RSA", "EC", "OKP"].includes(String(member(key, "kty"))) && member(key, "use") !== "enc")
    .slice(0, 100) as JSONWebKeySet["keys"];
  if (keys.length === 0) throw new Error("the key set has no public key for signatures");
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
  #waiting = 0;
  /** Ids that the issuer had no key for when it was asked last. */
  readonly #unknown = new Map<string, true>();
  readonly #firstSeen = new Map<string, number>();

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

  /** At once where the key is known, or is known not to be; else once it was asked for. Throws KeysUnavailableError. */
  resolver(keyId: string | undefined): JWTVerifyGetKey | Promise<JWTVerifyGetKey> {
    const nowMs = this.#nowMs();
    const keys = this.#held;
    if (this.#issuer.jwks !== null && keys !== null) return this.#published(keys, keyId, nowMs);
    if (keys === null || nowMs - keys.fetchedMs > staleMs || !this.#isSettled(keys, keyId, nowMs))
      return this.#await(keyId);
    if (nowMs - keys.fetchedMs >= freshMs && nowMs - this.#triedMs >= pauseMs) void this.#refresh();
    return keys.resolve;
  }

  /** Keys in the config. Those of the cluster itself follow it within seconds, and a new one is in use at once. */
  #published(keys: Held, keyId: string | undefined, nowMs: number): JWTVerifyGetKey {
    if (this.#issuer.kind !== "Kubernetes" || keyId === undefined || keys.ids.has(keyId)) return keys.resolve;
    const sinceMs = this.#firstSeen.get(keyId);
    if (sinceMs === undefined) remember(this.#firstSeen, keyId, nowMs);
    if (nowMs - (sinceMs ?? nowMs) < graceMs) throw new KeysUnavailableError(this.#issuer.name, graceRetryMs);
    return keys.resolve;
  }

  /** Whether a fetch would tell nothing new just now. */
  #isSettled({ ids }: Held, keyId: string | undefined, nowMs: number): boolean {
    if (keyId === undefined || ids.has(keyId)) return true;
    return this.#unknown.has(keyId) && nowMs - this.#triedMs < pauseMs;
  }

  /** Waits for a fetch, but neither long nor in a crowd: who waits for one issuer is in nobody's way at another. */
  async #await(keyId: string | undefined): Promise<JWTVerifyGetKey> {
    const before = this.#held;
    const leftMs = this.#triedMs + (before === null ? firstPauseMs : pauseMs) - this.#nowMs();
    const { name } = this.#issuer;
    if (this.#fetching === null && leftMs > 0) throw new KeysUnavailableError(name, leftMs);
    if (this.#waiting >= maxWaiting) throw new KeysUnavailableError(name, patienceMs);
    this.#waiting++;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, patienceMs);
    try {
      await Promise.race([this.#refresh(), late.promise]);
    } finally {
      clearTimeout(timer);
      this.#waiting--;
    }
    const keys = this.#held;
    if (keys === null || keys === before) throw new KeysUnavailableError(name, pauseMs);
    if (keyId !== undefined && !keys.ids.has(keyId)) remember(this.#unknown, keyId, true);
    return keys.resolve;
  }

  /** One at a time; what fails leaves the keys that are there. */
  #refresh(): Promise<void> {
    if (this.#fetching !== null) return this.#fetching;
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
    const keys = held(await this.#fetch(url, this.#issuer), this.#nowMs());
    const withdrawn = [...(this.#held?.ids ?? [])].filter((id) => !keys.ids.has(id));
    this.#unknown.clear();
    for (const id of withdrawn) remember(this.#unknown, id, true);
    this.#held = keys;
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
