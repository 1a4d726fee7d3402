/** The one cell that holds the live snapshot. It is swapped whole, and only for one that is complete. */
import { type ParsedDocuments, parseDocuments, readCredentials } from "../config/parse.ts";
import type { Provider } from "../providers/provider.ts";
import { build, type Snapshot } from "./snapshot.ts";
import type { ConfigSource } from "./source.ts";

export interface Rejection {
  reason: string;
  /** Epoch milliseconds. */
  atMs: number;
}

export interface Current {
  /** null until the first good config. */
  snapshot(): Snapshot | null;
  /** Why the newest config is not live; null when it is. */
  rejection(): Rejection | null;
  /** Reads the source once; resolves when the outcome stands. */
  refresh(): Promise<void>;
  close(): void;
}

export interface CurrentEvents {
  swapped(snapshot: Snapshot, previous: Snapshot | null): void;
  rejected(reason: string): void;
}

export function current(source: ConfigSource, registry: Readonly<Record<string, Provider>>, nowMs: () => number, events: CurrentEvents): Current {
  let live: Snapshot | null = null;
  let rejection: Rejection | null = null;
  let running: Promise<void> | null = null;
  let again = false;
  const cache: ParsedDocuments = new Map();

  const reject = (reason: string): void => {
    if (rejection?.reason === reason) return;
    rejection = { reason, atMs: nowMs() };
    events.rejected(reason);
  };

  const load = async (): Promise<void> => {
    const files = await source.current();
    const parsed = parseDocuments(files, cache);
    if (!parsed.ok) return reject(parsed.reason);
    if (parsed.manifest.revision === live?.revision) {
      rejection = null;
      return;
    }
    const secrets = readCredentials(files, parsed.manifest);
    if (!secrets.ok) return reject(secrets.reason);
    const next = build(parsed.config, parsed.manifest, secrets, registry);
    const previous = live;
    live = next;
    rejection = null;
    events.swapped(next, previous);
  };

  const loop = async (): Promise<void> => {
    do {
      again = false;
      try {
        await load();
      } catch (cause) {
        reject(cause instanceof Error ? cause.message : String(cause));
      }
    } while (again);
    running = null;
  };
  const refresh = (): Promise<void> => {
    again = running !== null;
    running ??= loop();
    return running;
  };
  const stop = source.watch(() => void refresh());
  return { snapshot: () => live, rejection: () => rejection, refresh, close: stop };
}
