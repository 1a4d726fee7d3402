/** Failures of an attempt other than an error from the provider. */
import type { ProviderError } from "../dialects/canonical.ts";
import type { UpstreamErrorKind } from "../wire/upstream.ts";
import { asProviderError } from "./provider-error.ts";

export const connectionErrors: Readonly<Record<UpstreamErrorKind, ProviderError>> = {
  connect: asProviderError(
    "Unavailable",
    "upstream_unreachable",
    "The provider could not be reached. Try again later.",
  ),
  connectTimeout: asProviderError(
    "Timeout",
    "upstream_timeout",
    "No connection to the provider could be made in time. Try again later.",
  ),
  writeTimeout: asProviderError(
    "Timeout",
    "upstream_timeout",
    "The provider stopped taking the request. Try again later.",
  ),
  reset: asProviderError(
    "Unavailable",
    "upstream_unreachable",
    "The connection to the provider broke. Try again later.",
  ),
  aborted: asProviderError("Unavailable", "upstream_unreachable", "The call to the provider was broken off."),
  undecodable: asProviderError(
    "ServerError",
    "upstream_invalid_response",
    "The provider's answer is compressed in a form that can't be read.",
  ),
  refused: asProviderError(
    "Unavailable",
    "upstream_unreachable",
    "The provider's endpoint leads to an address that is not allowed. Ask the platform team to check it.",
  ),
};

export const lateAnswer = asProviderError(
  "Timeout",
  "upstream_timeout",
  "The provider did not answer in time. Try again later.",
);
export const outOfTime: ProviderError = {
  ...asProviderError(
    "Timeout",
    "upstream_timeout",
    "The time for this call ran out before the provider answered. Allow more time, or try again later.",
  ),
  fault: "caller",
};
export const largeAnswer: ProviderError = {
  ...asProviderError(
    "ServerError",
    "upstream_invalid_response",
    "The provider's answer is larger than the gateway accepts. Ask for less at a time.",
  ),
  fault: "caller",
};
export const truncated = asProviderError(
  "Unavailable",
  "upstream_stream_truncated",
  "The provider's stream ended before the answer was complete.",
);
export const notAStream = asProviderError(
  "ServerError",
  "upstream_invalid_response",
  "The provider did not answer with a stream.",
);

/** Classed as BadRequest so that no other target is tried: there is no time left. */
export const goingDown = asProviderError("BadRequest", "draining", "The gateway is being restarted. Try again.");
