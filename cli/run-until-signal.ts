/** Runs a server until the process gets SIGTERM or Ctrl-C. */
export interface Serving {
  /** Resolves when nothing is under way any more. `patient`: nobody waits at a terminal for it. */
  close(patient: boolean): Promise<void>;
}

/**
 * `start` begins to serve; null if there is nothing to serve, as after `--help`. Signals are handled from before it
 * starts: one that comes meanwhile ends the process at once, because no call is in progress yet. The first process
 * of a container would otherwise ignore it.
 */
export async function runUntilSignal(start: () => Promise<Serving | null>): Promise<void> {
  const asked = new Promise<"SIGTERM" | "SIGINT">((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
  const serving = await Promise.race([start(), asked]);
  if (typeof serving === "string") process.exit(0);
  if (serving === null) return;
  await serving.close((await asked) === "SIGTERM");
}
