/**
 * Stage, around the call to a provider, where a policy lets no call go unaudited: a record that it begins is safe before
 * it is made, and the record of how it ended is safe before a whole answer is given. A stream is on its way to the
 * client by then, so its end waits for nothing.
 */
import type { AuditLog } from "../audit/audit.ts";
import { type Failure, failure } from "../failure.ts";
import type { CallRecord } from "../telemetry/record.ts";

/** How long a call waits for its audit record to be safe, in milliseconds. */
const waitMs = 1_000;

const refused = failure("audit_unavailable", "Calls of this model must be on record, and no record can be kept right now. Try again in a moment.", {
  retryAfterMs: 1_000,
});

/** null: it may be made. */
export async function beginOnRecord(audit: AuditLog | null, call: CallRecord): Promise<Failure | null> {
  audit?.write("begun", call);
  return (await (audit?.durable(waitMs) ?? false)) ? null : refused;
}

/** null: the answer may be given. Otherwise what to give in its place, after `withheld`. */
export async function endOnRecord(audit: AuditLog | null, call: CallRecord): Promise<Failure | null> {
  audit?.write("call", call);
  if (await (audit?.durable(waitMs) ?? false)) return null;
  audit?.write("withheld", call);
  return refused;
}
