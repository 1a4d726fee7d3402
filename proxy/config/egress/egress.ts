/** The HTTP proxy through which connections leave a network, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say. */
import { Buffer } from "node:buffer";
import { KnownNames } from "./known-names.ts";
import { NoProxy } from "./no-proxy.ts";

export interface EgressProxy {
  /** Whether the connection to the proxy itself uses TLS. */
  secure: boolean;
  host: string;
  port: number;
  /** Value of Proxy-Authorization; null for none. A secret. */
  authorization: string | null;
  names: KnownNames;
}

export type Env = Readonly<Record<string, string | undefined>>;

/** A setting that can't be used. The message never has its value, which may hold a password. */
export class EgressSettingError extends Error {
  // How errors of node:util's argument parser begin: the process ends with exit code 2.
  readonly code = "ERR_PARSE_ARGS_EGRESS";
}

const firstOf = (env: Env, name: string): string => env[name] || env[name.toLowerCase()] || "";

export const portOf = ({ port, protocol }: URL): number =>
  port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);

function decoded(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new EgressSettingError(`${name}: write special characters of user and password as %XX`);
  }
}

function authorizationOf(url: URL, env: Env, name: string): string | null {
  const user = env["SLUICE_EGRESS_PROXY_USERNAME"] || decoded(url.username, name);
  const password = env["SLUICE_EGRESS_PROXY_PASSWORD"] || decoded(url.password, name);
  if (user === "" && password === "") return null;
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

function proxyIn(env: Env, name: string, names: KnownNames): EgressProxy | null {
  const text = firstOf(env, name).trim();
  if (text === "") return null;
  const url = URL.parse(/^[a-z0-9+.-]+:\/\//i.test(text) ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "")
    throw new EgressSettingError(`${name} must be an address such as http://proxy.example.com:3128`);
  return {
    secure: url.protocol === "https:",
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: portOf(url),
    authorization: authorizationOf(url, env, name),
    names,
  };
}

/** The proxy for logs, without its credentials. */
export const proxyName = ({ secure, host, port }: Pick<EgressProxy, "secure" | "host" | "port">): string =>
  `${secure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;

/** The proxy for programs that take a URL. Holds its password: not for logs. */
export function urlWithCredentials(proxy: EgressProxy): string {
  if (proxy.authorization === null) return proxyName(proxy);
  const [user = "", ...password] = Buffer.from(proxy.authorization.slice("Basic ".length), "base64")
    .toString()
    .split(":");
  return proxyName(proxy).replace("://", `://${encodeURIComponent(user)}:${encodeURIComponent(password.join(":"))}@`);
}

export class Egress {
  readonly #https: EgressProxy | null;
  readonly #http: EgressProxy | null;
  readonly #noProxy: NoProxy;

  /** `https`, `http`: the proxy for URLs of this scheme; null for none. */
  constructor(https: EgressProxy | null, http: EgressProxy | null, noProxy: NoProxy) {
    this.#https = https;
    this.#http = http;
    this.#noProxy = noProxy;
  }

  /** The proxy for a URL; null if it is reached directly. */
  proxyFor(url: URL): EgressProxy | null {
    const proxy = url.protocol === "https:" ? this.#https : this.#http;
    return proxy === null || this.#noProxy.covers(url.hostname, portOf(url)) ? null : proxy;
  }

  /** What to log at the start; null without a proxy. */
  summary(): { https?: string; http?: string; unreadable?: readonly string[] } | null {
    if (this.#https === null && this.#http === null) return null;
    const { unreadable } = this.#noProxy;
    return {
      ...(this.#https === null ? {} : { https: proxyName(this.#https) }),
      ...(this.#http === null ? {} : { http: proxyName(this.#http) }),
      ...(unreadable.length === 0 ? {} : { unreadable }),
    };
  }
}

/** No proxy for anything. */
export const directEgress = new Egress(null, null, new NoProxy(""));

/** Throws an EgressSettingError. Names in lower case count where those in upper case are not set. */
export function egressOf(env: Env): Egress {
  const names = new KnownNames();
  const [https, http] = [proxyIn(env, "HTTPS_PROXY", names), proxyIn(env, "HTTP_PROXY", names)];
  return https === null && http === null
    ? directEgress
    : new Egress(https, http, new NoProxy(firstOf(env, "NO_PROXY")));
}
