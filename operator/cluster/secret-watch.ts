/**
 * Which Secrets change, by a watch on their metadata: names and versions, never values. The operator then reads those
 * that objects refer to, by name. A watch without a resource version begins with all Secrets that exist, so no `list` is
 * needed.
 */
import { type KubeConfig, type KubernetesObject, type RequestContext, Watch } from "@kubernetes/client-node";

const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/** After this time, a watch has sent all existing Secrets. */
const replayMs = 5_000;
const firstPauseMs = 500;
const maxPauseMs = 30_000;

export interface SecretChanges {
  /** `version` is "" for a Secret that is deleted. */
  changed(ref: string, version: string): void;
  /** A watch began again from the present: any Secret that it did not report is gone. */
  replayed(place: string | null, reported: ReadonlySet<string>): void;
  failed(cause: unknown): void;
}

function asMetadata(config: KubeConfig): KubeConfig {
  return Object.create(config, {
    applySecurityAuthentication: {
      value: async (context: RequestContext): Promise<void> => {
        await config.applySecurityAuthentication(context);
        context.setHeaderParam("Accept", metadataOnly);
      },
    },
  }) as KubeConfig;
}

const isGone = (cause: unknown): boolean => (cause as { statusCode?: number } | null)?.statusCode === 410;

export class SecretWatch {
  readonly #place: string | null;
  readonly #watch: Watch;
  readonly #changes: SecretChanges;
  #version = "";
  #replay: Set<string> | null = null;
  #replayTimer: NodeJS.Timeout | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #request: AbortController | null = null;
  #pauseMs = firstPauseMs;
  #stopped = false;

  /** `place`: a namespace; null for all. */
  constructor(config: KubeConfig, place: string | null, changes: SecretChanges) {
    this.#place = place;
    this.#watch = new Watch(asMetadata(config));
    this.#changes = changes;
    void this.#begin();
  }

  /** Whether every change is reported at present. */
  get running(): boolean {
    return this.#request !== null && this.#replay === null;
  }

  async #begin(): Promise<void> {
    const path = this.#place === null ? "/api/v1/secrets" : `/api/v1/namespaces/${this.#place}/secrets`;
    const query = {
      allowWatchBookmarks: true,
      ...(this.#version === "" ? {} : { resourceVersion: this.#version }),
    };
    if (this.#version === "") this.#beginReplay();
    let ended = false;
    const over = (cause: unknown): void => {
      ended = true;
      this.#request = null;
      if (isGone(cause)) this.#version = "";
      this.#again(cause);
    };
    const request = await this.#watch.watch(path, query, (phase, object) => this.#take(phase, object), over);
    if (this.#stopped) request.abort();
    else if (!ended) this.#request = request;
  }

  #take(phase: string, object: KubernetesObject & { code?: number }): void {
    // The version is too old to begin from. The server ends the watch.
    if (phase === "ERROR") {
      this.#version = "";
      return;
    }
    this.#pauseMs = firstPauseMs;
    const { namespace, name, resourceVersion = "" } = object.metadata ?? {};
    // Replayed Secrets come in any order of versions: the newest that is safe to begin from is known after them.
    if (this.#replay === null || phase === "BOOKMARK") this.#version = resourceVersion;
    if (phase === "BOOKMARK") return;
    const ref = `${namespace}/${name}`;
    if (phase === "DELETED") this.#replay?.delete(ref);
    else this.#replay?.add(ref);
    this.#changes.changed(ref, phase === "DELETED" ? "" : resourceVersion);
  }

  #beginReplay(): void {
    this.#replay = new Set();
    if (this.#replayTimer) clearTimeout(this.#replayTimer);
    this.#replayTimer = setTimeout(() => {
      const reported = this.#replay;
      if (this.#request === null || reported === null) return;
      this.#replay = null;
      this.#changes.replayed(this.#place, reported);
    }, replayMs);
    this.#replayTimer.unref();
  }

  #again(cause: unknown): void {
    if (this.#stopped || this.#retryTimer) return;
    // Quiet watches are ended by client-node and begin again where they were.
    const quiet = cause === null || cause === undefined || (cause as Error).name === "TimeoutError";
    if (!quiet && !isGone(cause)) this.#changes.failed(cause);
    this.#retryTimer = setTimeout(
      () => {
        this.#retryTimer = null;
        void this.#begin();
      },
      quiet ? firstPauseMs : this.#pauseMs,
    );
    this.#retryTimer.unref();
    if (!quiet) this.#pauseMs = Math.min(maxPauseMs, this.#pauseMs * 2);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of [this.#replayTimer, this.#retryTimer]) if (timer) clearTimeout(timer);
    this.#request?.abort();
  }
}
