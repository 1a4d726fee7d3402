/** Mistral's errors: flat objects, or FastAPI's `detail`. */

import type { ProviderError } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";
import { providerError } from "../errors.ts";
import type { ErrorReply } from "../provider.ts";

interface Found {
  message: string | null;
  param: string | null;
}

function fromDetail(detail: unknown): Found {
  if (typeof detail === "string") return { message: detail, param: null };
  const first = Array.isArray(detail) ? detail.find(isObject) : undefined;
  if (first === undefined) return { message: null, param: null };
  const loc = Array.isArray(first["loc"]) ? first["loc"].filter((step) => step !== "body").join(".") : null;
  return { message: typeof first["msg"] === "string" ? first["msg"] : null, param: loc };
}

function find(body: unknown): Found {
  if (!isObject(body)) return { message: null, param: null };
  if (body["detail"] !== undefined) return fromDetail(body["detail"]);
  const message = body["message"];
  // The message may be an object with its own detail.
  if (isObject(message)) return fromDetail(message["detail"]);
  return {
    message: typeof message === "string" ? message : null,
    param: typeof body["param"] === "string" ? body["param"] : null,
  };
}

export function decodeMistralError(reply: ErrorReply): ProviderError {
  const error = find(reply.body);
  return providerError(reply, { message: error.message, param: error.param });
}
