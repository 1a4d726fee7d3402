/** How failures look to the SDKs: OpenAI's envelope, and Anthropic's. */
import { failures } from "../failure.ts";
import type { Surface } from "./dialect.ts";

/** Anthropic's error types by status (https://docs.anthropic.com/en/api/errors). */
const anthropicTypes: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
};

const openai: Surface = {
  errorBody: (failure) => ({ error: { message: failure.message, type: failures[failure.code].type, param: failure.param, code: failure.code } }),
  streamError: (failure, requestId) => `data: ${JSON.stringify(openai.errorBody(failure, requestId))}\n\n`,
};

const anthropic: Surface = {
  errorBody: (failure, requestId) => ({
    type: "error",
    error: { type: anthropicTypes[failures[failure.code].status] ?? "api_error", message: failure.message, code: failure.code },
    request_id: requestId,
  }),
  streamError: (failure, requestId) => `event: error\ndata: ${JSON.stringify(anthropic.errorBody(failure, requestId))}\n\n`,
};

export const surfaces: Readonly<Record<"openai" | "anthropic", Surface>> = { openai, anthropic };
