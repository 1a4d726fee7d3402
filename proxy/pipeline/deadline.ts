/** How long a call may take: one deadline for all attempts. */
import type { ClientConnection } from "../wire/client.ts";

/** Epoch milliseconds; `totalMs` from now, and never later than the client's own time-out (`x-stainless-timeout`, seconds). */
export function deadlineMs(client: ClientConnection, totalMs: number, nowMs: number): number {
  const theirs = Number(client.header("x-stainless-timeout") ?? Number.NaN) * 1000;
  return nowMs + (theirs > 0 ? Math.min(theirs, totalMs) : totalMs);
}
