/**
 * Stage around the call to a provider, for policies that require auditing: the record of the call's start is durable
 * before the call is made, and the record of its outcome is durable before a whole answer, or the last bytes of a
 * stream, are sent. Without its last bytes no client takes a stream for complete.
 */
import type { AuditLog } from "../audit/audit.ts";
import type { CallRecord } from "../call/record.ts";
import { type Failure, failure } from "../failure.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { OnRecord } from "./proof.ts";

/** How long a call waits for its audit record to be durable, in milliseconds. */
const waitMs = 1_000;

export const unrecorded = failure(
  "audit_unavailable",
  "Calls to this model must be recorded in the audit log, which can't be written right now. Try again in a moment.",
  {
    retryAfterMs: 1_000,
  },
);

const proof = {} as OnRecord;

async function begin(audit: AuditLog | null, call: CallRecord): Promise<OnRecord | Failure> {
  audit?.write("begun", call);
  return (await (audit?.durable(waitMs) ?? false)) ? proof : unrecorded;
}

/** Resolves at once if the policy doesn't require auditing. */
export function beginOnRecord(
  { config }: Route,
  audit: AuditLog | null,
  call: CallRecord,
): OnRecord | Promise<OnRecord | Failure> {
  return config.audit.required ? begin(audit, call) : proof;
}

/** Returns null if what is held may be sent; otherwise the failure to send instead, after `withheld`. */
export async function endOnRecord(
  audit: AuditLog | null,
  call: CallRecord,
  client: Pick<ClientConnection, "started" | "closed">,
): Promise<Failure | null> {
  audit?.write("call", call);
  if (await (audit?.durable(waitMs) ?? false)) return null;
  // A stream that broke off, or whose client disconnected, has nothing left to withhold.
  if (client.started && (call.broken || client.closed)) return null;
  audit?.write("withheld", call);
  return unrecorded;
}
