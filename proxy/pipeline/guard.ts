/** Stage: checks a request's text against the policy's patterns, which run in linear time. */

import { Buffer } from "node:buffer";
import type { Identity } from "../call/identity.ts";
import type { Received } from "../call/received.ts";
import { requiredMember } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { type Failure, failure } from "../failure.ts";
import { readable } from "../guard/fold.ts";
import { hasTokens, lastUserTexts, textsOf } from "../guard/texts.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { JsonObject } from "../wire/json.ts";

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

type Patterns = NonNullable<Route["guard"]>;

/**
 * Matches the text as written and as a person reads it, so that unusual spaces, invisible characters and escapes hide
 * nothing.
 */
function matches(patterns: Patterns["deny"], text: string): boolean {
  if (patterns.length === 0) return false;
  const plain = readable(text);
  return patterns.some((pattern) => pattern.test(text) || (plain !== text && pattern.test(plain)));
}

/** Checks all text in the request. */
function said(json: JsonObject, { deny }: Patterns, maxPromptBytes: number | null): Failure | null {
  let bytes = 0;
  for (const { text, again } of textsOf(json)) {
    if (!again) bytes += Buffer.byteLength(text);
    if (maxPromptBytes !== null && bytes > maxPromptBytes) return tooLarge(maxPromptBytes);
    if (matches(deny, text)) return denied;
  }
  return null;
}

export function denyByGuard(
  { config, guard }: Route,
  { json }: Received,
  format: WireFormat,
  identity: Identity,
): Failure | null {
  if (guard === null || config.guard === null) return null;
  const { exemptRoles, maxPromptBytes } = config.guard;
  if (!identity.anonymous && exemptRoles.includes(identity.key.role)) return null;
  const { deny, allow } = guard;
  if (deny.length === 0 && allow === null && maxPromptBytes === null) return null;
  if (hasTokens(json)) return unreadable;
  const refused = said(json, guard, maxPromptBytes);
  if (refused !== null || allow === null) return refused;
  return lastUserTexts(json, requiredMember[format]).every((last) => matches(allow, last)) ? null : denied;
}
