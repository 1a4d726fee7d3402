/** Whether the gateway let a call through. Every failure code is listed as one or the other, so a new code must choose. */
import { type Blame, type FailureCode, failures } from "../failure.ts";

export type Decision = "allow" | "deny";

/** The decision of a failure before a provider was asked. A provider that failed denies nothing: the call was let through. */
const byBlame: Readonly<Record<Blame, Decision>> = {
  caller: "deny",
  policy: "deny",
  gateway: "deny",
  provider: "allow",
};

/** Codes whose decision doesn't follow from who is to blame. */
const others: Partial<Record<FailureCode, Decision>> = {
  // The provider's answer, so it was asked.
  upstream_rejected_request: "allow",
  context_length_exceeded: "allow",
  content_filter: "allow",
  // The call was already under way when the gateway stopped or the client left. Nobody denied it.
  draining: "allow",
  client_closed_request: "allow",
  // An internal error can happen at any stage, and denies nothing on purpose.
  internal_error: "allow",
};

/** `asked`: whether a provider was asked. If so, the gateway had let the call through, however it ended. */
export function decisionOf(code: FailureCode | null, asked: boolean): Decision {
  if (code === null || asked) return "allow";
  return others[code] ?? byBlame[failures[code].blame];
}
