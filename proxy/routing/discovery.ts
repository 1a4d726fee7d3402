/**
 * Asks providers for their models at intervals, if the LLMProvider enables that. Models are only reported: the operator
 * adds them to the config, with prices. Timers, clock and the call are arguments.
 */
import { isDeepStrictEqual } from "node:util";
import { type DiscoveryConfig, type DiscoveryReading, taken } from "../config/discovery.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";
import type { CheckClock } from "./health-checks.ts";
import { accountIdentity } from "./health-checks.ts";

/** Names of a provider's models, or why there are none. Must not reject. */
export type ListModels = (entry: ProviderEntry) => Promise<readonly string[] | string>;

const maxFirstWaitMs = 1_000;
/** A failed request is repeated sooner. */
const maxRetryMs = 60_000;
const jitter = 0.1;

const nothing: DiscoveryReading = { models: null, matching: 0, reason: null };

const identityOf = (entry: ProviderEntry): unknown => [accountIdentity(entry), entry.account.config.discovery];

class Lookout {
  readonly #config: DiscoveryConfig;
  readonly #clock: CheckClock;
  readonly #list: ListModels;
  entry: ProviderEntry;
  reading = nothing;
  #stopped = false;
  #cancel: () => void;

  constructor(entry: ProviderEntry, config: DiscoveryConfig, clock: CheckClock, list: ListModels) {
    this.entry = entry;
    this.#config = config;
    this.#clock = clock;
    this.#list = list;
    const firstMs = clock.random() * Math.min(maxFirstWaitMs, config.intervalMs);
    this.#cancel = clock.after(firstMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const models = await this.#list(this.entry);
    if (this.#stopped) return;
    if (typeof models === "string") this.reading = { ...this.reading, reason: models };
    else {
      const matching = taken(models, this.#config);
      this.reading = { models: matching.slice(0, this.#config.most), matching: matching.length, reason: null };
    }
    const { intervalMs } = this.#config;
    const waitMs = typeof models === "string" ? Math.min(maxRetryMs, intervalMs) : intervalMs;
    this.#cancel = this.#clock.after(
      waitMs * (1 - jitter + 2 * jitter * this.#clock.random()),
      () => void this.#look(),
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }
}

export class ModelDiscovery {
  readonly #clock: CheckClock;
  readonly #list: ListModels;
  readonly #lookouts = new Map<string, Lookout>();

  constructor(clock: CheckClock, list: ListModels) {
    this.#clock = clock;
    this.#list = list;
  }

  /** Starts, changes and stops requests to match the config. Results survive unless account or settings change. */
  apply(providers: ReadonlyMap<string, ProviderEntry>): void {
    for (const [id, lookout] of this.#lookouts) {
      const entry = providers.get(id);
      if (entry !== undefined && isDeepStrictEqual(identityOf(entry), identityOf(lookout.entry))) {
        lookout.entry = entry;
        continue;
      }
      lookout.stop();
      this.#lookouts.delete(id);
    }
    for (const [id, entry] of providers) {
      const { discovery } = entry.account.config;
      if (discovery === undefined || this.#lookouts.has(id)) continue;
      this.#lookouts.set(id, new Lookout(entry, discovery, this.#clock, this.#list));
    }
  }

  /** null if the provider's models are not discovered. */
  reading(provider: string): DiscoveryReading | null {
    return this.#lookouts.get(provider)?.reading ?? null;
  }

  stop(): void {
    for (const lookout of this.#lookouts.values()) lookout.stop();
    this.#lookouts.clear();
  }
}
