/** Whether a request's texts are allowed by a policy's patterns. Pure. */
import { Buffer } from "node:buffer";
import type { RE2JS } from "re2js";
import { type Failure, failure } from "../failure.ts";
import type { JsonObject } from "../wire/json.ts";
import { readable } from "./fold.ts";
import { hasTokens, lastUserTexts, textsOf } from "./texts.ts";

export interface GuardPatterns {
  deny: readonly RE2JS[];
  /** null: anything may be said that is not denied. */
  allow: readonly RE2JS[] | null;
}

const tooLarge = (maxBytes: number): Failure =>
  failure(
    "prompt_too_large",
    `The texts of this request are longer than the ${maxBytes} bytes that its policy allows. Shorten them.`,
  );
/** Reveals neither the pattern nor the match: that would show how to evade it. */
const denied = failure("prompt_denied", "The policy of this model does not allow what this request says.");

const unreadable = failure(
  "prompt_unreadable",
  "The policy of this model looks at what requests say, and a prompt of token numbers can't be read. Send it as text.",
);

/**
 * Matches the text as written and as a person reads it, so that unusual spaces, invisible characters and escapes hide
 * nothing.
 */
function matches(patterns: readonly RE2JS[], text: string): boolean {
  if (patterns.length === 0) return false;
  const plain = readable(text);
  return patterns.some((pattern) => pattern.test(text) || (plain !== text && pattern.test(plain)));
}

/** Checks all text in the request. */
function said(json: JsonObject, deny: readonly RE2JS[], maxPromptBytes: number | null): Failure | null {
  let bytes = 0;
  for (const { text, again } of textsOf(json)) {
    if (!again) bytes += Buffer.byteLength(text);
    if (maxPromptBytes !== null && bytes > maxPromptBytes) return tooLarge(maxPromptBytes);
    if (matches(deny, text)) return denied;
  }
  return null;
}

/** `member`: the one that the request's format reads. Returns null if the request is allowed. */
export function judgeTexts(
  json: JsonObject,
  { deny, allow }: GuardPatterns,
  maxPromptBytes: number | null,
  member: string,
): Failure | null {
  if (deny.length === 0 && allow === null && maxPromptBytes === null) return null;
  if (hasTokens(json)) return unreadable;
  const refused = said(json, deny, maxPromptBytes);
  if (refused !== null || allow === null) return refused;
  return lastUserTexts(json, member).every((last) => matches(allow, last)) ? null : denied;
}
