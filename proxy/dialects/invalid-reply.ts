import type { ProviderError } from "./canonical.ts";

/** The error for a 2xx answer that can't be read. */
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
