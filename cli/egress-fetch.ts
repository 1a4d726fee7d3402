/** fetch, by the egress proxy where HTTPS_PROXY, HTTP_PROXY and NO_PROXY say so. */
import { setGlobalProxyFromEnv } from "node:http";
import { type Env, egressOf, urlWithCredentials } from "../proxy/config/egress/egress.ts";

export async function egressFetch(
  address: string | URL,
  options: RequestInit,
  env: Env = process.env,
): Promise<Response> {
  const proxy = egressOf(env).proxyFor(new URL(address));
  if (proxy === null) return fetch(address, options);
  // fetch itself takes no proxy, and Node reads NO_PROXY by rules of its own: here it is decided already.
  const url = urlWithCredentials(proxy);
  const restore = setGlobalProxyFromEnv({ http_proxy: url, https_proxy: url });
  try {
    return await fetch(address, options);
  } finally {
    restore();
  }
}
