/** How long a call may take: one deadline for all attempts. */
import type { ClientConnection } from "../wire/client.ts";

export interface Deadline {
  /** Milliseconds of the clock that `Deadlines` uses. */
  deadlineMs: number;
  /**
   * Whether the caller allows less time than the provider's own limit, so that a timeout says nothing about the
   * provider.
   */
  deadlineIsCallers: boolean;
}

/** Returns `totalMs` from now, but never later than the client's own timeout (`x-stainless-timeout`, in seconds). */
export function deadlineOf(client: ClientConnection, totalMs: number, nowMs: number): Deadline {
  const callersMs = Number(client.header("x-stainless-timeout") ?? Number.NaN) * 1000;
  const deadlineIsCallers = callersMs > 0 && callersMs < totalMs;
  return { deadlineMs: nowMs + (deadlineIsCallers ? callersMs : totalMs), deadlineIsCallers };
}
