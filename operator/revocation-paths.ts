/** Both paths of revocations: publication by the leader, and messages from a standby operator. */
import type { Cluster } from "./cluster/api.ts";
import { type StatusTokens, sendRevocations, storedTokens } from "./cluster/proxies.ts";
import { RevocationPath } from "./cluster/revocation-path.ts";
import type { ClusterSource } from "./cluster/source.ts";
import { StandbyRevocationPath } from "./cluster/standby-revocation-path.ts";
import type { FailureLog } from "./failure-log.ts";
import type { OperatorSettings } from "./settings/settings.ts";

interface RevocationParts {
  cluster: Cluster;
  settings: OperatorSettings;
  failures: FailureLog;
  source: ClusterSource;
  /** Names this operator to the proxies. */
  sender: string;
  leading(): boolean;
  /** Whether a new leader has yet to compare all keys with what is published. */
  fresh(): boolean;
  /** Revision of the last published config; null before the first. */
  tokens(): StatusTokens | null;
  /** Makes proxies read what was written. */
  nudge(path: RevocationPath): Promise<void>;
}

export class RevocationPaths {
  readonly published: RevocationPath;
  readonly #standby: StandbyRevocationPath;
  readonly #parts: RevocationParts;

  constructor(parts: RevocationParts) {
    this.#parts = parts;
    this.published = this.#publishedPath(parts);
    this.#standby = this.#standbyPath(parts);
    parts.source.onKey((id, own) => {
      this.published.changed(id);
      if (own) this.#standby.changed(id);
    });
  }

  /** Ends once the current work is done. */
  async stop(): Promise<void> {
    await this.published.idle();
    this.published.stop();
    this.#standby.stop();
  }

  #publishedPath({ cluster, settings, failures, source, leading, nudge }: RevocationParts): RevocationPath {
    return new RevocationPath({
      cluster,
      namespace: settings.namespace,
      prefix: settings.publishPrefix,
      stateOf: (id) => source.keyState(id),
      leading,
      send: (text) => this.#send({ text }),
      nudge: () => nudge(this.published),
      written: (keys) => failures.log.info({ keys }, "revocations published"),
      failed: failures.warnAndCount("revocations could not be published; trying again"),
    });
  }

  #standbyPath({
    cluster,
    settings,
    failures,
    source,
    sender,
    leading,
    fresh,
  }: RevocationParts): StandbyRevocationPath {
    return new StandbyRevocationPath({
      cluster,
      namespace: settings.namespace,
      prefix: settings.publishPrefix,
      sender,
      stateOf: (id) => source.keyState(id),
      standsBy: () => source.synced() && (fresh() || !leading()),
      send: (text) => this.#send({ text, standby: true }),
      sent: (keys) => failures.log.warn({ keys }, "the leader has not published revocations; sent them to the proxies"),
      failed: failures.warnAndCount("revocations could not be sent for the leader; trying again"),
    });
  }

  async #send(message: { text: string; standby?: boolean }): Promise<void> {
    const { cluster, settings } = this.#parts;
    const tokens = this.#parts.tokens() ?? (await storedTokens(cluster, settings));
    if (tokens !== null) await sendRevocations(cluster, settings, tokens, message);
  }
}
