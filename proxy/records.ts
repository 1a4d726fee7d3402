/** Finished calls, counted and logged a few at a time. */

import type { CallRecord } from "./call/record.ts";
import { systemClock } from "./clock.ts";
import { Batched } from "./telemetry/batched.ts";
import { isLogged, type Logger, logCall } from "./telemetry/log.ts";

export function recordsOf(log: Logger, recorders: readonly { record(call: CallRecord): void }[]): Batched<CallRecord> {
  return new Batched({
    each(call) {
      for (const recorder of recorders) recorder.record(call);
      if (isLogged(call)) logCall(log, call);
    },
    failed: (cause) => log.error({ err: String(cause) }, "a call was not recorded"),
    atOnce: ({ payloads, audited }) => payloads !== null || audited !== null,
    after: systemClock.after,
  });
}
