/** Work that must not hold up calls: it is done in slices, and between two of them everything else has its turn. */
import type { Steps } from "../config/parse.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** `sliceMs`: after so many milliseconds the event loop goes on. null where `stop` said so between two slices. */
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
      // Whatever the work keeps in order when it is given up.
      steps.return(undefined as never);
      return null;
    }
  }
}
