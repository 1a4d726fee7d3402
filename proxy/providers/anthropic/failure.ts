/**
 * Anthropic's errors, `{"type": "error", "error": {type, message}}` (https://platform.claude.com/docs/en/api/errors),
 * in an answer or in a stream.
 */

import type { ProviderError, ProviderErrorClass, StreamEvent } from "../../dialects/canonical.ts";
import type { FailureCode } from "../../failure.ts";
import { isObject } from "../../wire/json.ts";
import { errorInAnswer, providerError } from "../errors.ts";
import type { ErrorReply } from "../provider.ts";

interface Found {
  type: string;
  message: string;
}

type Kind = { class: ProviderErrorClass; code: FailureCode };

/** `error.type` → class and code. invalid_request_error says little, since it is also used for other statuses. */
const kinds: Readonly<Record<string, Kind>> = {
  authentication_error: { class: "Unauthorized", code: "upstream_auth_error" },
  permission_error: { class: "Unauthorized", code: "upstream_auth_error" },
  billing_error: { class: "Unauthorized", code: "upstream_auth_error" },
  not_found_error: { class: "NotFound", code: "upstream_model_not_found" },
  request_too_large: { class: "BadRequest", code: "request_too_large" },
  rate_limit_error: { class: "RateLimited", code: "upstream_rate_limited" },
  api_error: { class: "ServerError", code: "upstream_error" },
  timeout_error: { class: "Timeout", code: "upstream_timeout" },
  overloaded_error: { class: "Unavailable", code: "upstream_unavailable" },
};

/** The API has no type for this error, only its message. */
const unpaid = /credit balance is too low/i;

const billing = "The provider account's credit is used up. Ask the platform team to check its billing.";

function errorOf(body: unknown): Found {
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return { type: text(error["type"]), message: text(error["message"]) };
}

function isBilling({ type, message }: Found): boolean {
  return type === "billing_error" || (type === "invalid_request_error" && unpaid.test(message));
}

function kindOf(error: Found): Kind | null {
  if (isBilling(error)) return kinds["billing_error"] ?? null;
  return (Object.hasOwn(kinds, error.type) && kinds[error.type]) || null;
}

export function decodeError(reply: ErrorReply): ProviderError {
  const said = errorOf(reply.body);
  const error = providerError(reply, { ...kindOf(said), message: said.message });
  return isBilling(said) || reply.status === 402 ? { ...error, message: billing } : error;
}

/** An `error` event, sent after the status 200. */
export function streamError(body: unknown): StreamEvent {
  return { kind: "error", error: errorInAnswer(body, decodeError) };
}
