/** Waiting for a server by asking it, never by sleeping for long enough. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Child } from "./child.ts";

const askEveryMs = 50;

/** `ready` may throw as long as the server isn't there; its last error is shown if it never comes. */
export async function untilReady(child: Child, ready: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = "it answered, and was not ready";
  while (performance.now() < deadline) {
    if (!child.running()) throw new Error(`${child.name} ended while it was starting; ${child.tail()}`);
    try {
      if (await ready()) return;
    } catch (error) {
      last = error;
    }
    await sleep(askEveryMs);
  }
  await child.end("SIGKILL");
  throw new Error(`${child.name} was not ready after ${timeoutMs} ms (${last}); ${child.tail()}`, { cause: last });
}
