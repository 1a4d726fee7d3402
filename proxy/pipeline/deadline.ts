/** How long a call may take: one deadline for all attempts. */
import type { ClientConnection } from "../wire/client.ts";

/** Where the provider sets none. */
const defaultTotalMs = 600_000;

/** Milliseconds for a call whose provider allows `configuredMs`; 0: it says nothing. */
export const totalMsOf = (configuredMs: number): number => configuredMs || defaultTotalMs;

/** Epoch milliseconds; never later than the client's own time-out (`x-stainless-timeout`, seconds). */
export function deadlineMs(client: ClientConnection, configuredMs: number, nowMs: number): number {
  const theirs = Number(client.header("x-stainless-timeout") ?? Number.NaN) * 1000;
  return nowMs + totalMsOf(Number.isFinite(theirs) && theirs > 0 ? Math.min(theirs, configuredMs) : configuredMs);
}
