/** Runs a server until the process gets SIGTERM or Ctrl-C. */
export interface Serving {
  /** Resolves when nothing is in progress. `patient`: nobody is waiting for it at a terminal. */
  close(patient: boolean): Promise<void>;
}

/**
 * `start` begins to serve, and returns null if there is nothing to serve, as after `--help`. A signal during the start
 * ends the process at once, as no call is in progress yet. Without a handler, the first process of a container would
 * ignore it.
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
