/** What tests of the audit log share. */
import type { AuditWith } from "../../../proxy/audit/audit.ts";
import type { CallRecord } from "../../../proxy/telemetry/record.ts";

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

export function aCall(): CallRecord {
  return {
    requestId: "r",
    startedMs: 0,
    durationMs: 5,
    address: "10.0.0.1",
    method: "POST",
    operation: "openai.chat",
    route: "a/b",
    model: "m",
    target: "t",
    provider: "a/p",
    upstreamModel: "m",
    key: "a/k",
    user: "alice",
    team: "",
    role: "developer",
    status: 200,
    code: null,
    cause: null,
    stream: false,
    broken: false,
    abandoned: false,
    firstByteMs: 1,
    usage: null,
    costNanoUsd: null,
    cache: null,
    semantic: null,
    savedNanoUsd: null,
    masked: null,
    region: "",
    attempts: [],
    dropped: [],
    country: "",
    statistics: true,
    payloads: null,
    audited: null,
  };
}
