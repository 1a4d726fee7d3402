/**
 * Runs long work in slices, so that calls don't wait for it: between two slices, the event loop handles everything
 * else.
 */
import type { Steps } from "../config/parse.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * `sliceMs`: how long the work runs before the event loop gets its turn. Returns null if `stop` ended the work between
 * two slices.
 */
export async function paced<T>(
  steps: Steps<T>,
  sliceMs: number,
  stop: () => Promise<boolean>,
): Promise<{ done: T } | null> {
  for (;;) {
    const untilMs = performance.now() + sliceMs;
    do {
      const step = steps.next();
      if (step.done) return { done: step.value };
    } while (performance.now() < untilMs);
    await turn();
    if (await stop()) {
      // Lets the work run its `finally` blocks.
      steps.return(undefined as never);
      return null;
    }
  }
}
