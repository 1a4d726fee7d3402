/** The store that the settings ask for. */
import { Journal } from "./journal.ts";
import { MemoryStore } from "./memory.ts";
import { RedisStore } from "./redis.ts";
import type { FleetStore } from "./store.ts";

export interface StateSettings {
  /** "" for memory. */
  stateUrl: string;
  /** "" for none, or what the URL says. */
  statePassword: string;
  /** File with certificates to trust for TLS; "" for the system's. */
  stateCa: string;
  /** File that keeps the memory's spend over a restart; "" for none. */
  stateFile: string;
}

/** Throws where the URL is none or a file can't be used. */
export function openStore(settings: StateSettings, nowMs: () => number): FleetStore {
  if (settings.stateUrl !== "")
    return RedisStore.open(settings.stateUrl, settings.statePassword || null, settings.stateCa || null);
  return new MemoryStore(nowMs, settings.stateFile === "" ? null : new Journal(settings.stateFile));
}
