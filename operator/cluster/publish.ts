/**
 * Writes what proxies read, each object only if it differs from what is stored:
 *
 *   keys        key shards, and a manifest that names them along with everything else already published
 *   the rest    Secrets with credentials, then the other shards, and the manifest last
 *
 * so that a revocation is published even if the rest can't be. What the live revision no longer names is removed once
 * every proxy has moved on.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { canonicalJson, credentialName, manifestOf, sha256Hex } from "../../proxy/config/encode.ts";
import { credentialNames } from "../../proxy/config/names.ts";
import { parseDocuments } from "../../proxy/config/parse.ts";
import type { PublishedConfig, RenderedConfig } from "../../proxy/config/schema.ts";
import {
  configMapNames,
  configMapsOf,
  credentialsSecretName,
  credentialsSecretNames,
  credentialsSecretsOf,
  statusSecretName,
} from "../publish/layout.ts";
import { type Cluster, orNull, untracked } from "./api.ts";
import { eachOf } from "./each.ts";

const pepperBytes = 32;
const pepperNames = ["pepper", "pepper-copy", "pepper-previous"];
const writesAtOnce = 8;
export const publishedLabels = {
  "app.kubernetes.io/managed-by": "sluice-operator",
  "app.kubernetes.io/part-of": "sluice",
};

const sameData = (a: Readonly<Record<string, string>> | undefined, b: Readonly<Record<string, string>>): boolean =>
  a !== undefined &&
  Object.keys(a).length === Object.keys(b).length &&
  Object.keys(a).every((name) => a[name] === b[name]);

/** The API server's limit on the values of one ConfigMap or Secret. */
const mostBytes = 1_048_576;
const mapBytes = (data: Readonly<Record<string, string>>): number =>
  Object.values(data).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
const secretBytes = (data: Readonly<Record<string, string>>): number =>
  Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, "base64"), 0);

const only = (data: Readonly<Record<string, string>>, names: ReadonlySet<string>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).filter(([name]) => names.has(name)));

interface Published extends PublishedConfig {
  config: RenderedConfig;
}

export interface Publication {
  /** Number of objects written. */
  written: number;
  /** The config that proxies now find; null if nothing was ever published. */
  live: Published | null;
  /** Why not everything was published; null if it was. */
  failure: unknown;
}

const isKeys = (name: string): boolean => name.startsWith("keys-");

/** The published config with the key records of the new one. */
function withKeysOf(current: PublishedConfig, next: PublishedConfig): PublishedConfig {
  const mixed = <T>(of: Readonly<Record<string, T>>, keysOf: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries([
      ...Object.entries(of).filter(([name]) => !isKeys(name)),
      ...Object.entries(keysOf).filter(([name]) => isKeys(name)),
    ]);
  const { revision: _, ...rest } = current.manifest;
  const manifest = manifestOf({ ...rest, documents: mixed(current.manifest.documents, next.manifest.documents) });
  const documents = mixed(current.documents, next.documents);
  return { manifest, documents: { ...documents, "manifest.json": canonicalJson(manifest) } };
}

export class Publisher {
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #prefix: string;
  readonly #leading: () => boolean;
  /** Data of each ConfigMap as last read or written. */
  #maps = new Map<string, Record<string, string>>();
  /** Data of each Secret, in base64. */
  #secrets = new Map<string, Record<string, string>>();
  #wasRead = false;
  #parsed: { published: Published | null } | null = null;
  /**
   * What this process last published, so that values deleted by hand can be restored and last good forms stay known.
   */
  #latest: Published | null = null;
  #latestSecret: Record<string, string> = {};
  /** The pepper as last seen in its Secret; "" to read it again. */
  #statusToken = "";
  /** Whether exactly the latest config is published, so that it needs no reading. */
  #asLatest = false;

  constructor(cluster: Cluster, namespace: string, prefix: string, leading: () => boolean) {
    this.#cluster = cluster;
    this.#namespace = namespace;
    this.#prefix = prefix;
    this.#leading = leading;
  }

  /**
   * Reads everything that is published, so that drift shows. Called before the first publish and at every resync.
   * Shards that never existed are not read again.
   */
  async read(): Promise<void> {
    const namespace = this.#namespace;
    const { core } = this.#cluster;
    this.#statusToken = "";
    const names = this.#wasRead ? [...this.#maps.keys()] : configMapNames(this.#prefix);
    const found = await Promise.all(names.map((name) => orNull(core.readNamespacedConfigMap({ namespace, name }))));
    const maps = new Map(
      names.flatMap((name, index) => (found[index] ? [[name, found[index].data ?? {}] as const] : [])),
    );
    this.#asLatest &&=
      maps.size === this.#maps.size && [...maps].every(([name, data]) => sameData(this.#maps.get(name), data));
    const secretNames = this.#wasRead
      ? new Set([credentialsSecretName(this.#prefix), ...this.#secrets.keys()])
      : credentialsSecretNames(this.#prefix);
    const secrets = new Map<string, Record<string, string>>();
    for (const name of secretNames) {
      const secret = await orNull(core.readNamespacedSecret({ namespace, name }));
      if (secret !== null) secrets.set(name, { ...secret.data });
    }
    if (!this.#asLatest) this.#maps = maps;
    this.#parsed = null;
    this.#secrets = secrets;
    this.#wasRead = true;
  }

  /** The published config if it is whole and usable: a provider whose credential is lost can't be a last good form. */
  previous(): RenderedConfig | null {
    const config = this.#current()?.config;
    if (config === undefined) return null;
    const held = { ...this.#latestSecret, ...this.#held() };
    return {
      ...config,
      providers: config.providers.filter((provider) => credentialNames(provider).every((name) => name in held)),
    };
  }

  /** Of the published config; "" if there is none. */
  revision(): string {
    return this.#current()?.manifest.revision ?? "";
  }

  /** The config that the ConfigMaps hold; parsed once for each state of them. */
  #published(): Published | null {
    this.#parsed ??= { published: this.#parse() };
    return this.#parsed.published;
  }

  #parse(): Published | null {
    const files = Object.assign({}, ...this.#maps.values()) as Record<string, string>;
    const parsed = parseDocuments(files);
    if (!parsed.ok) return null;
    const { config, manifest } = parsed;
    const names = [...Object.keys(manifest.documents), "manifest.json"];
    return { config, manifest, documents: Object.fromEntries(names.map((name) => [name, files[name] ?? ""])) };
  }

  #current(): Published | null {
    return (this.#asLatest ? null : this.#published()) ?? this.#latest;
  }

  /** Values of all Secrets, in base64. */
  #held(): Record<string, string> {
    return Object.assign({}, ...this.#secrets.values()) as Record<string, string>;
  }

  /** The HMAC key of all digests: made once, kept in the credentials Secret. */
  async pepper(): Promise<Uint8Array> {
    // The pepper in use wins over one set by hand: with a different pepper, no key would be recognized.
    const held = Buffer.from(this.#latestSecret["pepper"] ?? this.#held()["pepper"] ?? "", "base64");
    if (held.length === pepperBytes) return held;
    const pepper = randomBytes(pepperBytes);
    const made = pepper.toString("base64");
    // Ids sealed with the previous pepper still belong to their owners.
    const previous = this.#held()["pepper-copy"];
    await this.#applySecrets({
      ...this.#held(),
      pepper: made,
      "pepper-copy": made,
      ...(previous === undefined ? {} : { "pepper-previous": previous }),
    });
    return pepper;
  }

  pepperId(pepper: Uint8Array): string {
    return sha256Hex(pepper);
  }

  /** Writes the token of the status ports if it does not exist. */
  async publishStatusToken(token: string): Promise<void> {
    const [namespace, name] = [this.#namespace, statusSecretName(this.#prefix)];
    const data = { token: Buffer.from(token).toString("base64") };
    if (this.#statusToken === token) return;
    const there = await orNull(this.#cluster.core.readNamespacedSecret({ namespace, name }));
    if (!sameData(there?.data, data)) {
      this.#mustLead();
      await this.#cluster.apply({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name, namespace, labels: publishedLabels, annotations: untracked },
        type: "Opaque",
        data,
      });
    }
    this.#statusToken = token;
  }

  /** Before each write, since a publish takes many writes and the lease may end between two of them. */
  #mustLead(): void {
    if (!this.#leading()) throw new Error("no longer the leader");
  }

  /**
   * Writes the Secrets that differ, shards first, so that a value that leaves the first Secret is in a shard by then.
   */
  async #applySecrets(data: Record<string, string>): Promise<number> {
    let written = 0;
    for (const [name, part] of [...credentialsSecretsOf(this.#prefix, data)].reverse()) {
      if (sameData(this.#secrets.get(name), part)) continue;
      await this.#applySecret(name, part);
      written++;
    }
    this.#latestSecret = data;
    return written;
  }

  async #applySecret(name: string, data: Record<string, string>): Promise<void> {
    this.#mustLead();
    const metadata = { name, namespace: this.#namespace, labels: publishedLabels, annotations: untracked };
    await this.#cluster.apply({ apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data });
    this.#secrets.set(name, data);
  }

  async #applyMap(name: string, data: Record<string, string>): Promise<void> {
    this.#mustLead();
    await this.#cluster.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: this.#namespace, labels: publishedLabels, annotations: untracked },
      data,
    });
    this.#maps.set(name, data);
    this.#parsed = null;
  }

  /**
   * Credentials to hold: all that exist, for proxies at older revisions, and all that the new revision names. If they
   * don't fit, those that neither revision names are dropped first.
   */
  #wantedSecret(published: PublishedConfig, values: ReadonlyMap<string, string>): Record<string, string> {
    const wanted = this.#held();
    const pepper = this.#latestSecret["pepper"];
    if (pepper !== undefined) {
      wanted["pepper"] = pepper;
      wanted["pepper-copy"] = pepper;
    }
    const previous = this.#latestSecret["pepper-previous"];
    if (previous !== undefined) wanted["pepper-previous"] = previous;
    for (const name of published.manifest.credentials) {
      const kept = this.#latestSecret[name];
      if (wanted[name] === undefined && kept !== undefined) wanted[name] = kept;
    }
    const named = new Set(published.manifest.credentials);
    for (const [digest, value] of values) {
      const name = credentialName(digest);
      if (named.has(name)) wanted[name] = Buffer.from(value).toString("base64");
    }
    const lost = published.manifest.credentials.find((name) => wanted[name] === undefined);
    if (lost !== undefined)
      throw new Error(`the value of ${lost} is not known, so a config that names it can't be published`);
    const inUse = new Set([...pepperNames, ...named]);
    const choices = [
      wanted,
      only(wanted, inUse.union(new Set(this.#latest?.manifest.credentials))),
      only(wanted, inUse),
    ];
    const fitting = choices.find((some) =>
      [...credentialsSecretsOf(this.#prefix, some).values()].every((data) => secretBytes(data) <= mostBytes),
    );
    if (fitting !== undefined) return fitting;
    throw new Error(`the credentials in use take more than ${mostBytes} bytes in one Secret`);
  }

  #isNews(name: string, data: Record<string, string>): boolean {
    const now = this.#maps.get(name);
    if (now === undefined || Object.keys(data).some((key) => now[key] !== data[key])) return true;
    // Keeps equal text once.
    this.#maps.set(name, { ...now, ...data });
    return false;
  }

  /** Writes what differs: shards first, and the manifest once everything that it names exists. */
  async #putAll(published: PublishedConfig): Promise<number> {
    const main = configMapNames(this.#prefix)[0];
    const due = [...configMapsOf(this.#prefix, published)].filter(([name, data]) => this.#isNews(name, data));
    const large = due.find(([, data]) => mapBytes(data) > mostBytes);
    if (large !== undefined)
      throw new Error(`ConfigMap ${large[0]} would take ${mapBytes(large[1])} bytes; it may take ${mostBytes}`);
    const shards = due.filter(([name]) => name !== main);
    const [failure] = await eachOf(shards, writesAtOnce, ([name, data]) => this.#applyMap(name, data));
    if (failure !== undefined) throw failure;
    for (const [name, data] of due) if (name === main) await this.#applyMap(name, data);
    return due.length;
  }

  /**
   * Publishes key records first, so that a revocation goes out even if the rest fails: the new keys with everything
   * else as already published. Does nothing if no key has changed or nothing is published yet.
   */
  async #publishKeys(current: Published | null, config: RenderedConfig, next: PublishedConfig): Promise<number> {
    if (current === null || current.manifest.pepperId !== next.manifest.pepperId) return 0;
    const keysFirst = withKeysOf(current, next);
    const { revision } = keysFirst.manifest;
    if (revision === current.manifest.revision) return 0;
    const written = await this.#putAll(keysFirst);
    this.#latest = { ...keysFirst, config: { ...current.config, keys: config.keys } };
    return written;
  }

  /** `values`: digest → clear credential. Never throws: the outcome says what could not be published. */
  async publish(
    config: RenderedConfig,
    published: PublishedConfig,
    values: ReadonlyMap<string, string>,
  ): Promise<Publication> {
    let written = 0;
    this.#latest = this.#current();
    this.#asLatest = false;
    try {
      written += await this.#publishKeys(this.#latest, config, published);
      const wanted = this.#wantedSecret(published, values);
      const held = this.#held();
      if (Object.keys(wanted).some((name) => wanted[name] !== held[name])) written += await this.#applySecrets(wanted);
      written += await this.#putAll(published);
      this.#latest = { ...published, config };
      this.#latestSecret = wanted;
      this.#asLatest = true;
      return { written, live: this.#latest, failure: null };
    } catch (failure) {
      await this.#restore();
      return { written, live: this.#current(), failure };
    }
  }

  /** Restores shards: those of a revision that was never completed would make the published one unreadable. */
  async #restore(): Promise<void> {
    if (this.#latest === null || !this.#leading()) return;
    // What can't be written now is tried again by the next publish.
    await this.#putAll(this.#latest).catch(() => undefined);
  }

  /**
   * Removes credentials and shards that the live revision does not name. Call it when every proxy serves that revision.
   */
  async tidy(published: PublishedConfig): Promise<void> {
    const held = this.#held();
    const kept = only(held, new Set([...pepperNames, ...published.manifest.credentials]));
    if (Object.keys(kept).length < Object.keys(held).length) await this.#applySecrets(kept);
    const secrets = credentialsSecretsOf(this.#prefix, kept);
    for (const [name, data] of this.#secrets)
      if (!secrets.has(name) && Object.keys(data).length > 0) await this.#applySecret(name, {});
    const live = configMapsOf(this.#prefix, published);
    for (const [name, data] of this.#maps) {
      if (!live.has(name) && Object.keys(data).length > 0) await this.#applyMap(name, {});
    }
  }
}
