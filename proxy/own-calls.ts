/** Calls that the gateway makes for itself: for provider tokens and for token issuers' keys. */
import { readFile } from "node:fs/promises";
import type { Ambient } from "./cloud/ambient.ts";
import { localCall } from "./cloud/local-call.ts";
import type { FetchJson } from "./identity/keys.ts";
import type { AuthEnvironment, CloudCredentials } from "./providers/provider.ts";
import { boundedCall } from "./wire/bounded-call.ts";
import { parseJson } from "./wire/json.ts";
import type { TokenCache } from "./wire/tokens.ts";
import type { Upstreams } from "./wire/upstream.ts";

export function authEnvironment(tokens: TokenCache, upstreams: Upstreams, cloud: CloudCredentials): AuthEnvironment {
  return {
    nowMs: Date.now,
    token: (key, make) => tokens.token(key, make),
    forget: (key) => tokens.forget(key),
    cloud,
    send: (url, { allowPrivate, tls, ...request }) => boundedCall(upstreams, url, request, allowPrivate, tls),
  };
}

/**
 * The Pod's surroundings. Token services may be at private addresses, such as VPC endpoints: their addresses come from
 * the cloud and the Pod's environment, never from an object.
 */
export function ambientOf(upstreams: Upstreams, env: Ambient["env"], metadata: boolean): Ambient {
  return {
    env,
    metadata,
    nowMs: Date.now,
    readFile: (path) => readFile(path, "utf8"),
    send: (url, request) => boundedCall(upstreams, url, request, true),
    local: localCall,
  };
}

/** Applies the same address checks as calls to providers, and follows no redirects. */
export function fetchJson(upstreams: Upstreams): FetchJson {
  return async (url, { allowPrivateEndpoint, ca }) => {
    const request = { method: "GET", headers: { accept: "application/json" }, body: null } as const;
    const tls = ca === null ? null : { ca, serverName: null, client: null };
    const { status, body } = await boundedCall(upstreams, url, request, allowPrivateEndpoint, tls);
    if (status !== 200) throw new Error(`${new URL(url).host} answered ${status}`);
    return parseJson(body);
  };
}
