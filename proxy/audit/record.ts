/** What the audit log says of one call. Names are those of the access log; docs/audit.md lists them. */
import { callFields } from "../telemetry/log.ts";
import type { CallRecord } from "../telemetry/record.ts";

/** begun: a call that may not go unaudited is about to be made. call: it is over, or was refused. */
export type AuditEvent = "begun" | "call";

/** By the gateway: no provider was asked. */
const refused = ({ code, attempts, status }: CallRecord): boolean =>
  code !== null && code !== "client_closed_request" && attempts.length === 0 && (status < 500 || code === "state_unavailable" || code === "audit_unavailable");

/** As JSON members without braces. */
export function auditMembers(event: AuditEvent, call: CallRecord, nowMs: number): string {
  const decision = event === "call" && refused(call) ? "deny" : "allow";
  let members = `"type":"${event}","time":"${new Date(nowMs).toISOString()}","decision":"${decision}"`;
  members += callFields({ ...call, payloads: call.audited });
  if (call.role !== "") members += `,"role":${JSON.stringify(call.role)}`;
  if (call.country !== "") members += `,"country":${JSON.stringify(call.country)}`;
  return members;
}
