/**
 * An OpenID provider on loopback with a page to log in on: the authorisation code flow with PKCE (RFC 6749, RFC 7636,
 * OpenID Connect Core), and nothing else. It refuses what a careful provider refuses.
 */
import { hash } from "node:crypto";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { json, startUpstream, type UpstreamRequest } from "./upstream.ts";

export interface OidcProviderOptions {
  clientId: string;
  /** "" for a public client. */
  clientSecret: string;
  redirectUri: string;
  /** How a client with a secret shows it. */
  auth?: "client_secret_basic" | "client_secret_post";
  /** Its name for itself; default: its address. */
  issuer?: string;
}

export interface OidcProvider {
  url: string;
  issuer: string;
  /** Claims of the next logins, over the usual ones; undefined removes one. */
  claims: Record<string, unknown>;
  /** Signs the next ID tokens in place of the provider. */
  signer: ((claims: Record<string, unknown>) => Promise<string>) | null;
  /** Why the last request was refused. */
  refusals: string[];
  /** A new signing key; the old public key goes. */
  rotate(): Promise<void>;
  down(is: boolean): void;
  close(): Promise<void>;
}

interface Grant {
  challenge: string;
  nonce: string;
  used: boolean;
}

const challengeForm = /^[A-Za-z0-9_-]{43}$/;
const verifierForm = /^[A-Za-z0-9._~-]{43,128}$/;

/** What is wrong with a request to authorise; null if nothing is. */
function wrongIn(query: URLSearchParams, { clientId, redirectUri }: OidcProviderOptions): string | null {
  for (const name of query.keys()) if (query.getAll(name).length > 1) return `${name} is there twice`;
  if (query.get("client_id") !== clientId) return "unknown client";
  if (query.get("redirect_uri") !== redirectUri) return "redirect_uri is not registered";
  if (query.get("response_type") !== "code") return "response_type";
  if (!(query.get("scope") ?? "").split(" ").includes("openid")) return "scope lacks openid";
  if (query.get("code_challenge_method") !== "S256") return "code_challenge_method";
  if (!challengeForm.test(query.get("code_challenge") ?? "")) return "code_challenge";
  return (query.get("state") ?? "").length >= 22 && (query.get("nonce") ?? "").length >= 22 ? null : "state or nonce";
}

function wrongClient({ headers }: UpstreamRequest, form: URLSearchParams, options: OidcProviderOptions): string | null {
  const { clientId, clientSecret, auth = "client_secret_basic" } = options;
  const { authorization } = headers;
  if (clientSecret !== "" && auth === "client_secret_basic") {
    const pair = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`;
    if (authorization !== `Basic ${btoa(pair)}`) return "authorization";
    return form.has("client_secret") ? "two ways to authenticate" : null;
  }
  if (authorization !== undefined) return "a client that should not authenticate by header";
  if (form.get("client_id") !== clientId) return "client_id";
  return (form.get("client_secret") ?? "") === clientSecret ? null : "client_secret";
}

export async function startOidcProvider(options: OidcProviderOptions): Promise<OidcProvider> {
  const { redirectUri, clientId, auth = "client_secret_basic" } = options;
  const grants = new Map<string, Grant>();
  let key: { publicKey: CryptoKey; privateKey: CryptoKey };
  let [keyCount, codeCount, broken] = [0, 0, false];
  const rotate = async (): Promise<void> => {
    key = await generateKeyPair("ES256", { extractable: true });
    keyCount++;
  };
  await rotate();

  const sign = (claims: Record<string, unknown>): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: `key-${keyCount}` }).sign(key.privateKey);

  const server = await startUpstream(async (request, response) => {
    const { pathname, searchParams } = new URL(request.path, server.url);
    const refuse = (status: number, error: string, why: string): void => {
      provider.refusals.push(why);
      json(response, status, { error });
    };
    if (broken) return refuse(503, "temporarily_unavailable", "down");
    if (pathname === "/.well-known/openid-configuration")
      return json(response, 200, {
        issuer: provider.issuer,
        authorization_endpoint: `${provider.issuer}/authorize`,
        token_endpoint: `${provider.issuer}/token`,
        jwks_uri: `${provider.issuer}/keys`,
        token_endpoint_auth_methods_supported: [options.clientSecret === "" ? "none" : auth],
      });
    if (pathname === "/keys") {
      const jwk = { ...(await exportJWK(key.publicKey)), kid: `key-${keyCount}`, alg: "ES256", use: "sig" };
      return json(response, 200, { keys: [jwk] });
    }
    if (pathname === "/authorize" && request.method === "GET") {
      const wrong = wrongIn(searchParams, options);
      if (wrong !== null) return refuse(400, "invalid_request", wrong);
      const code = `code-${++codeCount}`;
      const [challenge = "", nonce = ""] = ["code_challenge", "nonce"].map((name) => searchParams.get(name) ?? "");
      grants.set(code, { challenge, nonce, used: false });
      const state = encodeURIComponent(searchParams.get("state") ?? "");
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end(
        `<!doctype html><title>Provider</title>
        <a id="yes" href="${redirectUri}?code=${code}&state=${state}">Log in as Ann</a>
        <a id="no" href="${redirectUri}?error=access_denied&state=${state}">Cancel</a>`,
      );
      return;
    }
    if (pathname !== "/token" || request.method !== "POST") return refuse(404, "invalid_request", request.path);
    if (request.headers["content-type"] !== "application/x-www-form-urlencoded")
      return refuse(400, "invalid_request", "content-type");
    const form = new URLSearchParams(request.text);
    const client = wrongClient(request, form, options);
    if (client !== null) return refuse(401, "invalid_client", client);
    const grant = grants.get(form.get("code") ?? "");
    const verifier = form.get("code_verifier") ?? "";
    if (form.get("grant_type") !== "authorization_code") return refuse(400, "unsupported_grant_type", "grant_type");
    if (grant === undefined || grant.used) return refuse(400, "invalid_grant", "code");
    grant.used = true;
    if (form.get("redirect_uri") !== redirectUri) return refuse(400, "invalid_grant", "redirect_uri");
    if (!verifierForm.test(verifier) || hash("sha256", verifier, "base64url") !== grant.challenge)
      return refuse(400, "invalid_grant", "code_verifier");
    const now = Math.floor(Date.now() / 1000);
    const claims: Record<string, unknown> = {
      iss: provider.issuer,
      aud: clientId,
      sub: "auth0|ann",
      iat: now,
      exp: now + 300,
      nonce: grant.nonce,
      email: "ann@example.com",
      email_verified: true,
      groups: ["platform"],
      ...provider.claims,
    };
    for (const name of Object.keys(claims)) if (claims[name] === undefined) delete claims[name];
    const idToken = await (provider.signer ?? sign)(claims);
    json(response, 200, { access_token: "a", token_type: "Bearer", expires_in: 60, id_token: idToken });
  });
  const provider: OidcProvider = {
    url: server.url,
    issuer: options.issuer ?? server.url,
    claims: {},
    signer: null,
    refusals: [],
    rotate,
    down(is) {
      broken = is;
    },
    close: () => server.close(),
  };
  return provider;
}
