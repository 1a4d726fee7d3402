/** What tests of the audit log share. */
import type { AuditWith } from "../../../proxy/audit/outlet.ts";
import { type CallRecord, newRecord } from "../../../proxy/call/record.ts";

/** A clock and timers as they are, and who had trouble. */
export const timers = (): AuditWith & { troubles: string[] } => ({
  troubles: [],
  nowMs: Date.now,
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
  trouble(sink) {
    this.troubles.push(sink);
  },
});

export const aCall = (): CallRecord => ({
  ...newRecord("r", "POST", 0),
  durationMs: 5,
  address: "10.0.0.1",
  operation: "openai.chat",
  route: "a/b",
  model: "m",
  target: "t",
  provider: "a/p",
  upstreamModel: "m",
  key: "a/k",
  user: "alice",
  role: "developer",
  firstByteMs: 1,
});
