/** The store that the settings ask for. */
import { Journal } from "./journal.ts";
import { MemoryStore } from "./memory.ts";
import { RedisStore } from "./redis.ts";
import type { StoreTls } from "./redis-client.ts";
import type { FleetStore } from "./store.ts";

export interface StateSettings {
  /** "" for memory. */
  stateUrl: string;
  /** "" for none, or what the URL says. */
  statePassword: string;
  /** File with certificates to trust for TLS; "" for the system's. */
  stateCa: string;
  /** Files with the proxy's own certificate for TLS, and its key; "" for none. */
  stateCert?: string;
  stateKey?: string;
  /** File that keeps the memory's spend over a restart; "" for none. */
  stateFile: string;
}

export const stateTlsOf = ({ stateCa, stateCert, stateKey }: Omit<StateSettings, "stateFile">): StoreTls => ({
  ca: stateCa,
  cert: stateCert ?? "",
  key: stateKey ?? "",
});

/** `trouble`: as of `connectRedis`. Throws where the URL is none or a file can't be used. */
export function openStore(
  settings: StateSettings,
  nowMs: () => number,
  trouble: (cause: Error | null) => void = () => undefined,
): FleetStore {
  if (settings.stateUrl !== "")
    return RedisStore.open(settings.stateUrl, settings.statePassword || null, stateTlsOf(settings), trouble);
  return new MemoryStore(nowMs, settings.stateFile === "" ? null : new Journal(settings.stateFile));
}
