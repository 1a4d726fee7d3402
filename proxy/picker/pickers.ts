/** The endpoint pickers of InferencePools, by provider. Connections outlive snapshots. */
import type { PickerConfig, PickerTls } from "../config/pool.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";
import { type PickCall, Picker, type PickRequest, type PickResult } from "./picker.ts";

/** What came of asking a picker. `open`: it failed, and the proxy chose a server instead. */
export const pickOutcomes = ["picked", "refused", "open", "failed"] as const;
export type PickOutcome = (typeof pickOutcomes)[number];

export interface PickerReading {
  pool: string;
  /** Why it failed last; null if it has answered since. */
  reason: string | null;
}

interface Asked {
  reason: string | null;
  counts: Record<PickOutcome, number>;
}

const keyOf = (address: string, tls: PickerTls | null): string =>
  `${address}|${tls === null ? "" : `${tls.serverName}|${tls.ca ?? ""}`}`;

export class Pickers {
  readonly #connections = new Map<string, Picker>();
  readonly #asked = new Map<string, Asked>();
  readonly #changed: (provider: string, reason: string | null) => void;

  /** `changed`: receives the providers whose picker begins to fail, with the reason, or answers again. */
  constructor(changed: (provider: string, reason: string | null) => void) {
    this.#changed = changed;
  }

  #connection(address: string, tls: PickerTls | null): Picker {
    const key = keyOf(address, tls);
    let picker = this.#connections.get(key);
    if (picker === undefined) this.#connections.set(key, (picker = new Picker(address, tls)));
    return picker;
  }

  /** Asks one of the pool's pickers; the next one if it can't be reached. */
  async pick({ addresses, tls, timeoutMs }: PickerConfig, request: PickRequest): Promise<PickCall> {
    const untilMs = performance.now() + timeoutMs;
    let pick: PickCall | null = null;
    for (const address of addresses) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) break;
      pick = await this.#connection(address, tls).pick(request, leftMs);
      const result = await pick.result;
      if (result.kind !== "failed" || result.cause !== "picker_unreachable") return pick;
    }
    return pick ?? noPicker;
  }

  /** Counts what came of a call's question. */
  note(provider: string, outcome: PickOutcome, result: PickResult): void {
    const asked = this.#of(provider);
    asked.counts[outcome]++;
    const reason = result.kind === "failed" ? result.why : null;
    if ((reason === null) !== (asked.reason === null)) this.#changed(provider, reason);
    asked.reason = reason;
  }

  #of(provider: string): Asked {
    let asked = this.#asked.get(provider);
    if (asked === undefined) {
      asked = { reason: null, counts: { picked: 0, refused: 0, open: 0, failed: 0 } };
      this.#asked.set(provider, asked);
    }
    return asked;
  }

  /** null if the provider has no endpoint picker. */
  reading({ account }: ProviderEntry): PickerReading | null {
    const { id, pool } = account.config;
    return pool?.picker === undefined ? null : { pool: pool.picker.pool, reason: this.#asked.get(id)?.reason ?? null };
  }

  *counts(): Generator<{ provider: string; outcome: PickOutcome; count: number }> {
    for (const [provider, { counts }] of this.#asked)
      for (const outcome of pickOutcomes) yield { provider, outcome, count: counts[outcome] };
  }

  /** Closes connections to pickers that are gone. Attempts under way go on. */
  keep(providers: ReadonlyMap<string, ProviderEntry>): void {
    const wanted = new Set<string>();
    for (const { account } of providers.values()) {
      const picker = account.config.pool?.picker;
      for (const address of picker?.addresses ?? []) wanted.add(keyOf(address, picker?.tls ?? null));
    }
    for (const [key, picker] of this.#connections)
      if (!wanted.has(key)) {
        this.#connections.delete(key);
        picker.close();
      }
    for (const id of this.#asked.keys())
      if (providers.get(id)?.account.config.pool?.picker === undefined) this.#asked.delete(id);
  }

  close(): void {
    this.keep(new Map());
  }
}

const noPicker: PickCall = {
  result: Promise.resolve({ kind: "failed", cause: "picker_unreachable", why: "none is ready" }),
  answered: () => undefined,
  over: () => undefined,
};
