/** Opens the store that the settings name. */
import { Journal } from "./journal.ts";
import { MemoryStore } from "./memory.ts";
import { RedisStore } from "./redis.ts";
import type { StoreTls } from "./redis-client.ts";
import type { FleetStore } from "./store.ts";

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
  /** After how long an answer of the store is late, in milliseconds. */
  stateTimeoutMs?: number;
  /** File that keeps the memory store's spending across restarts; "" for none. */
  stateFile: string;
}

export const stateTlsOf = ({ stateCa, stateCert, stateKey }: Omit<StateSettings, "stateFile">): StoreTls => ({
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
  if (settings.stateUrl !== "")
    return RedisStore.open(settings.stateUrl, settings.statePassword || null, stateTlsOf(settings), trouble);
  return new MemoryStore(nowMs, settings.stateFile === "" ? null : new Journal(settings.stateFile));
}
