/** Calls that the gateway makes for itself: for provider tokens and for token issuers' keys. */
import type { FetchJson } from "./identity/keys.ts";
import type { AuthEnvironment } from "./providers/provider.ts";
import { boundedCall } from "./wire/bounded-call.ts";
import { parseJson } from "./wire/json.ts";
import type { TokenCache } from "./wire/tokens.ts";
import type { Upstreams } from "./wire/upstream.ts";

export function authEnvironment(tokens: TokenCache, upstreams: Upstreams): AuthEnvironment {
  return {
    nowMs: Date.now,
    token: (key, make) => tokens.token(key, make),
    forget: (key) => tokens.forget(key),
    send: (url, { allowPrivate, tls, ...request }) => boundedCall(upstreams, url, request, allowPrivate, tls),
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
