/** Recognises answers that the provider's content filter withheld or cut off, in the caller's format. Pure. */
import { Buffer } from "node:buffer";
import { isObject, type JsonObject, jsonIn, objectsIn } from "../../wire/json.ts";
import type { ProviderError } from "../canonical.ts";
import { usualBytes, usualSpelling } from "./spelling.ts";

/** Classed as BadRequest: it says nothing about the provider's health. */
export const withheld: ProviderError = {
  class: "BadRequest",
  code: "content_filter",
  message: "The provider's content filter withheld the answer.",
  param: null,
  retryAfterMs: null,
  upstreamStatus: 200,
};

/** In OpenAI's formats, and Anthropic's stop reason. */
const words = ["content_filter", "refusal"].map((word) => Buffer.from(`"${word}"`));

function isFiltered(body: JsonObject): boolean {
  const choices = objectsIn(body["choices"]);
  if (choices.length > 0) return choices.every((choice) => choice["finish_reason"] === "content_filter");
  const { incomplete_details: details } = body;
  return body["stop_reason"] === "refusal" || (isObject(details) && details["reason"] === "content_filter");
}

/** Whether a whole answer was withheld: in all of its choices. Most answers need no parsing. */
export function isWithheld(body: Uint8Array | string): boolean {
  const bytes = usualBytes(
    typeof body === "string" ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length),
  );
  if (!words.some((word) => bytes.includes(word))) return false;
  const parsed = jsonIn(bytes.toString("utf8"));
  return isObject(parsed) && isFiltered(parsed);
}

const reasons = /"finish_reason" ?: ?"content_filter"|"stop_reason" ?: ?"refusal"|"reason" ?: ?"content_filter"/;

/** Whether a stream without any content ended because of the filter. `held`: the stream's text. */
export const isWithheldStream = (held: string): boolean => reasons.test(usualSpelling(held));
