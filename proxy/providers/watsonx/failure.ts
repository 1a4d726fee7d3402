/** watsonx's errors: `{"errors": [{code, message}], "trace", "status_code"}` (https://cloud.ibm.com/apidocs/watsonx-ai#error-handling). */

import type { ProviderError } from "../../dialects/canonical.ts";
import { isObject, objectsIn } from "../../wire/json.ts";
import { providerError } from "../errors.ts";
import type { ErrorReply } from "../provider.ts";

export function firstError(body: unknown): { code: string; message: string } | null {
  const errors = isObject(body) ? objectsIn(body["errors"]) : [];
  const [first] = errors;
  if (first === undefined) return null;
  const messages = errors.map((error) => error["message"]).filter((message) => typeof message === "string");
  return { code: typeof first["code"] === "string" ? first["code"] : "", message: messages.join(" ") };
}

const daySeconds = 86_400;

/** `x-requests-limit-reset`: seconds to wait, or the Unix time in seconds to wait for. */
function resetMs(reply: ErrorReply): number | null {
  const header = reply.headers["x-requests-limit-reset"];
  const seconds = typeof header === "string" && header.trim() !== "" ? Number(header) : Number.NaN;
  if (!Number.isFinite(seconds) || seconds < 0) return null;
  return seconds <= daySeconds ? Math.round(seconds * 1000) : Math.max(0, seconds * 1000 - reply.nowMs);
}

export function decodeWatsonxError(reply: ErrorReply): ProviderError {
  const first = firstError(reply.body);
  const message = first?.message ?? null;
  if (first?.code === "model_not_supported" || first?.code === "model_not_found") {
    return providerError(reply, { class: "NotFound", code: "upstream_model_not_found", message });
  }
  if (
    reply.status === 400 &&
    /(maximum|max).{0,40}(sequence|context|input) (length|tokens)|too many (input )?tokens/i.test(message ?? "")
  ) {
    return providerError(reply, { class: "BadRequest", code: "context_length_exceeded", message });
  }
  const error = providerError(reply, { message });
  return error.class === "RateLimited" && error.retryAfterMs === null
    ? { ...error, retryAfterMs: resetMs(reply) }
    : error;
}
