/**
 * Revocations take a separate path: from the watch to one small ConfigMap, which proxies read in addition to the
 * config. They don't wait for a pass, a Secret, a status or any other write.
 */
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { type Revocations, revocationsDocument, revocationsName } from "../../proxy/config/revocations.ts";
import { revocationsMapName } from "../publish/layout.ts";
import { type KeyState, RevocationBook } from "../publish/revocation-book.ts";
import { type Cluster, orNull, untracked } from "./api.ts";
import { LatestRun } from "./latest-run.ts";
import { publishedLabels } from "./published-objects.ts";

const firstRetryMs = 200;
const maxRetryMs = 5_000;

export interface RevocationPathOptions {
  cluster: Cluster;
  namespace: string;
  /** Prefix of published names. */
  prefix: string;
  stateOf(id: string): KeyState;
  leading(): boolean;
  /** Sends the document to the proxies that run. */
  send(text: string): Promise<void>;
  /** Makes proxies read what was written: those that could not be reached, and those that start later. */
  nudge(): Promise<void>;
  /** Called after a write, with the number of revocations that are now published. */
  written(keys: number): void;
  failed(cause: unknown): void;
}

/** Overwrites changes made by hand. */
function contentOf(text: string): Pick<Revocations, "id" | "digests"> {
  try {
    return revocationsDocument.parse(JSON.parse(text));
  } catch {
    return { id: "", digests: [] };
  }
}

export class RevocationPath {
  readonly #options: RevocationPathOptions;
  readonly #book: RevocationBook;
  /** The document as last read or written; "" if there is none. */
  #written = "";
  /** The document as last sent to the proxies. */
  #sent = "";
  /** Whether proxies need the next document at once. Removing a revocation isn't urgent. */
  #hurry = false;
  /** Names of contents with which a proxy refuses every key that it must. */
  #enough = new Set([""]);
  #nudged = "";
  readonly #sends = new LatestRun(() => this.#send());
  readonly #writes = new LatestRun(() => this.#write());
  #retry: NodeJS.Timeout | null = null;
  #retryMs = firstRetryMs;

  constructor(options: RevocationPathOptions) {
    this.#options = options;
    this.#book = new RevocationBook(options.stateOf);
  }

  /** The watch reported a change of the ApiKey `namespace/name`. */
  changed(id: string): void {
    this.#book.changed(id);
    this.#update();
  }

  /** Call when this process becomes the leader. */
  forget(): void {
    this.#book.forget();
    this.#written = "";
    this.#sent = "";
    this.#enough = new Set([""]);
    this.#nudged = "";
  }

  /** Reads what is published, and compares `keys`, which proxies find, with what the watch knows. Never throws. */
  async found(keys: readonly KeyRecord[]): Promise<void> {
    const { cluster, namespace, prefix, failed } = this.#options;
    try {
      const name = revocationsMapName(prefix);
      const map = await orNull(cluster.core.readNamespacedConfigMap({ namespace, name }));
      this.#written = map?.data?.[revocationsName] ?? "";
      const { id, digests } = contentOf(this.#written);
      this.#enough.add(id);
      this.#book.found(keys, digests);
    } catch (cause) {
      failed(cause);
      this.#book.found(keys, []);
    }
    this.#update();
  }

  /** Call right before a pass reads the objects. What it returns belongs to `publishing` and `published`. */
  reading(): number {
    return this.#book.reading();
  }

  /** Publishes revocations that came after the pass had read the objects, before `keys` accept them again. */
  async publishing(keys: readonly KeyRecord[], turn: number): Promise<void> {
    this.#book.publishing(keys, turn);
    this.#update();
    await this.idle();
  }

  /** Proxies now find `keys`. */
  published(keys: readonly KeyRecord[], turn: number): void {
    this.#book.published(keys, turn);
    this.#update();
  }

  /** Every proxy serves what was last published. */
  everywhere(): void {
    this.#book.everywhere();
    this.#update(false);
  }

  /** Sends the document again, to proxies that lack it. */
  async resend(): Promise<void> {
    await this.#options.send(this.#book.document().text);
  }

  /** Whether a proxy that has read the content of this name refuses every key that it must; null if it doesn't say. */
  isEnough(id: string | null): boolean {
    return id === null || this.#enough.has(id);
  }

  /** The mark of a Pod that should have the revision and all revocations. */
  mark(revision: string): string {
    return this.#nudged === "" ? revision : `${revision}.${this.#nudged}`;
  }

  /** Resolves when nothing is being written. */
  idle(): Promise<void> {
    return this.#writes.idle();
  }

  stop(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
  }

  #update(hurry = true): void {
    this.#hurry ||= hurry;
    if (hurry) this.#sends.trigger();
    this.#writes.trigger();
  }

  async #send(): Promise<void> {
    const { leading, send, failed } = this.#options;
    const { text, digests } = this.#book.document();
    const nothing = this.#sent === "" && digests.length === 0;
    if (text === this.#sent || nothing || !leading()) return;
    this.#sent = text;
    await send(text).catch(failed);
  }

  async #write(): Promise<void> {
    try {
      await this.#writeNow();
      this.#retryMs = firstRetryMs;
    } catch (cause) {
      this.#hurry = true;
      this.#options.failed(cause);
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#update(this.#hurry);
    }, this.#retryMs);
    this.#retry.unref();
    this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2);
  }

  async #writeNow(): Promise<void> {
    const { cluster, namespace, prefix, leading, nudge, failed } = this.#options;
    const { id, digests, text } = this.#book.document();
    const hurry = this.#hurry;
    this.#hurry = false;
    const nothing = this.#written === "" && digests.length === 0;
    if (text === this.#written || nothing) return;
    if (!leading()) {
      // The lease may be renewed yet. Another leader sees the same revocations.
      this.#hurry = hurry;
      this.#retryLater();
      return;
    }
    await cluster.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: revocationsMapName(prefix), namespace, labels: publishedLabels, annotations: untracked },
      data: { [revocationsName]: text },
    });
    this.#written = text;
    if (hurry) this.#options.written(digests.length);
    if (!hurry) this.#enough.add(id);
    else {
      this.#enough = new Set([id]);
      this.#nudged = id;
      void nudge().catch(failed);
    }
  }
}
