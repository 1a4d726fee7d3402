/** How failures look to the official SDKs, before and after the first byte. */

import { type Failure, failures, httpStatusOf } from "../failure.ts";
import type { JsonObject } from "../wire/json.ts";
import type { Surface, SurfaceName } from "./dialect.ts";

/**
 * The provider's own error, if the request passed through: when the provider refused the request, clients rely on its
 * code to fix it.
 */
function providerMembers({ code, theirs }: Failure): { own: JsonObject; details: JsonObject } {
  if (theirs === undefined) return { own: {}, details: {} };
  const { code: theirCode, type, param, requestId, details } = theirs;
  const provider = given({ code: theirCode, type, param, request_id: requestId });
  const more = { ...details, ...(Object.keys(provider).length > 0 ? { provider } : {}) };
  if (code !== "upstream_rejected_request") return { own: {}, details: more };
  // A numeric code only repeats the status.
  return { own: given({ code: /\D/.test(theirCode ?? "") ? theirCode : null, type, param }), details: more };
}

function given(members: Record<string, string | null>): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));
}

function openAiError(failure: Failure): JsonObject {
  const { own, details } = providerMembers(failure);
  const { code, message, param } = failure;
  return { error: { ...details, message, type: failures[code].type, param, code, ...own } };
}

/** `{"error": {…}}`. In a stream, the SDK raises on any chunk with this member (openai-node, core/streaming). */
const openai: Surface = {
  errorBody: openAiError,
  streamError: (failure) => `data: ${JSON.stringify(openAiError(failure))}\n\n`,
};

/** The bytes of a file. */
const file: Surface = { errorBody: openAiError, streamError: () => "" };

/**
 * A stream of Responses reports its failure by events of its own
 * (https://platform.openai.com/docs/api-reference/responses-streaming/error). Some clients read only `response.failed`,
 * the SDK raises on `error`.
 */
function responsesError(failure: Failure, requestId: string): string {
  const { error } = openAiError(failure) as { error: JsonObject };
  const { code, message, param } = error;
  const response = { id: requestId, object: "response", status: "failed", output: [], error: { code, message } };
  const frame = (event: JsonObject): string => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`;
  return (
    frame({ type: "response.failed", sequence_number: 0, response }) +
    frame({ type: "error", sequence_number: 0, code, message, param: param ?? null, error })
  );
}

const responses: Surface = { errorBody: openAiError, streamError: responsesError };

/**
 * https://platform.claude.com/docs/en/api/errors. Statuses that Anthropic doesn't use become invalid_request_error
 * below 500, otherwise api_error.
 */
const anthropicTypes: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
  504: "timeout_error",
  529: "overloaded_error",
};

function anthropicError(failure: Failure, requestId: string): JsonObject {
  const status = httpStatusOf(failure);
  const type = anthropicTypes[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
  const { details } = providerMembers(failure);
  return { type: "error", error: { ...details, type, message: failure.message }, request_id: requestId };
}

const anthropic: Surface = {
  errorBody: anthropicError,
  streamError: (failure, requestId) => `event: error\ndata: ${JSON.stringify(anthropicError(failure, requestId))}\n\n`,
};

export const surfaces: Record<SurfaceName, Surface> = { openai, responses, anthropic, file };

/** The surface for an unknown path: the one whose SDK would request it. */
export const surfaceOf = (path: string): Surface => (path.endsWith("/messages") ? anthropic : openai);
