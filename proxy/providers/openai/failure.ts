/** OpenAI's error envelope, which most compatible servers use too: `{"error": {message, type, param, code}}`. */

import type { ProviderError } from "../../dialects/canonical.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";
import { providerError } from "../errors.ts";
import type { ErrorReply } from "../provider.ts";

/** The object that holds message and code: in an envelope, in an array of one (Gemini's compatible endpoint), or flat (vLLM). */
function errorObject(body: unknown): JsonObject | null {
  const outer = Array.isArray(body) ? body[0] : body;
  if (!isObject(outer)) return null;
  if (isObject(outer["error"])) return outer["error"];
  if (typeof outer["error"] === "string") return { message: outer["error"] };
  return outer;
}

const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

export function decodeOpenAiError(reply: ErrorReply): ProviderError {
  const error = errorObject(reply.body);
  const code = text(error?.["code"]) ?? text(error?.["type"]);
  const message = text(error?.["message"]);
  const param = text(error?.["param"]);
  if (code === "context_length_exceeded") return providerError(reply, { class: "BadRequest", code, message, param });
  if (code === "content_filter") return providerError(reply, { class: "BadRequest", code, message, param });
  if (code === "insufficient_quota")
    return providerError(reply, {
      class: "RateLimited",
      code: "upstream_rate_limited",
      fault: "provider",
      message: "The provider account's quota is used up. Ask the platform team to check its billing.",
    });
  return providerError(reply, { message, param });
}
