/** Names of errors in other gateways' fallback settings. */

const byName: Readonly<Record<string, string>> = {
  authentication_error: "Unauthorized",
  bad_gateway: "ServerError",
  connection_error: "Unavailable",
  content_filter: "ContentPolicy",
  context_length_exceeded: "ContextLength",
  error: "Unavailable",
  gateway_timeout: "Timeout",
  http_403: "Unauthorized",
  http_429: "RateLimited",
  http_500: "ServerError",
  http_502: "ServerError",
  http_503: "Unavailable",
  http_504: "Timeout",
  internal_server_error: "ServerError",
  overloaded: "Unavailable",
  quota_exceeded: "RateLimited",
  rate_limit: "RateLimited",
  rate_limit_exceeded: "RateLimited",
  server_error: "ServerError",
  service_unavailable: "Unavailable",
  timeout: "Timeout",
  unauthorized: "Unauthorized",
};

/** Accepts names and statuses such as 429. Returns null if there is no counterpart. */
export function failureNamed(name: string): string | null {
  const plain = name.toLowerCase().replaceAll("-", "_");
  const key = /^[0-9]{3}$/.test(plain) ? `http_${plain}` : plain;
  if (Object.hasOwn(byName, key)) return byName[key] ?? null;
  return /^http_5[0-9]{2}$/.test(key) ? "ServerError" : null;
}
