/** The one cell that holds the live snapshot. It is swapped as a whole, and only for a complete snapshot. */
import { type ConfigFiles, type ParsedDocuments, parsing, readCredentials, type Steps } from "../config/parse.ts";
import type { Provider } from "../providers/provider.ts";
import { building } from "./build.ts";
import { paced } from "./pace.ts";
import { KeyPacker, Scratch } from "./packed-keys.ts";
import type { Snapshot } from "./snapshot.ts";
import type { ConfigSource } from "./source.ts";

export interface Rejection {
  reason: string;
  /** Epoch milliseconds. */
  atMs: number;
}

export interface Current {
  /** null until the first good config. */
  snapshot(): Snapshot | null;
  /** Why the newest config is not live; null if it is. */
  rejection(): Rejection | null;
  /** Reads the source once. Resolves when the new config is live or rejected. */
  refresh(): Promise<void>;
  close(): void;
}

export interface CurrentEvents {
  swapped(snapshot: Snapshot, previous: Snapshot | null): void;
  rejected(reason: string): void;
}

/**
 * Time slice for preparing a config, in milliseconds. Calls wait at most this long plus one step, which takes a few
 * milliseconds.
 */
const sliceMs = 1;
/**
 * How many configs in a row may be dropped half way for a newer one. Without this limit, configs that change quickly
 * would never go live.
 */
const mostDropped = 3;

export function current(
  source: ConfigSource,
  registry: Readonly<Record<string, Provider>>,
  nowMs: () => number,
  events: CurrentEvents,
): Current {
  let live: Snapshot | null = null;
  let rejection: Rejection | null = null;
  let running: Promise<void> | null = null;
  let again = false;
  let dropped = 0;
  /** The version of the live content. */
  let settled: string | null = null;
  const cache: ParsedDocuments = new Map();
  const scratch = new Scratch();

  const reject = (reason: string): void => {
    if (rejection?.reason === reason) return;
    rejection = { reason, atMs: nowMs() };
    events.rejected(reason);
  };

  const prepare = function* (files: ConfigFiles): Steps<Snapshot | null> {
    const parsed = yield* parsing(files, cache, () => new KeyPacker(scratch));
    if (!parsed.ok) {
      reject(parsed.reason);
      return null;
    }
    const { config, manifest, keys } = parsed;
    if (manifest.revision === live?.revision) return live;
    const secrets = readCredentials(files, manifest);
    if (secrets.ok) return yield* building(config, keys, manifest, secrets, registry);
    reject(secrets.reason);
    return null;
  };

  const load = async (): Promise<void> => {
    const version = (await source.version?.()) ?? null;
    if (version !== null && version === settled) {
      rejection = null;
      return;
    }
    const superseded = async (): Promise<boolean> =>
      again && dropped < mostDropped && version !== null && (await source.version?.()) !== version;
    const prepared = await paced(prepare(await source.current()), sliceMs, superseded);
    dropped = prepared === null ? dropped + 1 : 0;
    if (prepared === null) return;
    const next = prepared.done;
    // Kubelet may link new entries after it has swapped the content, so what is missing now may be there at the next
    // read.
    settled = next === null ? null : version;
    if (next === null) return;
    rejection = null;
    if (next === live) return;
    const previous = live;
    live = next;
    events.swapped(next, previous);
  };

  const loop = async (): Promise<void> => {
    // Lets `running` be set first, so that a refresh from within this loop's callbacks doesn't start a second loop.
    await null;
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
