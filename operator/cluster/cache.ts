/**
 * Caches of objects, kept by list and watch. client-node's informers give up on most errors, so each is restarted with
 * a growing delay. Until its next list succeeds, a cache keeps serving what it has.
 */
import {
  type Informer,
  type KubernetesListObject,
  type KubernetesObject,
  makeInformer,
  type ObjectCache as Objects,
} from "@kubernetes/client-node";
import type { Cluster } from "./api.ts";
import { SharedConditions } from "./shared-conditions.ts";

/** Receives what the caches and watches of a source report. */
export interface CacheEvents {
  /** Something may have changed. */
  changed(): void;
  /** A list, watch or read failed, and is tried again. */
  failed(path: string, cause: unknown): void;
  /** A list succeeded. */
  recovered?(path: string): void;
}

/** Asks for one page of a list. */
export type ListPage<T extends KubernetesObject> = (page: {
  limit: number;
  _continue?: string;
}) => Promise<KubernetesListObject<T>>;

export interface CacheOptions<T extends KubernetesObject> extends CacheEvents {
  /** URL path of the list and the watch. */
  path: string;
  list: ListPage<T>;
  /** Receives each object that is added, changed or deleted. */
  seen?(object: T): void;
  labelSelector?: string;
}

/** Objects in one answer: of 20,000 in one, text and objects together would take most of the memory. */
const pageSize = 500;
type Metadata = NonNullable<KubernetesObject["metadata"]>;

const appliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";
const firstPauseMs = 500;
const maxPauseMs = 30_000;

/**
 * Leaves out members that the operator doesn't read, which are most of most objects. Builds a new object, since
 * deleting members from one makes it take several times the memory.
 */
function leanMetadata(metadata: Metadata): Metadata {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp } = metadata;
  const lean = { name, namespace, uid, resourceVersion, generation, creationTimestamp } as Metadata;
  const { labels, annotations = {}, deletionTimestamp } = metadata;
  const { [appliedAnnotation]: _, ...others } = annotations;
  if (labels !== undefined) lean.labels = labels;
  if (Object.keys(others).length > 0) lean.annotations = others;
  if (deletionTimestamp !== undefined) lean.deletionTimestamp = deletionTimestamp;
  return lean;
}

function slim(object: KubernetesObject & { status?: unknown }, shared: SharedConditions): void {
  if (object.metadata !== undefined) object.metadata = leanMetadata(object.metadata);
  if (object.status !== undefined) object.status = shared.in(object.status);
}

async function listAll<T extends KubernetesObject>(
  list: ListPage<T>,
  shared: SharedConditions,
): Promise<KubernetesListObject<T>> {
  const items: T[] = [];
  for (let _continue = ""; ; ) {
    const page = await list({ limit: pageSize, ...(_continue === "" ? {} : { _continue }) });
    for (const item of page.items) slim(item, shared);
    items.push(...page.items);
    _continue = page.metadata?._continue ?? (page.metadata as { continue?: string } | undefined)?.continue ?? "";
    if (_continue === "") return { ...page, items };
  }
}

export class ObjectCache<T extends KubernetesObject> {
  readonly #options: CacheOptions<T>;
  readonly #informer: Informer<T> & Objects<T>;
  readonly #shared = new SharedConditions();
  #synced = false;
  #pauseMs = firstPauseMs;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(cluster: Cluster, options: CacheOptions<T>) {
    this.#options = options;
    this.#informer = makeInformer<T>(cluster.config, options.path, () => this.#list(), options.labelSelector);
    for (const verb of ["add", "update", "delete"] as const)
      this.#informer.on(verb, (object) => {
        slim(object, this.#shared);
        options.seen?.(object);
        options.changed();
      });
    this.#informer.on("error", (cause) => this.#retry(cause));
    this.#start();
  }

  /** Whether the first list has succeeded. */
  synced(): boolean {
    return this.#synced;
  }

  list(): readonly T[] {
    return this.#informer.list();
  }

  get(name: string, namespace: string): T | undefined {
    return this.#informer.get(name, namespace);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#informer.stop();
  }

  async #list(): Promise<KubernetesListObject<T>> {
    const answer = await listAll(this.#options.list, this.#shared);
    this.#pauseMs = firstPauseMs;
    this.#synced = true;
    this.#options.recovered?.(this.#options.path);
    // The informer reports the objects it sees, not an empty list.
    queueMicrotask(() => this.#options.changed());
    return answer;
  }

  #start(): void {
    this.#informer.start().catch((cause) => this.#retry(cause));
  }

  #retry(cause: unknown): void {
    if (this.#stopped || this.#timer) return;
    this.#options.failed(this.#options.path, cause);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#start();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(maxPauseMs, this.#pauseMs * 2);
  }
}
