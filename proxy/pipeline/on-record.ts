/**
 * Stage, around the call to a provider, where a policy lets no call go unaudited: a record that it begins is safe before
 * it is made, and the record of how it ended is safe before a whole answer is given, and before a stream comes to its
 * proper end: its last bytes wait, without which no client takes it for complete.
 */
import type { AuditLog } from "../audit/audit.ts";
import type { CallRecord } from "../call/record.ts";
import { type Failure, failure } from "../failure.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { OnRecord } from "./proof.ts";

/** How long a call waits for its audit record to be safe, in milliseconds. */
const waitMs = 1_000;

const refused = failure(
  "audit_unavailable",
  "Calls of this model must be on record, and no record can be kept right now. Try again in a moment.",
  {
    retryAfterMs: 1_000,
  },
);

const proof = {} as OnRecord;

async function begin(audit: AuditLog | null, call: CallRecord): Promise<OnRecord | Failure> {
  audit?.write("begun", call);
  return (await (audit?.durable(waitMs) ?? false)) ? proof : refused;
}

/** At once where the policy doesn't require it. */
export function beginOnRecord(
  { config }: Route,
  audit: AuditLog | null,
  call: CallRecord,
): OnRecord | Promise<OnRecord | Failure> {
  return config.audit.required ? begin(audit, call) : proof;
}

/** null: what is held back may be given. Otherwise what to give in its place, after `withheld`. */
export async function endOnRecord(
  audit: AuditLog | null,
  call: CallRecord,
  client: Pick<ClientConnection, "started" | "closed">,
): Promise<Failure | null> {
  audit?.write("call", call);
  if (await (audit?.durable(waitMs) ?? false)) return null;
  // Of a stream that broke off, or that nobody takes any more, there is nothing left to withhold.
  if (client.started && (call.broken || client.closed)) return null;
  audit?.write("withheld", call);
  return refused;
}
