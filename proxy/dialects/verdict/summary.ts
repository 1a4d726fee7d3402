/** Recognises answers that should have a summary of a conversation and have none. Pure. */
import { Buffer } from "node:buffer";
import { isObject, jsonIn } from "../../wire/json.ts";
import type { ProviderError } from "../canonical.ts";
import { lacksSummary } from "../openai-responses/compaction.ts";

/** Classed as BadRequest: it says nothing about the provider's health, and another answer would be as long. */
export const noSummary: ProviderError = {
  class: "BadRequest",
  code: "upstream_rejected_request",
  message:
    "The model gave no whole summary of the conversation. Send a shorter one, allow longer answers, or choose another model.",
  param: null,
  retryAfterMs: null,
  upstreamStatus: 200,
};

export function isWithoutSummary(body: Uint8Array | string): boolean {
  const response = jsonIn(typeof body === "string" ? body : Buffer.from(body).toString("utf8"));
  return isObject(response) && lacksSummary(response);
}
