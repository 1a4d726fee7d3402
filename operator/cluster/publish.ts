/**
 * Writes what proxies read: the credentials Secret first, then the shards, and the manifest last, each only where it
 * differs from what is there. What the live revision no longer names is removed once every proxy has moved on.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { credentialName, sha256Hex } from "../../proxy/config/encode.ts";
import { credentialNames } from "../../proxy/config/names.ts";
import { parseDocuments } from "../../proxy/config/parse.ts";
import type { PublishedConfig, RenderedConfig } from "../../proxy/config/schema.ts";
import { configMapNames, configMapsOf, credentialsSecretName, statusSecretName } from "../publish/layout.ts";
import { type Cluster, orNull } from "./api.ts";
import { eachOf } from "./each.ts";

const pepperBytes = 32;
const writesAtOnce = 8;
const labels = { "app.kubernetes.io/managed-by": "sluice-operator", "app.kubernetes.io/part-of": "sluice" };

const sameData = (a: Readonly<Record<string, string>> | undefined, b: Readonly<Record<string, string>>): boolean =>
  a !== undefined &&
  Object.keys(a).length === Object.keys(b).length &&
  Object.keys(a).every((name) => a[name] === b[name]);

export class Publisher {
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #prefix: string;
  readonly #leading: () => boolean;
  /** Data of each ConfigMap as last read or written. */
  #maps = new Map<string, Record<string, string>>();
  #secret: Record<string, string> = {};
  /** What this process last published: what a hand took away can be put back, and what was good stays known. */
  #latest: RenderedConfig | null = null;
  #latestSecret: Record<string, string> = {};
  /** As last seen in its Secret; "" where that is to be looked at again. */
  #statusToken = "";
  /** Nothing but the latest is published, so that it needs no reading. */
  #asLatest = false;

  constructor(cluster: Cluster, namespace: string, prefix: string, leading: () => boolean) {
    this.#cluster = cluster;
    this.#namespace = namespace;
    this.#prefix = prefix;
    this.#leading = leading;
  }

  /** Reads everything that is published, so that drift shows. Called before the first publish and at every resync. */
  async read(): Promise<void> {
    const namespace = this.#namespace;
    this.#statusToken = "";
    const names = configMapNames(this.#prefix);
    const found = await Promise.all(
      names.map((name) => orNull(this.#cluster.core.readNamespacedConfigMap({ namespace, name }))),
    );
    const maps = new Map(names.flatMap((name, at) => (found[at] ? [[name, found[at].data ?? {}] as const] : [])));
    this.#asLatest &&=
      maps.size === this.#maps.size && [...maps].every(([name, data]) => sameData(this.#maps.get(name), data));
    if (!this.#asLatest) this.#maps = maps;
    const secret = await orNull(
      this.#cluster.core.readNamespacedSecret({ namespace, name: credentialsSecretName(this.#prefix) }),
    );
    this.#secret = { ...secret?.data };
  }

  /** What is published, whole, and usable: a provider whose credential is lost can't be a last good form. */
  previous(): RenderedConfig | null {
    const config = (this.#asLatest ? null : this.#published()) ?? this.#latest;
    if (config === null) return null;
    const held = { ...this.#latestSecret, ...this.#secret };
    return {
      ...config,
      providers: config.providers.filter((one) => credentialNames(one).every((name) => name in held)),
    };
  }

  #published(): RenderedConfig | null {
    const files = Object.assign({}, ...this.#maps.values()) as Record<string, string>;
    const parsed = parseDocuments(files);
    return parsed.ok ? parsed.config : null;
  }

  /** The HMAC key of all digests: made once, kept in the credentials Secret. */
  async pepper(): Promise<Uint8Array> {
    // The one in use wins over whatever a hand put there: with another, no key would be known any more.
    const held = Buffer.from(this.#latestSecret["pepper"] ?? this.#secret["pepper"] ?? "", "base64");
    if (held.length === pepperBytes) return held;
    const pepper = randomBytes(pepperBytes);
    const made = pepper.toString("base64");
    // Ids that were sealed with the one before are still their owners'.
    const previous = this.#secret["pepper-copy"];
    await this.#applySecret({
      ...this.#secret,
      pepper: made,
      "pepper-copy": made,
      ...(previous === undefined ? {} : { "pepper-previous": previous }),
    });
    return pepper;
  }

  pepperId(pepper: Uint8Array): string {
    return sha256Hex(pepper);
  }

  /** Writes the token of the status ports where it is not there. */
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
        metadata: { name, namespace, labels },
        type: "Opaque",
        data,
      });
    }
    this.#statusToken = token;
  }

  /** Before each write, since a publish is many and a lease may end between two of them. */
  #mustLead(): void {
    if (!this.#leading()) throw new Error("no longer the leader");
  }

  async #applySecret(data: Record<string, string>): Promise<void> {
    this.#mustLead();
    const metadata = { name: credentialsSecretName(this.#prefix), namespace: this.#namespace, labels };
    await this.#cluster.apply({ apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data });
    this.#secret = data;
    this.#latestSecret = data;
  }

  async #applyMap(name: string, data: Record<string, string>): Promise<void> {
    this.#mustLead();
    await this.#cluster.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: this.#namespace, labels },
      data,
    });
    this.#maps.set(name, data);
  }

  /** Credentials to hold: all that are there, for proxies at older revisions, and all that the new one names. */
  #wantedSecret(published: PublishedConfig, values: ReadonlyMap<string, string>): Record<string, string> {
    const wanted = { ...this.#secret };
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
    return wanted;
  }

  /** Number of objects written. `values`: digest → clear credential. */
  async publish(
    config: RenderedConfig,
    published: PublishedConfig,
    values: ReadonlyMap<string, string>,
  ): Promise<number> {
    let written = 0;
    this.#asLatest = false;
    const wanted = this.#wantedSecret(published, values);
    if (Object.keys(wanted).some((name) => wanted[name] !== this.#secret[name])) {
      await this.#applySecret(wanted);
      written++;
    }
    const maps = [...configMapsOf(this.#prefix, published)];
    const put = async ([name, data]: readonly [string, Record<string, string>]): Promise<void> => {
      const now = this.#maps.get(name);
      // The same text is kept once.
      if (now !== undefined && Object.keys(data).every((key) => now[key] === data[key]))
        this.#maps.set(name, { ...now, ...data });
      else {
        await this.#applyMap(name, data);
        written++;
      }
    };
    const [failure] = await eachOf(maps.slice(0, -1), writesAtOnce, put);
    if (failure !== undefined) throw failure;
    // The manifest, once all that it names is there.
    for (const last of maps.slice(-1)) await put(last);
    this.#latest = config;
    this.#latestSecret = wanted;
    this.#asLatest = true;
    return written;
  }

  /** Credentials and shards that the live revision does not name. To be called when every proxy is at it. */
  async tidy(published: PublishedConfig): Promise<void> {
    const needed = new Set(["pepper", "pepper-copy", "pepper-previous", ...published.manifest.credentials]);
    const kept = Object.fromEntries(Object.entries(this.#secret).filter(([name]) => needed.has(name)));
    if (Object.keys(kept).length < Object.keys(this.#secret).length) await this.#applySecret(kept);
    const live = configMapsOf(this.#prefix, published);
    for (const [name, data] of this.#maps) {
      if (!live.has(name) && Object.keys(data).length > 0) await this.#applyMap(name, {});
    }
  }
}
