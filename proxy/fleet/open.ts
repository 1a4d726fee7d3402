/** The store that the settings ask for. */
import { Journal } from "./journal.ts";
import { MemoryStore } from "./memory.ts";
import type { FleetStore } from "./store.ts";

export interface StateSettings {
  /** "" for memory. */
  stateUrl: string;
  /** File that keeps the memory's spend over a restart; "" for none. */
  stateFile: string;
}

/** Throws where the file can't be used. */
export function openStore(settings: StateSettings, nowMs: () => number): FleetStore {
  return new MemoryStore(nowMs, settings.stateFile === "" ? null : new Journal(settings.stateFile));
}
