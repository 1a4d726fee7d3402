/**
 * The authorisation code flow of OpenID Connect with PKCE (RFC 7636), as a client of one of the installation's issuers.
 * The person who logs in never sees the issuer's answer, only the kind of failure.
 */
import { Buffer } from "node:buffer";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import { directEgress, type Egress } from "../../proxy/config/egress/egress.ts";
import type { IdentityIssuer } from "../../proxy/config/identity.ts";
import { askIssuer, type IssuerRoute } from "./issuer-request.ts";

const metadataForMs = 600_000;

export interface OidcClientOptions {
  issuer: IdentityIssuer;
  clientId: string;
  /** "" for a public client. */
  clientSecret: string;
  scopes: readonly string[];
  redirectUri: string;
  /** Default: no egress proxy. */
  egress?: Egress;
  nowMs(): number;
}

/** Values that the answer to a login must match. */
export interface PendingLogin {
  state: string;
  nonce: string;
  verifier: string;
}

interface Metadata {
  authorization: string;
  token: string;
  jwksUri: string;
  /** Authentication of clients with a secret. */
  postsSecret: boolean;
}

type Json = Readonly<Record<string, unknown>>;

function endpoint(document: Json, name: string, issuer: string): string {
  const value = document[name];
  if (typeof value !== "string" || !URL.canParse(value)) throw new Error(`the discovery document has no ${name}`);
  if (issuer.startsWith("https:") && !value.startsWith("https:"))
    throw new Error(`the discovery document's ${name} is not at https://`);
  return value;
}

/** RFC 6749 encodes ids and secrets before they are joined. */
const formEncoded = (text: string): string => new URLSearchParams({ text }).toString().slice("text=".length);

export class OidcClient {
  readonly #options: OidcClientOptions;
  readonly #route: IssuerRoute;
  #metadata: { untilMs: number; value: Metadata } | null = null;
  #keys: { untilMs: number; value: JSONWebKeySet } | null = null;

  constructor(options: OidcClientOptions) {
    const { issuer, egress = directEgress } = options;
    this.#options = options;
    this.#route = { ca: issuer.ca, allowPrivate: issuer.allowPrivateEndpoint, egress };
  }

  async authorizationUrl({ state, nonce }: PendingLogin, challenge: string): Promise<string> {
    const { clientId, scopes, redirectUri } = this.#options;
    const url = new URL((await this.#discover()).authorization);
    for (const [name, value] of Object.entries({
      response_type: "code",
      client_id: clientId,
      redirect_uri: redirectUri,
      scope: scopes.join(" "),
      state,
      nonce,
      code_challenge: challenge,
      code_challenge_method: "S256",
    }))
      url.searchParams.set(name, value);
    return url.href;
  }

  /** Exchanges the code and verifies the ID token. Throws if anything is wrong. */
  async claimsOf(code: string, { nonce, verifier }: PendingLogin): Promise<JWTPayload> {
    const { clientId, clientSecret, redirectUri } = this.#options;
    const { token, postsSecret } = await this.#discover();
    const form = new URLSearchParams({
      grant_type: "authorization_code",
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    });
    const headers: Record<string, string> = { "content-type": "application/x-www-form-urlencoded" };
    if (clientSecret === "" || postsSecret) form.set("client_id", clientId);
    if (clientSecret !== "" && postsSecret) form.set("client_secret", clientSecret);
    if (clientSecret !== "" && !postsSecret) {
      const pair = Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString("base64");
      headers["authorization"] = `Basic ${pair}`;
    }
    const answer = await askIssuer(token, { method: "POST", headers, body: form.toString() }, this.#route);
    if (answer.status !== 200) throw new Error(`the token endpoint answered ${answer.status} ${codeIn(answer.json)}`);
    const idToken = answer.json["id_token"];
    if (typeof idToken !== "string") throw new Error("the token endpoint returned no id_token");
    return this.#verify(idToken, nonce);
  }

  async #verify(idToken: string, nonce: string): Promise<JWTPayload> {
    const { clientId } = this.#options;
    const payload = await this.#verified(idToken, false).catch((cause: unknown) => {
      // The key may have been added since.
      if (cause instanceof errors.JWKSNoMatchingKey) return this.#verified(idToken, true);
      throw cause;
    });
    if (payload["nonce"] !== nonce) throw new Error("the ID token is for another login: its nonce differs");
    const authorized = payload["azp"] ?? (Array.isArray(payload.aud) && payload.aud.length > 1 ? "" : clientId);
    if (authorized !== clientId) throw new Error("the ID token is for another client: azp");
    return payload;
  }

  async #verified(idToken: string, again: boolean): Promise<JWTPayload> {
    const { issuer, clientId, nowMs } = this.#options;
    const { payload } = await jwtVerify(idToken, createLocalJWKSet(await this.#keySet(again)), {
      issuer: issuer.issuer,
      audience: clientId,
      algorithms: issuer.algorithms,
      clockTolerance: issuer.clockSkewMs / 1000,
      requiredClaims: ["exp", "iat", "sub"],
      currentDate: new Date(nowMs()),
    });
    return payload;
  }

  async #keySet(again: boolean): Promise<JSONWebKeySet> {
    const { issuer, nowMs } = this.#options;
    if (issuer.jwks !== null) return issuer.jwks as unknown as JSONWebKeySet;
    if (this.#keys !== null && !again && nowMs() < this.#keys.untilMs) return this.#keys.value;
    const url = issuer.jwksUrl ?? (await this.#discover()).jwksUri;
    const { status, json } = await askIssuer(url, { method: "GET" }, this.#route);
    if (status !== 200 || !Array.isArray(json["keys"])) throw new Error(`the key set's server answered ${status}`);
    this.#keys = { untilMs: nowMs() + metadataForMs, value: json as unknown as JSONWebKeySet };
    return this.#keys.value;
  }

  async #discover(): Promise<Metadata> {
    const { issuer, nowMs } = this.#options;
    if (this.#metadata !== null && nowMs() < this.#metadata.untilMs) return this.#metadata.value;
    const url = `${issuer.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const { status, json } = await askIssuer(url, { method: "GET" }, this.#route);
    if (status !== 200) throw new Error(`${url} answered ${status}`);
    if (json["issuer"] !== issuer.issuer) throw new Error(`${url} names another issuer`);
    const methods = json["token_endpoint_auth_methods_supported"];
    const value = {
      authorization: endpoint(json, "authorization_endpoint", issuer.issuer),
      token: endpoint(json, "token_endpoint", issuer.issuer),
      jwksUri: issuer.jwksUrl ?? endpoint(json, "jwks_uri", issuer.issuer),
      // Without a list, servers support client_secret_basic.
      postsSecret:
        Array.isArray(methods) && !methods.includes("client_secret_basic") && methods.includes("client_secret_post"),
    };
    this.#metadata = { untilMs: nowMs() + metadataForMs, value };
    return value;
  }
}

/** An OAuth error code, such as invalid_client; "" for anything else, since the answer may hold what was sent. */
const codeIn = (json: Json): string => {
  const { error } = json;
  return typeof error === "string" && /^[a-z_]{1,64}$/.test(error) ? error : "";
};
