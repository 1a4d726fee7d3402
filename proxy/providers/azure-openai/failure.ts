/** Azure's errors: OpenAI's envelope, Azure's gateway's own with numeric codes, or `{"statusCode", "message"}`. */

import type { ProviderError } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";
import { providerError } from "../errors.ts";
import { decodeOpenAiError } from "../openai/failure.ts";
import type { ErrorReply } from "../provider.ts";

export function decodeAzureError(reply: ErrorReply): ProviderError {
  const error = isObject(reply.body) && isObject(reply.body["error"]) ? reply.body["error"] : null;
  const message = typeof error?.["message"] === "string" ? error["message"] : null;
  const inner = isObject(error?.["innererror"]) ? error["innererror"] : null;
  if (error?.["code"] === "content_filter" || inner?.["code"] === "ResponsibleAIPolicyViolation") {
    return providerError(reply, { class: "BadRequest", code: "content_filter", message });
  }
  if (error?.["code"] === "DeploymentNotFound")
    return providerError(reply, { class: "NotFound", code: "upstream_model_not_found" });
  return decodeOpenAiError(reply);
}
