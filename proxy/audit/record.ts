/** The audit record of one call. Field names are those of the access log; docs/audit.md lists them. */

import type { CallRecord } from "../call/record.ts";
import { callFields } from "../telemetry/call-fields.ts";
import { decisionOf } from "./decision.ts";
import type { Bodies } from "./sealed.ts";

/**
 * begun: a call of a policy with `required` is about to be made. call: it ended, or was refused. withheld: its answer was
 * not delivered, because its record was not safe in time.
 */
export type AuditEvent = "begun" | "call" | "withheld";

/** JSON members without braces. `sealed` encrypts bodies; null leaves them readable. */
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
