/** Waiting for a condition by polling, with a deadline and the last reason why it did not hold. */
import { setTimeout as sleep } from "node:timers/promises";

/** `check` throws as long as the condition does not hold; what it returns in the end is returned. */
export async function until<T>(
  what: string,
  check: () => Promise<T> | T,
  timeoutMs = 60_000,
  everyMs = 50,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (cause) {
      if (performance.now() >= deadline)
        throw new Error(
          `not within ${timeoutMs} ms: ${what}; last: ${cause instanceof Error ? cause.message : String(cause)}`,
          { cause },
        );
      await sleep(everyMs);
    }
  }
}
