/**
 * The ConfigMaps and Secrets in which a config is published: reads them, and writes each only if it differs from what
 * is stored.
 */
import { Buffer } from "node:buffer";
import { configMapNames, credentialsSecretName, credentialsSecretNames } from "../publish/layout.ts";
import { type Cluster, orNull, untracked } from "./api.ts";
import { eachOf } from "./each.ts";

export const publishedLabels = {
  "app.kubernetes.io/managed-by": "sluice-operator",
  "app.kubernetes.io/part-of": "sluice",
};

const writesAtOnce = 8;
/** Number of resyncs over which all ConfigMaps are read: reading all 50 each time would be most of the idle traffic. */
const looksInTurn = 4;
/** The API server's limit on the values of one ConfigMap or Secret. */
export const maxBytes = 1_048_576;

/** Values by key; those of a Secret in base64. */
type Data = Readonly<Record<string, string>>;

const bytesOf = (data: Data): number => Object.values(data).reduce((sum, text) => sum + Buffer.byteLength(text), 0);

const sameData = (a: Data | undefined, b: Data): boolean =>
  a !== undefined &&
  Object.keys(a).length === Object.keys(b).length &&
  Object.keys(a).every((name) => a[name] === b[name]);

export class PublishedObjects {
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #prefix: string;
  readonly #leading: () => boolean;
  /** Data of each ConfigMap as last read or written. */
  #maps = new Map<string, Data>();
  #secrets = new Map<string, Data>();
  #wasRead = false;
  #looks = 0;
  #version = 0;

  constructor(cluster: Cluster, namespace: string, prefix: string, leading: () => boolean) {
    this.#cluster = cluster;
    this.#namespace = namespace;
    this.#prefix = prefix;
    this.#leading = leading;
  }

  /** Changes with every change of the ConfigMaps' data. */
  get version(): number {
    return this.#version;
  }

  /** Data of all ConfigMaps. */
  files(): Record<string, string> {
    return Object.assign({}, ...this.#maps.values()) as Record<string, string>;
  }

  /** Values of all Secrets, in base64. */
  credentials(): Record<string, string> {
    return Object.assign({}, ...this.#secrets.values()) as Record<string, string>;
  }

  /** Names of ConfigMaps and Secrets with any data that are not in `kept`. */
  leftovers(kind: "ConfigMap" | "Secret", kept: ReadonlyMap<string, unknown>): string[] {
    const held: ReadonlyMap<string, Data> = kind === "ConfigMap" ? this.#maps : this.#secrets;
    return [...held].filter(([name, data]) => !kept.has(name) && Object.keys(data).length > 0).map(([name]) => name);
  }

  /**
   * Reads Secrets and ConfigMaps again, and returns whether the ConfigMaps are as last read or written. `whole`: all of
   * them; otherwise some, in turn, and all if these have changed. Shards that never existed are not read again.
   */
  async read(whole: boolean): Promise<boolean> {
    const maps = !whole && this.#wasRead && (await this.#look()) ? this.#maps : await this.#readMaps(this.#names());
    const same =
      maps.size === this.#maps.size && [...maps].every(([name, data]) => sameData(this.#maps.get(name), data));
    if (!same) {
      this.#maps = maps;
      this.#version++;
    }
    this.#secrets = await this.#readSecrets();
    this.#wasRead = true;
    return same;
  }

  #names(): string[] {
    return this.#wasRead ? [...this.#maps.keys()] : [...configMapNames(this.#prefix)];
  }

  /** Reads some of the ConfigMaps, and returns whether they are as last read or written. */
  async #look(): Promise<boolean> {
    const turn = this.#looks++ % looksInTurn;
    const names = this.#names().filter((_, index) => index % looksInTurn === turn);
    const maps = await this.#readMaps(names);
    return names.every((name) => sameData(maps.get(name), this.#maps.get(name) ?? {}));
  }

  async #readMaps(names: readonly string[]): Promise<Map<string, Data>> {
    const { core } = this.#cluster;
    const namespace = this.#namespace;
    const stored = await Promise.all(names.map((name) => orNull(core.readNamespacedConfigMap({ namespace, name }))));
    return new Map(names.flatMap((name, index) => (stored[index] ? [[name, stored[index].data ?? {}] as const] : [])));
  }

  async #readSecrets(): Promise<Map<string, Data>> {
    const namespace = this.#namespace;
    const names = this.#wasRead
      ? new Set([credentialsSecretName(this.#prefix), ...this.#secrets.keys()])
      : credentialsSecretNames(this.#prefix);
    const secrets = new Map<string, Data>();
    for (const name of names) {
      const secret = await orNull(this.#cluster.core.readNamespacedSecret({ namespace, name }));
      if (secret !== null) secrets.set(name, { ...secret.data });
    }
    return secrets;
  }

  /** Writes shards first, and `main` once everything that it names exists. Returns how many were written. */
  async putMaps(maps: Iterable<readonly [string, Data]>, main: string | undefined): Promise<number> {
    const due = [...maps].filter(([name, data]) => this.#isNews(name, data));
    const large = due.find(([, data]) => bytesOf(data) > maxBytes);
    if (large !== undefined)
      throw new Error(`ConfigMap ${large[0]} would take ${bytesOf(large[1])} bytes; it may take ${maxBytes}`);
    const shards = due.filter(([name]) => name !== main);
    const [failure] = await eachOf(shards, writesAtOnce, ([name, data]) => this.putMap(name, data));
    if (failure !== undefined) throw failure;
    for (const [name, data] of due) if (name === main) await this.putMap(name, data);
    return due.length;
  }

  #isNews(name: string, data: Data): boolean {
    const stored = this.#maps.get(name);
    if (stored === undefined || Object.keys(data).some((key) => stored[key] !== data[key])) return true;
    // Stores equal texts once.
    this.#maps.set(name, { ...stored, ...data });
    return false;
  }

  async putMap(name: string, data: Data): Promise<void> {
    await this.#apply("ConfigMap", name, data);
    this.#maps.set(name, data);
    this.#version++;
  }

  /** Writes the Secrets that differ, in this order. Returns how many were written. */
  async putSecrets(secrets: Iterable<readonly [string, Data]>): Promise<number> {
    let written = 0;
    for (const [name, data] of secrets) {
      if (sameData(this.#secrets.get(name), data)) continue;
      await this.putSecret(name, data);
      written++;
    }
    return written;
  }

  async putSecret(name: string, data: Data): Promise<void> {
    await this.#apply("Secret", name, data);
    this.#secrets.set(name, data);
  }

  /** Writes a Secret that belongs to no config, if it differs from the stored one. */
  async ensureSecret(name: string, data: Data): Promise<void> {
    const stored = await orNull(this.#cluster.core.readNamespacedSecret({ namespace: this.#namespace, name }));
    if (!sameData(stored?.data, data)) await this.#apply("Secret", name, data);
  }

  /** Checks the lease before each write, since a publish takes many writes and the lease may end between two of them. */
  async #apply(kind: "ConfigMap" | "Secret", name: string, data: Data): Promise<void> {
    if (!this.#leading()) throw new Error("no longer the leader");
    await this.#cluster.apply({
      apiVersion: "v1",
      kind,
      metadata: { name, namespace: this.#namespace, labels: publishedLabels, annotations: untracked },
      ...(kind === "Secret" ? { type: "Opaque" } : {}),
      data,
    });
  }
}
