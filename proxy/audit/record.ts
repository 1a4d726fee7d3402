/** What the audit log says of one call. Names are those of the access log; docs/audit.md lists them. */

import type { CallRecord } from "../call/record.ts";
import { callFields } from "../telemetry/log.ts";
import { decisionOf } from "./decision.ts";
import type { Bodies } from "./sealed.ts";

/**
 * begun: a call that may not go unaudited is about to be made. call: it is over, or was refused. withheld: its answer was
 * not given after all, as the record of it was not safe in time.
 */
export type AuditEvent = "begun" | "call" | "withheld";

/** As JSON members without braces. `sealed`: makes of bodies what nobody else can read; null leaves them as they are. */
export function auditMembers(
  event: AuditEvent,
  call: CallRecord,
  nowMs: number,
  sealed: ((bodies: Bodies) => string) | null = null,
): string {
  const decision = event !== "begun" ? decisionOf(call.code, call.attempts.length > 0) : "allow";
  const bodies = event === "call" ? call.audited : null;
  let members = `"type":"${event}","time":"${new Date(nowMs).toISOString()}","decision":"${decision}"`;
  members += callFields({ ...call, payloads: sealed === null ? bodies : null });
  if (event === "withheld") members += `,"sent_bytes":${call.sentBytes}`;
  if (bodies !== null && sealed !== null) members += `,"sealed_bodies":"${sealed(bodies)}"`;
  if (call.role !== "") members += `,"role":${JSON.stringify(call.role)}`;
  if (call.country !== "") members += `,"country":${JSON.stringify(call.country)}`;
  return members;
}
