/** Bounded concurrency. */

/**
 * Runs `work` over all items, at most `width` at once, and returns the failures: a failed item must not stop the
 * others.
 */
export async function eachOf<T>(
  items: Iterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<unknown[]> {
  const queue = items[Symbol.iterator]();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      await work(next.value).catch((cause: unknown) => failures.push(cause));
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return failures;
}
