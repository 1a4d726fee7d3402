import { setTimeout as sleep } from "node:timers/promises";

/** For servers of the harness that do something at intervals; a signal ends it early. */
export async function pauseOf(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
