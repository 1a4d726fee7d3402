/** Stage: whether what a request says is wanted. The patterns are those of the policy, and run in linear time. */
import { Buffer } from "node:buffer";
import { type Failure, failure } from "../failure.ts";
import { lastUserText, textsOf } from "../guard/texts.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { Identity } from "./authenticate.ts";
import type { Received } from "./receive.ts";

const tooLarge = (maxBytes: number): Failure =>
  failure("prompt_too_large", `The texts of this request are longer than the ${maxBytes} bytes that its policy allows. Shorten them.`);
/** Neither the pattern nor what it found is told: that would be a manual. */
const denied = failure("prompt_denied", "The policy of this model does not allow what this request says.");

export function guarded({ config, guard }: Route, { json }: Received, identity: Identity): Failure | null {
  if (guard === null || config.guard === null) return null;
  const { exemptRoles, maxPromptBytes } = config.guard;
  if (!identity.anonymous && exemptRoles.includes(identity.key.role)) return null;
  let bytes = 0;
  for (const text of textsOf(json)) {
    bytes += Buffer.byteLength(text);
    if (maxPromptBytes !== null && bytes > maxPromptBytes) return tooLarge(maxPromptBytes);
    if (guard.deny.some((pattern) => pattern.test(text))) return denied;
  }
  if (guard.allow === null) return null;
  const last = lastUserText(json);
  return guard.allow.some((pattern) => pattern.test(last)) ? null : denied;
}
