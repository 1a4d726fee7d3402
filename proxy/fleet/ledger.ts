/**
 * The usage ledger of one proxy. Settled calls are rolled up here and sent to the store in batches, off the hot path. A
 * batch is resent until the store has it and counts once however often it is sent, so the store's sums equal what was
 * settled.
 */

import { type BilledUsage, chargesOf, isUnpriced } from "../call/charges.ts";
import { type CallRecord, namespaceOfCall } from "../call/record.ts";
import { measuredUnits, unitMeasures } from "../config/ledger.ts";
import { by } from "../growing-map.ts";
import type { FleetStore, LedgerBatch, LedgerRow } from "./store.ts";

export const hourMs = 3_600_000;
/** Beyond this many rows in one hour, calls are summed under "other", so that the total stays right. */
const maxRows = 20_000;
const other = "other";

type Dimensions = Pick<CallRecord, "user" | "team" | "role" | "key" | "route" | "model" | "provider">;

function emptyRow(
  hour: number,
  namespace: string,
  { user, team, role, key, route, model, provider }: Dimensions,
): LedgerRow {
  const zeros = {
    requests: 0,
    errors: 0,
    promptTokens: 0,
    cachedTokens: 0,
    cacheWriteTokens: 0,
    completionTokens: 0,
    reasoningTokens: 0,
  };
  return {
    hourMs: hour,
    namespace,
    user,
    team,
    role,
    key,
    route,
    model,
    provider,
    ...zeros,
    costNanoUsd: 0,
    estimated: 0,
    unpriced: 0,
  };
}

/** Counts estimates and missing prices once for each row, however many attempts of the call have them. */
function count(row: LedgerRow, charges: readonly BilledUsage[]): void {
  let estimated = false;
  let unpriced = false;
  for (let index = 0; index < charges.length; index++) {
    const charge = charges[index] as BilledUsage;
    add(row, charge);
    estimated ||= charge.usage.estimated;
    unpriced ||= isUnpriced(charge);
  }
  if (estimated) row.estimated++;
  if (unpriced) row.unpriced++;
}

function add(row: LedgerRow, { usage, costNanoUsd }: BilledUsage): void {
  row.costNanoUsd += costNanoUsd ?? 0;
  row.promptTokens += usage.prompt;
  row.cachedTokens += usage.cachedPrompt;
  row.cacheWriteTokens += usage.cacheWrite;
  row.completionTokens += usage.completion;
  row.reasoningTokens += usage.reasoning;
  if (usage.units === undefined) return;
  for (const unit of measuredUnits) {
    const measure = unitMeasures[unit];
    row[measure] = (row[measure] ?? 0) + (usage.units[unit] ?? 0);
  }
}

function areAllBy(provider: string, charges: readonly BilledUsage[]): boolean {
  for (let index = 0; index < charges.length; index++) if (charges[index]?.provider !== provider) return false;
  return true;
}

const leaf = (): { row: LedgerRow | null } => ({ row: null });

/**
 * Rows of one hour. A row is looked up by the call's own strings; its key in the store is built once for each batch.
 */
class HourRows {
  readonly hourMs: number;
  readonly rows: LedgerRow[] = [];
  readonly #others = new Map<string, LedgerRow>();
  /** Keyed by key, user, team, role, route, model and provider; these determine the namespace. */
  readonly #tree = by(by(by(by(by(by(by(leaf)))))))();

  constructor(startMs: number) {
    this.hourMs = startMs;
  }

  /**
   * Counts the request under the provider that answered it. Charges by other providers for failed attempts go to their
   * own rows.
   */
  add(call: CallRecord): void {
    const row = this.#row(call);
    row.requests++;
    if (call.status >= 400 || call.broken) row.errors++;
    const charges = chargesOf(call);
    if (charges.length === 0) row.costNanoUsd += call.costNanoUsd ?? 0;
    if (areAllBy(call.provider, charges)) {
      count(row, charges);
      return;
    }
    const providers = new Set(charges.map(({ provider }) => provider));
    for (const provider of providers)
      count(
        this.#row({ ...call, provider }),
        charges.filter((charge) => charge.provider === provider),
      );
  }

  #row(call: CallRecord): LedgerRow {
    return this.#known(call) ?? this.#newRow(call);
  }

  #known({ key, user, team, role, route, model, provider }: CallRecord): LedgerRow | null | undefined {
    return this.#tree.get(key)?.get(user)?.get(team)?.get(role)?.get(route)?.get(model)?.get(provider)?.row;
  }

  #newRow(call: CallRecord): LedgerRow {
    const namespace = namespaceOfCall(call);
    if (this.rows.length >= maxRows) return this.#others.get(namespace) ?? this.#newOther(namespace);
    const { key, user, team, role, route, model, provider } = call;
    const row = emptyRow(this.hourMs, namespace, call);
    this.#tree.at(key).at(user).at(team).at(role).at(route).at(model).at(provider).row = row;
    this.rows.push(row);
    return row;
  }

  #newOther(namespace: string): LedgerRow {
    const row = emptyRow(this.hourMs, namespace, {
      user: other,
      team: other,
      role: other,
      key: other,
      route: other,
      model: other,
      provider: other,
    });
    this.#others.set(namespace, row);
    this.rows.push(row);
    return row;
  }
}

export class UsageLedger {
  readonly #store: FleetStore;
  readonly #holder: string;
  readonly #trouble: (cause: unknown) => void;
  #open: HourRows[] = [];
  #sending: LedgerBatch[] = [];
  #busy = false;
  #seq = 0;

  constructor(store: FleetStore, holder: string, onTrouble: (cause: unknown) => void = () => undefined) {
    this.#store = store;
    this.#holder = holder;
    this.#trouble = onTrouble;
  }

  add(call: CallRecord): void {
    const atMs = call.startedMs + call.durationMs;
    this.#hour(atMs - (atMs % hourMs)).add(call);
  }

  #hour(startMs: number): HourRows {
    const newest = this.#open.at(-1);
    if (newest?.hourMs === startMs) return newest;
    const open = this.#open.find((hour) => hour.hourMs === startMs);
    if (open !== undefined) return open;
    const made = new HourRows(startMs);
    this.#open.push(made);
    return made;
  }

  /** Number of rows that the store has not confirmed. */
  get waiting(): number {
    return (
      this.#sending.reduce((sum, batch) => sum + batch.rows.length, 0) +
      this.#open.reduce((sum, hour) => sum + hour.rows.length, 0)
    );
  }

  /** Sends all waiting rows. Batches that failed before are resent first, unchanged. */
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
    for (const { hourMs: hour, rows } of this.#open) this.#sending.push({ hourMs: hour, seq: ++this.#seq, rows });
    this.#open = [];
  }
}
