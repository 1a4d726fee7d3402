/** fetch through the egress proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY select. */
import { setGlobalProxyFromEnv } from "node:http";
import { type Env, egressOf, urlWithCredentials } from "../proxy/config/egress/egress.ts";

export async function egressFetch(
  address: string | URL,
  options: RequestInit,
  env: Env = process.env,
): Promise<Response> {
  const proxy = egressOf(env).proxyFor(new URL(address));
  if (proxy === null) return fetch(address, options);
  // fetch has no option for a proxy, and Node interprets NO_PROXY differently, so pass it a decision already made.
  const url = urlWithCredentials(proxy);
  const restore = setGlobalProxyFromEnv({ http_proxy: url, https_proxy: url });
  try {
    return await fetch(address, options);
  } finally {
    restore();
  }
}
