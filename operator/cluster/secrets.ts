/**
 * The Secrets that objects refer to, read one at a time by name: the operator never lists Secrets. A watch on metadata
 * shows which of them change. While it can't run, some of them are read again at every resync.
 */
import { Buffer } from "node:buffer";
import type { V1Secret } from "@kubernetes/client-node";
import type { SecretRights } from "../compile/world.ts";
import { type Cluster, orNull, statusCode } from "./api.ts";
import type { CacheEvents } from "./cache.ts";
import { eachOf } from "./each.ts";
import { type RightsRule, rightsOf } from "./secret-ownership.ts";
import { SecretWatch } from "./secret-watch.ts";

/** Clear values by key. */
export type SecretValues = Readonly<Record<string, string>>;

const readsAtOnce = 16;
/** Most Secrets read per resync: with 50,000 keys, it must not take 50,000 requests. */
const maxRereads = 1_000;

interface Tracked {
  /** null: does not exist. undefined: not read yet. */
  values: SecretValues | null | undefined;
  /** Resource version that was read, or "" if the Secret does not exist. */
  version: string;
}

interface Learnt {
  /** null: the operator may not read the Secret. */
  values: SecretValues | null;
  rights: SecretRights;
}

const forbidden: Learnt = { values: null, rights: { readable: false, writable: false, foreign: [], forbidden: true } };

function decode(secret: V1Secret): SecretValues {
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );
}

const versionOf = (secret: V1Secret | null): string => secret?.metadata?.resourceVersion ?? "";

export class SecretReader {
  readonly #cluster: Cluster;
  readonly #events: CacheEvents;
  readonly #tracked = new Map<string, Tracked>();
  /** Secrets that must be read again. */
  readonly #stale = new Set<string>();
  /** Secrets that the operator may not read, least recently tried first. */
  readonly #forbidden = new Set<string>();
  #known: ReadonlyMap<string, SecretValues> = new Map();
  #rights: Readonly<Record<string, SecretRights>> = {};
  /** Secrets to replace in `known`; null: the Secret does not exist. */
  readonly #changes = new Map<string, Learnt | null>();
  readonly #rule: RightsRule;
  readonly #watches: readonly SecretWatch[];

  /** `watched`: namespaces in which changes are watched; null is all of them. Without any, what was read is kept. */
  constructor(cluster: Cluster, rule: RightsRule, events: CacheEvents, watched: readonly (string | null)[] = []) {
    this.#cluster = cluster;
    this.#rule = rule;
    this.#events = events;
    this.#watches = watched.map(
      (place) =>
        new SecretWatch(cluster.config, place, {
          changed: (ref, version) => this.#seen(ref, version),
          replayed: (namespace, reported) => this.#replayed(namespace, reported),
          failed: (cause) => events.failed("secrets", cause),
        }),
    );
  }

  #seen(ref: string, version: string): void {
    const tracked = this.#tracked.get(ref);
    // Secrets that were never read are read anyway.
    if (tracked === undefined || tracked.values === undefined || tracked.version === version) return;
    this.#stale.add(ref);
    this.#events.changed();
  }

  /** Deletions between two watches are reported by neither. */
  #replayed(place: string | null, reported: ReadonlySet<string>): void {
    for (const [ref, { version }] of this.#tracked)
      if (version !== "" && !reported.has(ref) && (place === null || ref.startsWith(`${place}/`))) this.#seen(ref, "");
  }

  /** From now on also reads the Secrets in `come` (`namespace/name`), and forgets those in `gone`. */
  track({ come, gone }: { come: readonly string[]; gone: readonly string[] }): void {
    for (const ref of gone) {
      this.#tracked.delete(ref);
      this.#stale.delete(ref);
      this.#forbidden.delete(ref);
      this.#changes.set(ref, null);
    }
    for (const ref of come) {
      if (this.#tracked.has(ref)) continue;
      this.#tracked.set(ref, { values: undefined, version: "" });
      this.#stale.add(ref);
    }
  }

  /** Reads what is new or stale. Returns the same map as before if nothing in it changed. */
  async read(): Promise<ReadonlyMap<string, SecretValues>> {
    const [failure] = await eachOf([...this.#stale], readsAtOnce, (ref) => this.#fetch(ref));
    if (failure !== undefined) throw failure;
    if (this.#changes.size === 0) return this.#known;
    const known = new Map(this.#known);
    const rights = { ...this.#rights };
    for (const [ref, learnt] of this.#changes) {
      if (learnt === null) {
        known.delete(ref);
        delete rights[ref];
      } else {
        if (learnt.values === null) known.delete(ref);
        else known.set(ref, learnt.values);
        rights[ref] = learnt.rights;
      }
    }
    this.#changes.clear();
    this.#known = known;
    this.#rights = rights;
    return known;
  }

  /** What Sluice may do with the Secrets that `read` last returned. The same object while none of them changes. */
  get rights(): Readonly<Record<string, SecretRights>> {
    return this.#rights;
  }

  /** Marks a Secret to be read again. */
  invalidate(ref: string): void {
    if (this.#tracked.has(ref)) this.#stale.add(ref);
  }

  /** Marks some of the Secrets to be read again, in turn, unless all are watched. */
  resync(): void {
    // No watch reports that the operator may read them again.
    for (const ref of [...this.#forbidden].slice(0, maxRereads)) this.#stale.add(ref);
    if (this.#watches.length > 0 && this.#watches.every(({ running }) => running)) return;
    let left = maxRereads;
    for (const [ref, tracked] of [...this.#tracked]) {
      if (left-- <= 0) return;
      this.#stale.add(ref);
      // Move to the end of the queue.
      this.#tracked.delete(ref);
      this.#tracked.set(ref, tracked);
    }
  }

  #learn(ref: string, tracked: Tracked, secret: V1Secret | null): void {
    const wasForbidden = this.#forbidden.delete(ref);
    if (secret === null && tracked.values === null && !wasForbidden) return;
    const learnt = secret === null ? null : { values: decode(secret), rights: rightsOf(secret, this.#rule) };
    tracked.values = learnt?.values ?? null;
    if (this.#tracked.get(ref) === tracked) this.#changes.set(ref, learnt);
  }

  /** For objects that refer to it, it doesn't exist, and their statuses say why. Everything else goes on. */
  #forbid(ref: string, tracked: Tracked): void {
    if (!this.#forbidden.delete(ref) && this.#tracked.get(ref) === tracked) this.#changes.set(ref, forbidden);
    this.#forbidden.add(ref);
    tracked.values = null;
    tracked.version = "";
  }

  async #fetch(ref: string): Promise<void> {
    const [namespace = "", name = ""] = ref.split("/");
    const tracked = this.#tracked.get(ref);
    if (!tracked) return;
    this.#stale.delete(ref);
    try {
      const secret = await orNull(this.#cluster.core.readNamespacedSecret({ namespace, name }));
      const same =
        secret !== null && tracked.values && versionOf(secret) !== "" && versionOf(secret) === tracked.version;
      if (!same) this.#learn(ref, tracked, secret);
      tracked.version = versionOf(secret);
    } catch (cause) {
      if (statusCode(cause) === 403) {
        this.#events.failed(`Secret ${ref}`, cause);
        this.#forbid(ref, tracked);
        return;
      }
      this.#stale.add(ref);
      // Earlier values stay valid. Secrets that were never read must not count as missing.
      if (tracked.values === undefined) throw cause;
    }
  }

  stop(): void {
    for (const watch of this.#watches) watch.stop();
    this.#tracked.clear();
  }
}
