/** Whether the gateway let a call through. Closed: each failure code is on one side, and a new one has to choose. */
import { type Blame, type FailureCode, failures } from "../failure.ts";

export type Decision = "allow" | "deny";

/** What a failure says when no provider was asked. A provider that failed refuses nothing: the call was let through to it. */
const byBlame: Readonly<Record<Blame, Decision>> = {
  caller: "deny",
  policy: "deny",
  gateway: "deny",
  provider: "allow",
};

/** Codes that tell of something else than who is to blame. */
const others: Partial<Record<FailureCode, Decision>> = {
  // Words of the provider, who was asked.
  upstream_rejected_request: "allow",
  context_length_exceeded: "allow",
  content_filter: "allow",
  // Under way already: the gateway went, or the client did. Nobody refused anything.
  draining: "allow",
  client_closed_request: "allow",
  // How far it came, nobody knows; nobody meant to refuse it.
  internal_error: "allow",
};

/** `asked`: a provider was. Then the gateway had let the call through, however it ended. */
export function decisionOf(code: FailureCode | null, asked: boolean): Decision {
  if (code === null || asked) return "allow";
  return others[code] ?? byBlame[failures[code].blame];
}
