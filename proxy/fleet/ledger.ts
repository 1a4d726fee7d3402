/**
 * The usage ledger of one proxy: settled calls are rolled up here and go to the store in batches, off the hot path. A
 * batch is sent until the store has it, and counts once however often it is sent, so that the store's sums equal what
 * was settled.
 */
import type { CallRecord } from "../telemetry/record.ts";
import { addRow, rowKey } from "./ledger-rows.ts";
import type { FleetStore, LedgerBatch, LedgerRow } from "./store.ts";

/** Who called, beyond what the record has. */
export interface LedgerCaller {
  namespace: string;
  role: string;
}

export const hourMs = 3_600_000;
/** More rows than this in one hour are added up under "other", so that the sum stays right. */
const mostRows = 20_000;
const other = "other";

const measures = (call: CallRecord) => ({
  requests: 1,
  errors: call.status >= 400 || call.broken ? 1 : 0,
  promptTokens: call.usage?.prompt ?? 0,
  cachedTokens: call.usage?.cachedPrompt ?? 0,
  cacheWriteTokens: call.usage?.cacheWrite ?? 0,
  completionTokens: call.usage?.completion ?? 0,
  reasoningTokens: call.usage?.reasoning ?? 0,
  costNanoUsd: call.costNanoUsd ?? 0,
  estimated: call.usage?.estimated ? 1 : 0,
  unpriced: call.usage !== null && call.costNanoUsd === null ? 1 : 0,
});

/** The row of one call. */
export function ledgerRow(call: CallRecord, caller: LedgerCaller): LedgerRow {
  const { user, key, route, model, provider } = call;
  const hour = Math.floor((call.startedMs + call.durationMs) / hourMs) * hourMs;
  return { hourMs: hour, namespace: caller.namespace, user, team: call.team, role: caller.role, key, route, model, provider, ...measures(call) };
}

export class UsageLedger {
  readonly #store: FleetStore;
  readonly #holder: string;
  readonly #trouble: (cause: unknown) => void;
  #open = new Map<number, Map<string, LedgerRow>>();
  #sending: LedgerBatch[] = [];
  #busy = false;
  #seq = 0;

  constructor(store: FleetStore, holder: string, onTrouble: (cause: unknown) => void = () => undefined) {
    this.#store = store;
    this.#holder = holder;
    this.#trouble = onTrouble;
  }

  add(row: LedgerRow): void {
    let hour = this.#open.get(row.hourMs);
    if (hour === undefined) this.#open.set(row.hourMs, (hour = new Map()));
    const key = rowKey(row);
    if (hour.size < mostRows || hour.has(key)) {
      addRow(hour, key, row);
      return;
    }
    const rest = { ...row, user: other, team: other, role: other, key: other, route: other, model: other, provider: other };
    addRow(hour, rowKey(rest), rest);
  }

  /** Rows that the store is not known to have. */
  get waiting(): number {
    return this.#sending.reduce((sum, batch) => sum + batch.rows.length, 0) + [...this.#open.values()].reduce((sum, hour) => sum + hour.size, 0);
  }

  /** Sends what there is; what was sent in vain goes first, unchanged. */
  async flush(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      if (this.#sending.length === 0) this.#cut();
      while (this.#sending.length > 0) {
        await this.#store.addToLedger(this.#holder, this.#sending);
        this.#sending = [];
        this.#cut();
      }
    } catch (cause) {
      this.#trouble(cause);
    } finally {
      this.#busy = false;
    }
  }

  #cut(): void {
    for (const [hour, rows] of this.#open) this.#sending.push({ hourMs: hour, seq: ++this.#seq, rows: [...rows.values()] });
    this.#open = new Map();
  }
}
