/** The one cell that holds the live snapshot. It is swapped as a whole, and only for a complete snapshot. */
import { type ConfigFiles, type ParsedDocuments, parsing, readCredentials, type Steps } from "../config/parse.ts";
import { revocationsName } from "../config/revocations.ts";
import type { Provider } from "../providers/provider.ts";
import { building } from "./build.ts";
import type { IndexedSnapshot } from "./indexed-snapshot.ts";
import { paced } from "./pace.ts";
import { KeyPacker, Scratch } from "./packed-keys.ts";
import { RevokedKeys } from "./revoked-keys.ts";
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
  /** Names the revocations that apply on top of the config; "" if there are none. */
  revocations(): string;
  /** Applies what the operator sent, at once. Returns the reason if it can't be used. */
  revoke(text: string): string | null;
  /** As `revoke`, from an operator that does not lead: it can only add. */
  revokeForStandby(text: string): string | null;
  /** Reads the source once. Resolves when the new config is live or rejected. */
  refresh(): Promise<void>;
  close(): void;
}

export interface CurrentEvents {
  swapped(snapshot: Snapshot, previous: Snapshot | null): void;
  rejected(reason: string): void;
  /** Keys are refused from now on that the live config may still accept. */
  revoked(keys: number): void;
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
const maxDropped = 3;

class LiveConfig implements Current {
  readonly #source: ConfigSource;
  readonly #registry: Readonly<Record<string, Provider>>;
  readonly #nowMs: () => number;
  readonly #events: CurrentEvents;
  readonly #cache: ParsedDocuments = new Map();
  readonly #scratch = new Scratch();
  readonly #stop: () => void;
  readonly #revoked = new RevokedKeys();
  /** The revocations in `live`. */
  #applied = this.#revoked.digests;
  /** As rendered. */
  #built: IndexedSnapshot | null = null;
  /** As served: with revocations that are newer. */
  #live: Snapshot | null = null;
  #rejection: Rejection | null = null;
  #running: Promise<void> | null = null;
  #again = false;
  #dropped = 0;
  /** The version of the live content. */
  #settled: string | null = null;

  constructor(
    source: ConfigSource,
    registry: Readonly<Record<string, Provider>>,
    nowMs: () => number,
    events: CurrentEvents,
  ) {
    this.#source = source;
    this.#registry = registry;
    this.#nowMs = nowMs;
    this.#events = events;
    this.#stop = source.watch(() => void this.refresh());
  }

  snapshot(): Snapshot | null {
    return this.#live;
  }

  rejection(): Rejection | null {
    return this.#rejection;
  }

  revocations(): string {
    return this.#revoked.id;
  }

  revoke(text: string): string | null {
    const problem = this.#revoked.send(text);
    this.#applyRevoked();
    return problem;
  }

  revokeForStandby(text: string): string | null {
    const problem = this.#revoked.sendStandby(text);
    this.#applyRevoked();
    return problem;
  }

  refresh(): Promise<void> {
    this.#again = this.#running !== null;
    // Revocations don't wait for a config that is being prepared.
    if (this.#again) void this.#readRevocations().catch((cause: unknown) => this.#failed(cause));
    this.#running ??= this.#loop();
    return this.#running;
  }

  close(): void {
    this.#stop();
  }

  #reject(reason: string): void {
    if (this.#rejection?.reason === reason) return;
    this.#rejection = { reason, atMs: this.#nowMs() };
    this.#events.rejected(reason);
  }

  #failed(cause: unknown): void {
    this.#reject(cause instanceof Error ? cause.message : String(cause));
  }

  #applyRevoked(): void {
    const { digests } = this.#revoked;
    if (digests === this.#applied) return;
    this.#applied = digests;
    this.#live = this.#built === null ? null : this.#served(this.#built);
    if (digests.size > 0) this.#events.revoked(digests.size);
  }

  #served(built: IndexedSnapshot): IndexedSnapshot {
    return this.#applied.size === 0 ? built : built.revoking(this.#applied);
  }

  /** Returns whether what was read can be used. */
  async #readRevocations(): Promise<boolean> {
    const content = await this.#source.read?.(revocationsName);
    if (content === undefined) return true;
    const problem = this.#revoked.add(content);
    if (problem !== null) this.#reject(problem);
    this.#applyRevoked();
    return problem === null;
  }

  *#prepare(files: ConfigFiles): Steps<IndexedSnapshot | null> {
    const parsed = yield* parsing(files, this.#cache, () => new KeyPacker(this.#scratch));
    if (!parsed.ok) {
      this.#reject(parsed.reason);
      return null;
    }
    const { config, manifest, keys } = parsed;
    if (manifest.revision === this.#built?.revision) return this.#built;
    const secrets = readCredentials(files, manifest);
    if (secrets.ok) return yield* building(config, keys, manifest, secrets, this.#registry);
    this.#reject(secrets.reason);
    return null;
  }

  async #load(): Promise<void> {
    const source = this.#source;
    const version = (await source.version?.()) ?? null;
    if (version !== null && version === this.#settled) {
      this.#rejection = null;
      return;
    }
    const superseded = async (): Promise<boolean> =>
      this.#again && this.#dropped < maxDropped && version !== null && (await source.version?.()) !== version;
    this.#revoked.begin();
    const usable = await this.#readRevocations();
    const prepared = await paced(this.#prepare(await source.current()), sliceMs, superseded);
    this.#dropped = prepared === null ? this.#dropped + 1 : 0;
    if (prepared === null) return;
    const next = prepared.done;
    // Kubelet may link new entries after it has swapped the content, so what is missing now may be there at the next
    // read.
    this.#settled = next === null || !usable ? null : version;
    if (next === null) return;
    if (usable) {
      this.#rejection = null;
      this.#revoked.settle();
    }
    this.#serve(next);
  }

  #serve(next: IndexedSnapshot): void {
    if (next === this.#built) {
      this.#applyRevoked();
      return;
    }
    const previous = this.#built;
    this.#built = next;
    this.#applied = this.#revoked.digests;
    this.#live = this.#served(next);
    this.#events.swapped(next, previous);
  }

  async #loop(): Promise<void> {
    // Lets `#running` be set first, so that a refresh from within this loop's callbacks doesn't start a second loop.
    await null;
    do {
      this.#again = false;
      try {
        await this.#load();
      } catch (cause) {
        this.#failed(cause);
      }
    } while (this.#again);
    this.#running = null;
  }
}

export const current = (
  source: ConfigSource,
  registry: Readonly<Record<string, Provider>>,
  nowMs: () => number,
  events: CurrentEvents,
): Current => new LiveConfig(source, registry, nowMs, events);
