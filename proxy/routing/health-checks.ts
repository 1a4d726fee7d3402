/**
 * Active health checks: each provider with a health check is probed at intervals. Timers, clock and probe are
 * arguments. Results survive a change of config that leaves the check unchanged.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../clock.ts";
import type { HealthCheckConfig } from "../config/provider.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";

export interface CheckClock extends Clock {
  /** 0 to 1. */
  random(): number;
}

export interface CheckReading {
  /** null if not known yet. */
  healthy: boolean | null;
  /** Epoch milliseconds of the last change of state; null if there was none. */
  sinceMs: number | null;
  /** Why the last check failed; null if it passed. Never contains the provider's own words. */
  reason: string | null;
}

export interface CheckEvents {
  changed(provider: string, reading: CheckReading): void;
}

/** Resolves to the reason for a failure, or to null. Must not reject. */
export type Probe = (entry: ProviderEntry, check: HealthCheckConfig) => Promise<string | null>;

/** The first check runs within this time, so that a start needn't wait for a long interval. */
const maxFirstWaitMs = 1_000;
/** Spreads the checks of proxies that started together. */
const jitter = 0.1;

/** The parts of an account on which answers to the gateway's own calls may depend. */
export const accountIdentity = ({ account }: ProviderEntry): unknown => {
  const { type, endpoint, allowPrivateEndpoint, tls, tokenTls, credentials, identity, headers, query, options } =
    account.config;
  return { type, endpoint, allowPrivateEndpoint, tls, tokenTls, credentials, identity, headers, query, options };
};

const identityOf = (entry: ProviderEntry): unknown => [accountIdentity(entry), entry.account.config.healthCheck];

class Check {
  readonly #check: HealthCheckConfig;
  readonly #clock: CheckClock;
  readonly #probe: Probe;
  readonly #changed: (reading: CheckReading) => void;
  entry: ProviderEntry;
  reading: CheckReading = { healthy: null, sinceMs: null, reason: null };
  #failures = 0;
  #successes = 0;
  #stopped = false;
  #cancel: () => void;

  constructor(
    entry: ProviderEntry,
    check: HealthCheckConfig,
    clock: CheckClock,
    probe: Probe,
    changed: (reading: CheckReading) => void,
  ) {
    this.entry = entry;
    this.#check = check;
    this.#clock = clock;
    this.#probe = probe;
    this.#changed = changed;
    this.#cancel = clock.after(clock.random() * Math.min(maxFirstWaitMs, check.intervalMs), () => void this.#ask());
  }

  async #ask(): Promise<void> {
    const reason = await this.#probe(this.entry, this.#check);
    if (this.#stopped) return;
    this.#note(reason);
    const waitMs = this.#check.intervalMs * (1 - jitter + 2 * jitter * this.#clock.random());
    this.#cancel = this.#clock.after(waitMs, () => void this.#ask());
  }

  #note(reason: string | null): void {
    this.#failures = reason === null ? 0 : this.#failures + 1;
    this.#successes = reason === null ? this.#successes + 1 : 0;
    const before = this.reading;
    let { healthy } = before;
    if (this.#failures >= this.#check.failureThreshold) healthy = false;
    else if (this.#successes >= this.#check.successThreshold) healthy = true;
    const turned = healthy !== before.healthy;
    this.reading = { healthy, sinceMs: turned ? this.#clock.nowMs() : before.sinceMs, reason };
    if (turned) this.#changed(this.reading);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }
}

export class HealthChecks {
  readonly #clock: CheckClock;
  readonly #probe: Probe;
  readonly #events: CheckEvents;
  readonly #checks = new Map<string, Check>();

  constructor(clock: CheckClock, probe: Probe, events: CheckEvents) {
    this.#clock = clock;
    this.#probe = probe;
    this.#events = events;
  }

  /** Starts, changes and stops checks to match the config. */
  apply(providers: ReadonlyMap<string, ProviderEntry>): void {
    for (const [id, check] of this.#checks) {
      const entry = providers.get(id);
      if (entry !== undefined && isDeepStrictEqual(identityOf(entry), identityOf(check.entry))) {
        check.entry = entry;
        continue;
      }
      check.stop();
      this.#checks.delete(id);
    }
    for (const [id, entry] of providers) {
      const { healthCheck } = entry.account.config;
      if (healthCheck === null || this.#checks.has(id)) continue;
      this.#checks.set(
        id,
        new Check(entry, healthCheck, this.#clock, this.#probe, (reading) => this.#events.changed(id, reading)),
      );
    }
  }

  /** null if the provider has no check. */
  reading(provider: string): CheckReading | null {
    return this.#checks.get(provider)?.reading ?? null;
  }

  stop(): void {
    for (const check of this.#checks.values()) check.stop();
    this.#checks.clear();
  }
}
