import type { ProviderError } from "./canonical.ts";

/** A 2xx answer that is none. */
export function invalidReply(message = "The provider's answer could not be read."): ProviderError {
  return {
    class: "ServerError",
    code: "upstream_invalid_response",
    message,
    param: null,
    retryAfterMs: null,
    upstreamStatus: 200,
  };
}
