/**
 * The Secrets that objects refer to, read one by one by name: the operator never lists Secrets. Each is watched by
 * name while they are few, and read again at every resync besides.
 */
import { Buffer } from "node:buffer";
import { type V1Secret, Watch } from "@kubernetes/client-node";
import { type Cluster, orNull, statusCode } from "./api.ts";
import { eachOf } from "./each.ts";

/** Clear values by key. */
export type SecretValues = Readonly<Record<string, string>>;

const mostWatches = 256;
const readsAtOnce = 16;
const rewatchMs = 2_000;

interface Tracked {
  /** null: not there. undefined: not read yet. */
  values: SecretValues | null | undefined;
  watch: AbortController | null;
  /** Set when it has to be read anew. */
  stale: boolean;
}

function decode(secret: V1Secret): SecretValues {
  return Object.fromEntries(Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]));
}

export class SecretReader {
  readonly #cluster: Cluster;
  readonly #changed: () => void;
  readonly #tracked = new Map<string, Tracked>();
  readonly #failed: (path: string, cause: unknown) => void;
  #stopped = false;

  constructor(cluster: Cluster, changed: () => void, failed: (path: string, cause: unknown) => void) {
    this.#cluster = cluster;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Reads what is new or stale among `refs` (`namespace/name`), and forgets the rest. */
  async read(refs: ReadonlySet<string>): Promise<ReadonlyMap<string, SecretValues>> {
    for (const [ref, tracked] of this.#tracked) {
      if (refs.has(ref)) continue;
      tracked.watch?.abort();
      this.#tracked.delete(ref);
    }
    const due: string[] = [];
    for (const ref of refs) {
      if (!this.#tracked.has(ref)) this.#tracked.set(ref, { values: undefined, watch: null, stale: true });
      if (this.#tracked.get(ref)?.stale) due.push(ref);
    }
    const [failure] = await eachOf(due, readsAtOnce, (ref) => this.#fetch(ref));
    if (failure !== undefined) throw failure;
    const known = new Map<string, SecretValues>();
    for (const [ref, { values }] of this.#tracked) if (values) known.set(ref, values);
    return known;
  }

  /** One is, or all are, read again the next time. */
  invalidate(only?: string): void {
    for (const [ref, tracked] of this.#tracked) if (only === undefined || ref === only) tracked.stale = true;
  }

  async #fetch(ref: string): Promise<void> {
    const [namespace = "", name = ""] = ref.split("/");
    const tracked = this.#tracked.get(ref);
    if (!tracked) return;
    tracked.stale = false;
    try {
      const secret = await orNull(this.#cluster.core.readNamespacedSecret({ namespace, name }));
      tracked.values = secret === null ? null : decode(secret);
    } catch (cause) {
      // Not ours to read: for the object that refers to it, it isn't there. That is no reason to stop everything else.
      if (statusCode(cause) === 403) {
        this.#failed(`Secret ${ref}`, cause);
        tracked.values = null;
        return;
      }
      tracked.stale = true;
      // What was read before stays good; what never was must not be taken for missing.
      if (tracked.values === undefined) throw cause;
    }
    if (tracked.watch === null && this.#watching() < mostWatches) this.#watch(ref, namespace, name, tracked);
  }

  #watching(): number {
    let count = 0;
    for (const tracked of this.#tracked.values()) if (tracked.watch) count++;
    return count;
  }

  #watch(ref: string, namespace: string, name: string, tracked: Tracked): void {
    if (this.#stopped) return;
    const seen = (): void => {
      tracked.stale = true;
      this.#changed();
    };
    let ended = false;
    const over = (): void => {
      if (ended) return;
      ended = true;
      tracked.watch = null;
      if (this.#stopped || this.#tracked.get(ref) !== tracked) return;
      setTimeout(() => {
        if (this.#tracked.get(ref) !== tracked || tracked.watch) return;
        this.#watch(ref, namespace, name, tracked);
        seen();
      }, rewatchMs).unref();
    };
    tracked.watch = new AbortController();
    new Watch(this.#cluster.config)
      .watch(`/api/v1/namespaces/${namespace}/secrets`, { fieldSelector: `metadata.name=${name}` }, (phase) => phase !== "BOOKMARK" && seen(), over)
      .then((controller) => {
        // A watch that failed at once has ended by now; its controller would pass for a living one.
        if (ended || this.#stopped || this.#tracked.get(ref) !== tracked) controller.abort();
        else tracked.watch = controller;
      })
      .catch(over);
  }

  stop(): void {
    this.#stopped = true;
    for (const tracked of this.#tracked.values()) tracked.watch?.abort();
    this.#tracked.clear();
  }
}
