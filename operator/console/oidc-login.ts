/**
 * Login by OpenID Connect. An encrypted cookie of the browser that began the login holds state, nonce and PKCE
 * verifier. Another one holds the identity from the ID token for the session. Kubernetes decides on rights, as with a
 * token.
 */
import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Egress } from "../../proxy/config/egress/egress.ts";
import type { IdentityIssuer } from "../../proxy/config/identity.ts";
import type { Reviews, TokenHolder } from "../cluster/reviews.ts";
import type { ConsoleOidc } from "../settings/console.ts";
import { consolePath } from "./assets.ts";
import { cookieIn, maxTokenChars, sessionCookie } from "./gate.ts";
import { OidcClient, type PendingLogin } from "./oidc-client.ts";
import { HolderRefused, holderOf } from "./oidc-holder.ts";
import type { CookieSeal } from "./sealed-cookie.ts";

const oidcPath = `${consolePath}/oidc`;
const loginCookie = "sluice-console-login";
const loginSeconds = 600;
/** Distinguishes a sealed session from a Kubernetes token. */
const sessionMark = "oidc~";

/** Why a login failed. The page has a message for each. */
export type LoginFailure = "denied" | "expired" | "unreachable" | "refused" | "too_many_groups" | HolderRefused["code"];

export interface OidcLoginOptions {
  settings: ConsoleOidc;
  issuer: IdentityIssuer;
  clientSecret: string;
  /** URL at which people open the console, without /console. */
  url: string;
  seal: CookieSeal;
  egress?: Egress;
  nowMs(): number;
  /** Receives why a login failed; the person learns only what kind of failure it was. */
  failed(cause: unknown): void;
}

const random = (): string => randomBytes(32).toString("base64url");

function isEqual(a: string, b: string): boolean {
  const [left, right] = [hash("sha256", a, "buffer"), hash("sha256", b, "buffer")];
  return timingSafeEqual(left, right);
}

const asText = (value: unknown): string => (typeof value === "string" ? value : "");

export class OidcLogin {
  readonly label: string;
  readonly #options: OidcLoginOptions;
  readonly #client: OidcClient;

  constructor(options: OidcLoginOptions) {
    const { settings, issuer, clientSecret, url, egress, nowMs } = options;
    this.#options = options;
    this.label = settings.label || issuer.name;
    this.#client = new OidcClient({
      issuer,
      clientId: settings.clientId,
      clientSecret,
      scopes: settings.scopes,
      redirectUri: `${url}${oidcPath}/callback`,
      ...(egress === undefined ? {} : { egress }),
      nowMs,
    });
  }

  /** Also recognises sessions; all other tokens are reviewed by Kubernetes. */
  reviews(kubernetes: Reviews): Reviews {
    return {
      holderOf: (token) => (token.startsWith(sessionMark) ? this.#holderOf(token) : kubernetes.holderOf(token)),
      mayList: (holder, resource, namespace) => kubernetes.mayList(holder, resource, namespace),
    };
  }

  serve(app: FastifyInstance): void {
    app.get(`${oidcPath}/login`, (request, reply) => this.#begin(request, reply));
    app.get<{ Querystring: Record<string, unknown> }>(`${oidcPath}/callback`, (request, reply) =>
      this.#end(request, request.query, reply),
    );
  }

  async #holderOf(token: string): Promise<TokenHolder | null> {
    const content = await this.#options.seal.open("console-session", token.slice(sessionMark.length));
    if (content === null) return null;
    const groups = Array.isArray(content["groups"]) ? content["groups"].map(String) : [];
    return { user: content.sub ?? "", uid: "", groups: [...groups, "system:authenticated"], extra: {} };
  }

  #cookie(name: string, value: string, seconds: number, path: string, site: "Lax" | "Strict"): string {
    const secure = this.#options.url.startsWith("https:") ? "; Secure" : "";
    return `${name}=${value}; Path=${path}; HttpOnly; SameSite=${site}; Max-Age=${seconds}${secure}`;
  }

  async #begin(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { url, seal, failed } = this.#options;
    // Cookies belong to a host, and the issuer sends the browser back to this one.
    if (request.headers.host !== new URL(url).host) return reply.redirect(`${url}${oidcPath}/login`, 303);
    const pending = { state: random(), nonce: random(), verifier: random() };
    const challenge = hash("sha256", pending.verifier, "base64url");
    try {
      const target = await this.#client.authorizationUrl(pending, challenge);
      const sealed = await seal.seal("console-login", { ...pending }, loginSeconds);
      // Lax: the issuer's redirect is a navigation from another site.
      reply.header("set-cookie", this.#cookie(loginCookie, sealed, loginSeconds, oidcPath, "Lax"));
      return reply.redirect(target, 303);
    } catch (cause) {
      failed(cause);
      return this.#back(reply, "unreachable");
    }
  }

  async #end(request: FastifyRequest, query: Record<string, unknown>, reply: FastifyReply): Promise<FastifyReply> {
    const { settings, issuer, seal } = this.#options;
    reply.header("set-cookie", this.#cookie(loginCookie, "", 0, oidcPath, "Lax"));
    const pending = await this.#pending(request, asText(query["state"]));
    if (pending === null) return this.#back(reply, "expired");
    // RFC 9207: this may be another issuer's answer (a mix-up attack).
    if (query["iss"] !== undefined && query["iss"] !== issuer.issuer) return this.#back(reply, "refused");
    const code = asText(query["code"]);
    if (code === "") {
      this.#options.failed(new Error(`the issuer answered the login with ${errorIn(query)}`));
      return this.#back(reply, query["error"] === "access_denied" ? "denied" : "refused");
    }
    try {
      const { user, groups } = holderOf(await this.#client.claimsOf(code, pending), settings, issuer.claims.user);
      const seconds = settings.sessionMinutes * 60;
      const session = sessionMark + (await seal.seal("console-session", { sub: user, groups }, seconds));
      if (session.length > maxTokenChars) return this.#back(reply, "too_many_groups");
      reply.header("set-cookie", this.#cookie(sessionCookie, session, seconds, consolePath, "Strict"));
      return this.#back(reply, null);
    } catch (cause) {
      this.#options.failed(cause);
      return this.#back(reply, cause instanceof HolderRefused ? cause.code : "refused");
    }
  }

  async #pending(request: FastifyRequest, state: string): Promise<PendingLogin | null> {
    const sealed = cookieIn(request, loginCookie);
    const content = sealed === null ? null : await this.#options.seal.open("console-login", sealed);
    if (content === null || state === "" || !isEqual(asText(content["state"]), state)) return null;
    return { state, nonce: asText(content["nonce"]), verifier: asText(content["verifier"]) };
  }

  #back(reply: FastifyReply, failure: LoginFailure | null): FastifyReply {
    return reply.redirect(`${this.#options.url}${consolePath}/${failure === null ? "" : `?login=${failure}`}`, 303);
  }
}

/** An OAuth error code. Anybody could have written the rest of the URL. */
const errorIn = ({ error }: Record<string, unknown>): string =>
  typeof error === "string" && /^[a-z_]{1,64}$/.test(error) ? error : "neither a code nor an error";
