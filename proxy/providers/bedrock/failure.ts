/**
 * Bedrock's errors
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors), in
 * an answer or in a stream.
 */

import type { ProviderError, ProviderErrorClass, StreamEvent } from "../../dialects/canonical.ts";
import type { FailureCode } from "../../failure.ts";
import { isObject } from "../../wire/json.ts";
import { providerError } from "../errors.ts";
import type { ErrorReply } from "../provider.ts";

type Kind = { class: ProviderErrorClass; code: FailureCode };

const rejected: Kind = { class: "BadRequest", code: "upstream_rejected_request" };
const unauthorized: Kind = { class: "Unauthorized", code: "upstream_auth_error" };
const missing: Kind = { class: "NotFound", code: "upstream_model_not_found" };
const limited: Kind = { class: "RateLimited", code: "upstream_rate_limited" };
const broken: Kind = { class: "ServerError", code: "upstream_error" };

/** Exception names in lower case, since they begin with a small letter in a stream. */
const kinds: Readonly<Record<string, Kind>> = {
  validationexception: rejected,
  accessdeniedexception: unauthorized,
  // From AWS's front end, which checks the signature
  // (https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html).
  unrecognizedclientexception: unauthorized,
  invalidsignatureexception: unauthorized,
  incompletesignatureexception: unauthorized,
  incompletesignature: unauthorized,
  expiredtokenexception: unauthorized,
  missingauthenticationtokenexception: unauthorized,
  missingauthenticationtoken: unauthorized,
  resourcenotfoundexception: missing,
  modeltimeoutexception: { class: "Timeout", code: "upstream_timeout" },
  modelerrorexception: broken,
  modelstreamerrorexception: broken,
  throttlingexception: limited,
  modelnotreadyexception: limited,
  servicequotaexceededexception: limited,
  internalserverexception: broken,
  serviceunavailableexception: { class: "Unavailable", code: "upstream_unavailable" },
};

/**
 * ValidationException also covers this case, which only the message shows, and prompts that are too long, which `blame`
 * recognises.
 */
const noSuchModel =
  /model identifier is invalid|on-demand throughput isn.t supported|model is not supported|reached the end of its life/i;

function kindOf(type: string, message: string): Kind | null {
  const kind = Object.hasOwn(kinds, type) ? (kinds[type] ?? null) : null;
  if (kind !== rejected) return kind;
  return noSuchModel.test(message) ? missing : rejected;
}

/** `ThrottlingException:http://…` and `com.amazon.coral.service#ThrottlingException` → throttlingexception. */
function typeName(raw: string): string {
  const [name = ""] = raw.split(":", 1);
  return name
    .slice(name.lastIndexOf("#") + 1)
    .trim()
    .toLowerCase();
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function messageOf(body: unknown): string {
  if (typeof body === "string") return body;
  return isObject(body) ? text(body["message"]) || text(body["Message"]) : "";
}

export function decodeError(reply: ErrorReply): ProviderError {
  const header = reply.headers["x-amzn-errortype"];
  const inBody = isObject(reply.body) ? text(reply.body["__type"]) : "";
  const message = isObject(reply.body) ? messageOf(reply.body) : "";
  const kind = kindOf(typeName(text(header) || inBody), message);
  // 424 is an error of the model behind the service, not of the request.
  return providerError(reply, { ...(kind ?? (reply.status === 424 ? broken : {})), message });
}

/** An exception in the middle of a stream. */
export function streamError(type: string, payload: unknown): StreamEvent {
  const message = messageOf(payload);
  const kind = kindOf(typeName(type), message) ?? broken;
  const body = isObject(payload) ? payload : {};
  const error = providerError({ status: 200, headers: {}, body, nowMs: 0 }, { ...kind, message });
  return { kind: "error", error };
}
