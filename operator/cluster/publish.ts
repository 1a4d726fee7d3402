/**
 * Publishes a config for proxies, in an order that lets a revocation go out even if the rest can't:
 *
 *   keys        key shards, and a manifest that names them along with everything else already published
 *   the rest    Secrets with credentials, then the other shards, and the manifest last
 *
 * Parts that the live revision no longer names are removed once every proxy has moved on.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { canonicalJson, credentialName, manifestOf, sha256Hex } from "../../proxy/config/encode.ts";
import { credentialNames } from "../../proxy/config/names.ts";
import { parseDocuments } from "../../proxy/config/parse.ts";
import type { PublishedConfig, RenderedConfig } from "../../proxy/config/schema.ts";
import { configMapNames, configMapsOf, credentialsSecretsOf, statusSecretName } from "../publish/layout.ts";
import type { Cluster } from "./api.ts";
import { maxBytes, PublishedObjects } from "./published-objects.ts";

const pepperBytes = 32;
const pepperNames = ["pepper", "pepper-copy", "pepper-previous"];

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
  const mixed = <T>(records: Readonly<Record<string, T>>, keysOf: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries([
      ...Object.entries(records).filter(([name]) => !isKeys(name)),
      ...Object.entries(keysOf).filter(([name]) => isKeys(name)),
    ]);
  const { revision: _, ...rest } = current.manifest;
  const manifest = manifestOf({ ...rest, documents: mixed(current.manifest.documents, next.manifest.documents) });
  const documents = mixed(current.documents, next.documents);
  return { manifest, documents: { ...documents, "manifest.json": canonicalJson(manifest) } };
}

export class Publisher {
  readonly #objects: PublishedObjects;
  readonly #prefix: string;
  readonly #leading: () => boolean;
  /** The config in the ConfigMaps, as parsed from one version of them. */
  #parsed: { version: number; published: Published | null } | null = null;
  /**
   * What this process last published, so that values deleted by hand can be restored and last good forms stay known.
   */
  #latest: Published | null = null;
  #latestSecret: Record<string, string> = {};
  /** The token as last seen in its Secret; "" to read it again. */
  #statusToken = "";
  /** Whether exactly the latest config is published, so that it needs no reading. */
  #asLatest = false;

  constructor(cluster: Cluster, namespace: string, prefix: string, leading: () => boolean) {
    this.#objects = new PublishedObjects(cluster, namespace, prefix, leading);
    this.#prefix = prefix;
    this.#leading = leading;
  }

  /** Reads everything that is published, so that drift shows. Called before the first publish and at every resync. */
  async read(whole = true): Promise<void> {
    this.#statusToken = "";
    const same = await this.#objects.read(whole || !this.#asLatest);
    this.#asLatest &&= same;
  }

  /** The published config if it is whole and usable: a provider whose credential is lost can't be a last good form. */
  previous(): RenderedConfig | null {
    const config = this.#current()?.config;
    if (config === undefined) return null;
    const held = { ...this.#latestSecret, ...this.#objects.credentials() };
    return {
      ...config,
      providers: config.providers.filter((provider) => credentialNames(provider).every((name) => name in held)),
    };
  }

  /** Revision of the published config; "" if there is none. */
  revision(): string {
    return this.#current()?.manifest.revision ?? "";
  }

  /** The config that the ConfigMaps hold; parsed once for each state of them. */
  #published(): Published | null {
    const { version } = this.#objects;
    if (this.#parsed?.version !== version) this.#parsed = { version, published: this.#parse() };
    return this.#parsed.published;
  }

  #parse(): Published | null {
    const files = this.#objects.files();
    const parsed = parseDocuments(files);
    if (!parsed.ok) return null;
    const { config, manifest } = parsed;
    const names = [...Object.keys(manifest.documents), "manifest.json"];
    return { config, manifest, documents: Object.fromEntries(names.map((name) => [name, files[name] ?? ""])) };
  }

  #current(): Published | null {
    return (this.#asLatest ? null : this.#published()) ?? this.#latest;
  }

  /** The HMAC key of all digests: made once, kept in the credentials Secret. */
  async pepper(): Promise<Uint8Array> {
    // The pepper in use wins over one set by hand: with a different pepper, no key would be recognized.
    const held = Buffer.from(this.#latestSecret["pepper"] ?? this.#objects.credentials()["pepper"] ?? "", "base64");
    if (held.length === pepperBytes) return held;
    const pepper = randomBytes(pepperBytes);
    const made = pepper.toString("base64");
    // Ids sealed with the previous pepper still belong to their owners.
    const previous = this.#objects.credentials()["pepper-copy"];
    await this.#applySecrets({
      ...this.#objects.credentials(),
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
    if (this.#statusToken === token) return;
    await this.#objects.ensureSecret(statusSecretName(this.#prefix), { token: Buffer.from(token).toString("base64") });
    this.#statusToken = token;
  }

  /** Shards first, so that a value that leaves the first Secret is in a shard by then. */
  async #applySecrets(data: Record<string, string>): Promise<number> {
    const written = await this.#objects.putSecrets([...credentialsSecretsOf(this.#prefix, data)].reverse());
    this.#latestSecret = data;
    return written;
  }

  /**
   * Credentials to hold: all that exist, for proxies at older revisions, and all that the new revision names. If they
   * don't fit, those that neither revision names are dropped first.
   */
  #wantedSecret(published: PublishedConfig, values: ReadonlyMap<string, string>): Record<string, string> {
    const wanted = this.#objects.credentials();
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
      [...credentialsSecretsOf(this.#prefix, some).values()].every((data) => secretBytes(data) <= maxBytes),
    );
    if (fitting !== undefined) return fitting;
    throw new Error(`the credentials in use take more than ${maxBytes} bytes in one Secret`);
  }

  /** Writes what differs: shards first, and the manifest once everything that it names exists. */
  async #putAll(published: PublishedConfig): Promise<number> {
    return this.#objects.putMaps(configMapsOf(this.#prefix, published), configMapNames(this.#prefix)[0]);
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
      const held = this.#objects.credentials();
      if (Object.keys(wanted).some((name) => wanted[name] !== held[name])) written += await this.#applySecrets(wanted);
      written += await this.#putAll(published);
      this.#latest = { ...published, config };
      this.#latestSecret = wanted;
      this.#asLatest = true;
      // Free the memory of a second copy.
      this.#parsed = null;
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
    const held = this.#objects.credentials();
    const kept = only(held, new Set([...pepperNames, ...published.manifest.credentials]));
    if (Object.keys(kept).length < Object.keys(held).length) await this.#applySecrets(kept);
    for (const name of this.#objects.leftovers("Secret", credentialsSecretsOf(this.#prefix, kept)))
      await this.#objects.putSecret(name, {});
    for (const name of this.#objects.leftovers("ConfigMap", configMapsOf(this.#prefix, published)))
      await this.#objects.putMap(name, {});
  }
}
