/** Copies of calls, recorded apart from calls: logged, charged to nobody, compared. */
import type { Registry } from "prom-client";
import type { CallRecord } from "./call/record.ts";
import { shadowUser } from "./config/ledger.ts";
import type { Comparison, ShadowDrop } from "./config/shadow-report.ts";
import type { ShadowRecorder } from "./pipeline/shadow-call.ts";
import type { ShadowRoom } from "./shadow/room.ts";
import type { ShadowTally } from "./shadow/tally.ts";
import { type Logger, logShadow } from "./telemetry/log.ts";
import { shadowMetrics } from "./telemetry/shadow-metrics.ts";

interface RecordedIn {
  log: Logger;
  registry: Registry;
  /** Upper bounds in seconds, as of calls. */
  durationBuckets: readonly number[];
  /** null if there is none. */
  audit: { write(kind: "call", record: CallRecord): unknown } | null;
  /** The usage ledger. */
  ledger: { record(call: CallRecord): void };
  tally: ShadowTally;
  room: ShadowRoom;
}

/** The ledger's row of a policy's copies names no caller, and no budget counts it. */
const charged = (copy: CallRecord): CallRecord => ({
  ...copy,
  user: shadowUser,
  team: "",
  role: "",
  key: "",
  tags: [],
});

export function shadowRecorder({
  log,
  registry,
  durationBuckets,
  audit,
  ledger,
  tally,
  room,
}: RecordedIn): ShadowRecorder {
  const metrics = shadowMetrics(registry, () => room, durationBuckets);
  return {
    copied(copy: CallRecord, comparison: Comparison | null) {
      audit?.write("call", copy);
      ledger.record(charged(copy));
      metrics.copied(copy, comparison);
      if (comparison === null) return;
      tally.compared(comparison);
      if (copy.statistics) logShadow(log, copy, comparison);
    },
    dropped(policy: string, reason: ShadowDrop) {
      tally.dropped(policy, reason);
      metrics.dropped(policy, reason);
    },
  };
}
