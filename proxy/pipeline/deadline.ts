/** How long a call may take: one deadline for all attempts. */
import type { ClientConnection } from "../wire/client.ts";

export interface Deadline {
  /** Epoch milliseconds. */
  deadlineMs: number;
  /** The caller allows less time than the provider's own limit, so running out of it says nothing of the provider. */
  deadlineIsCallers: boolean;
}

/** `totalMs` from now, and never later than the client's own time-out (`x-stainless-timeout`, seconds). */
export function deadlineOf(client: ClientConnection, totalMs: number, nowMs: number): Deadline {
  const callersMs = Number(client.header("x-stainless-timeout") ?? Number.NaN) * 1000;
  const deadlineIsCallers = callersMs > 0 && callersMs < totalMs;
  return { deadlineMs: nowMs + (deadlineIsCallers ? callersMs : totalMs), deadlineIsCallers };
}
