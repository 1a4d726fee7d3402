/** Opens the store that the settings name. */
import { Journal } from "./journal.ts";
import { MemoryStore } from "./memory.ts";
import { RedisStore } from "./redis.ts";
import type { StoreTls } from "./redis-client.ts";
import { type FleetStore, usualLedgerMs } from "./store.ts";

export interface StateSettings {
  /** "" for the memory store. */
  stateUrl: string;
  /** "" for no password, or the one in the URL. */
  statePassword: string;
  /** File with the CA certificates to trust for TLS; "" for the system's. */
  stateCa: string;
  /** Files with the proxy's client certificate and key for TLS; "" for none. */
  stateCert?: string;
  stateKey?: string;
  /** How long the store may take to answer, in milliseconds. */
  stateTimeoutMs?: number;
  /** File that keeps the memory store's spending across restarts; "" for none. */
  stateFile: string;
  /** How long the usage ledger keeps rows; absent for the usual time. */
  ledgerDays?: number;
}

export const stateTlsOf = ({
  stateCa,
  stateCert,
  stateKey,
}: Omit<StateSettings, "stateFile" | "ledgerDays">): StoreTls => ({
  ca: stateCa,
  cert: stateCert ?? "",
  key: stateKey ?? "",
});

/** `trouble`: see `connectRedis`. Throws if the URL is invalid or a file can't be used. */
export function openStore(
  settings: StateSettings,
  nowMs: () => number,
  trouble: (cause: Error | null) => void = () => undefined,
): FleetStore {
  const keptMs = settings.ledgerDays === undefined ? usualLedgerMs : settings.ledgerDays * 86_400_000;
  if (settings.stateUrl !== "")
    return RedisStore.open(settings.stateUrl, settings.statePassword || null, stateTlsOf(settings), trouble, keptMs);
  return new MemoryStore(nowMs, settings.stateFile === "" ? null : new Journal(settings.stateFile), keptMs);
}
