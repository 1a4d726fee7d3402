/**
 * How a standby operator handles revocations. The leader publishes each at once, but it may be dead or cut off, and its
 * Lease takes 15 seconds to expire. So a standby that sees a revocation checks whether the leader has published it, and
 * otherwise sends the key's digest to the proxies itself. They add it to the leader's document. The message never makes
 * a key valid, so two operators can't contradict each other.
 *
 *   the watch reports a revocation      wait a moment for the leader
 *   the leader has published it         nothing to do
 *   the published records accept it     send it, and again until a leader has published it
 */
import { canonicalJson, sha256Hex } from "../../proxy/config/encode.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { maxRevocations, revocationsDocument, revocationsName } from "../../proxy/config/revocations.ts";
import { type Manifest, schemaVersion } from "../../proxy/config/schema.ts";
import { configMapOfDocument, revocationsMapName } from "../publish/layout.ts";
import type { KeyState } from "../publish/revocation-book.ts";
import { type Cluster, orNull } from "./api.ts";
import { eachOf } from "./each.ts";
import { LatestRun } from "./latest-run.ts";

/** How long to wait for the leader, which needs a fraction of this. */
const defaultPatienceMs = 500;
/** Proxies forget the message with the next config. */
const againMs = 5_000;
const retryMs = 1_000;
const readsAtOnce = 8;
/** Looking for more in each document takes longer than parsing it. */
const maxSearched = 32;
/** More go out with the next leader. */
const maxIds = 10_000;

type Seen = Pick<KeyRecord, "id" | "digest" | "revoked">;

export interface StandbyOptions {
  cluster: Cluster;
  namespace: string;
  /** Prefix of published names. */
  prefix: string;
  /** Names this operator to the proxies. */
  sender: string;
  patienceMs?: number;
  stateOf(id: string): KeyState;
  /** Whether another process may be the leader, and this one knows all keys. */
  standsBy(): boolean;
  send(text: string): Promise<void>;
  /** Called with the number of revoked keys that the leader has not published. */
  sent(keys: number): void;
  failed(cause: unknown): void;
}

export class StandbyRevocationPath {
  readonly #options: StandbyOptions;
  /** ApiKeys that were revoked or deleted, until the leader has published that. */
  readonly #ids = new Set<string>();
  /** Published key records as text, by document, kept for the next revocation, so that only what changed is read again. */
  readonly #shards = new Map<string, { digest: string; text: string }>();
  #sent = "";
  #timer: NodeJS.Timeout | null = null;
  #dueMs = 0;
  #stopped = false;
  readonly #runs = new LatestRun(() => this.#run());

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** The watch reported a change of the ApiKey `namespace/name`. */
  changed(id: string): void {
    const { patienceMs = defaultPatienceMs, stateOf, standsBy } = this.#options;
    const known = this.#ids.has(id);
    if (!standsBy()) this.#shards.clear();
    if (!known && (this.#ids.size >= maxIds || !standsBy() || stateOf(id) === "Live")) return;
    this.#ids.add(id);
    this.#later(patienceMs);
  }

  /** Resolves when nothing is being read or sent. */
  idle(): Promise<void> {
    return this.#runs.idle();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #later(ms: number): void {
    const dueMs = performance.now() + ms;
    if (this.#stopped || (this.#timer !== null && this.#dueMs <= dueMs)) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#runs.trigger();
    }, ms);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    try {
      await this.#look();
      if (this.#ids.size > 0) this.#later(againMs);
    } catch (cause) {
      this.#options.failed(cause);
      this.#later(retryMs);
    }
  }

  async #look(): Promise<void> {
    const { stateOf, sender, send, sent } = this.#options;
    for (const id of this.#ids) if (stateOf(id) === "Live") this.#ids.delete(id);
    const due = this.#ids.size === 0 ? [] : await this.#unpublished();
    const waiting = new Set(due.map(({ id }) => id));
    for (const id of this.#ids) if (!waiting.has(id)) this.#ids.delete(id);
    const digests = due.map(({ digest }) => digest).sort();
    const text = canonicalJson({ schemaVersion, sender, digests: digests.slice(0, maxRevocations) });
    if (digests.length === 0 && this.#sent === "") return;
    await send(text);
    if (text !== this.#sent && digests.length > 0) sent(digests.length);
    this.#sent = digests.length === 0 ? "" : text;
  }

  async #documentOf(map: string, document: string): Promise<string> {
    const { cluster, namespace } = this.#options;
    return (await orNull(cluster.core.readNamespacedConfigMap({ namespace, name: map })))?.data?.[document] ?? "";
  }

  /** Records of the keys that proxies accept, going by what is published. */
  async #unpublished(): Promise<Seen[]> {
    const { prefix } = this.#options;
    const [records, text] = await Promise.all([
      this.#records(),
      this.#documentOf(revocationsMapName(prefix), revocationsName),
    ]);
    const published = new Set(text === "" ? [] : revocationsDocument.parse(JSON.parse(text)).digests);
    return records.filter(({ digest, revoked }) => !revoked && !published.has(digest));
  }

  /** Published records of the keys in question. */
  async #records(): Promise<Seen[]> {
    await this.#readShards();
    const quoted = [...this.#ids].map((id) => JSON.stringify(id));
    // Most documents hold none of a few keys, and needn't be parsed.
    const texts = [...this.#shards.values()].filter(
      ({ text }) => quoted.length > maxSearched || quoted.some((id) => text.includes(id)),
    );
    const records = texts.flatMap(({ text }) => (JSON.parse(text) as { keys: Seen[] }).keys);
    return records.filter(({ id }) => this.#ids.has(id));
  }

  /** Reads the documents that have changed. */
  async #readShards(): Promise<void> {
    const { prefix } = this.#options;
    const name = "manifest.json";
    const text = await this.#documentOf(configMapOfDocument(prefix, name), name);
    const documents = text === "" ? {} : (JSON.parse(text) as Manifest).documents;
    for (const document of this.#shards.keys()) if (documents[document] === undefined) this.#shards.delete(document);
    const changed = Object.entries(documents).filter(
      ([document, digest]) => document.startsWith("keys-") && this.#shards.get(document)?.digest !== digest,
    );
    const [failure] = await eachOf(changed, readsAtOnce, async ([document]) => {
      const content = await this.#documentOf(configMapOfDocument(prefix, document), document);
      // A leader may be writing: its manifest follows.
      this.#shards.set(document, { digest: sha256Hex(content), text: content });
    });
    if (failure !== undefined) throw failure;
  }
}
