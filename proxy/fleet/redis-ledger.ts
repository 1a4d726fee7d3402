/** The usage ledger in Redis or Valkey: one hash an hour. */
import { ledgerMeasures } from "../config/ledger.ts";
import { renamedKey, rowFrom, rowKey } from "./ledger-rows.ts";
import { type Client, type ScriptCommand, scriptCommand } from "./redis-client.ts";
import { ledgerScript, renameScript } from "./scripts.ts";
import type { LedgerBatch, LedgerRow } from "./store.ts";

const ledgerKey = (hourMs: number): string => `sluice:l:${hourMs}`;
const hourMs = 3_600_000;
/** Fields of a batch sent in one script call. */
const fieldsAtOnce = 2_000;
/** Hours read concurrently. */
const hoursAtOnce = 8;

export class RedisLedger {
  readonly #client: Client;
  readonly #keptMs: number;
  readonly #addFields: ScriptCommand;
  readonly #renameFields: ScriptCommand;

  constructor(client: Client, keptMs: number) {
    this.#client = client;
    this.#keptMs = keptMs;
    this.#addFields = scriptCommand(client, "sluiceLedger", ledgerScript);
    this.#renameFields = scriptCommand(client, "sluiceRename", renameScript);
  }

  async add(holder: string, batches: readonly LedgerBatch[]): Promise<void> {
    for (const batch of batches) await this.#addBatch(holder, batch);
  }

  /** Splits a large batch into parts, each with a sequence number between this batch's and the next one's. */
  async #addBatch(holder: string, batch: LedgerBatch): Promise<void> {
    const fields: (string | number)[] = [];
    for (const row of batch.rows) {
      const key = rowKey(row);
      for (const [index, name] of ledgerMeasures.entries())
        if ((row[name] ?? 0) !== 0) fields.push(`${measureDigit(index)}${key}`, row[name] ?? 0);
    }
    for (let part = 0; part * fieldsAtOnce < fields.length; part++) {
      const batchPart = fields.slice(part * fieldsAtOnce, (part + 1) * fieldsAtOnce);
      await this.#addFields(ledgerKey(batch.hourMs), holder, batch.seq + part / 1_000, this.#keptMs, ...batchPart);
    }
  }

  async read(fromMs: number, toMs: number): Promise<LedgerRow[]> {
    const now = Date.now() + hourMs;
    const first = Math.ceil(Math.max(fromMs, now - this.#keptMs) / hourMs) * hourMs;
    const hours: number[] = [];
    for (let startMs = first; startMs < Math.min(toMs, now + hourMs); startMs += hourMs) hours.push(startMs);
    const rows: LedgerRow[] = [];
    while (hours.length > 0) {
      const loaded = await Promise.all(
        hours.splice(0, hoursAtOnce).map(async (hour) => rowsOf(hour, await this.#fields(ledgerKey(hour)))),
      );
      for (const hour of loaded) for (const row of hour) rows.push(row);
    }
    return rows;
  }

  /** Reads in parts: each command has a one-second limit, and an hour with many callers may take longer as a whole. */
  async #fields(key: string): Promise<Record<string, string>> {
    const fields: Record<string, string> = {};
    let cursor = "0";
    do {
      const [next, pairs] = await this.#client.hscan(key, cursor, "COUNT", fieldsAtOnce);
      // A field may be returned twice while the hash grows; the later value counts.
      for (let index = 0; index + 1 < pairs.length; index += 2) fields[pairs[index] ?? ""] = pairs[index + 1] ?? "";
      cursor = next;
    } while (cursor !== "0");
    return fields;
  }

  async rename(user: string, namespace: string | null, replacement: string): Promise<number> {
    let changed = 0;
    const lastMs = Math.floor(Date.now() / hourMs) * hourMs + hourMs;
    for (let startMs = lastMs; startMs > lastMs - this.#keptMs - hourMs; startMs -= hourMs) {
      const key = ledgerKey(startMs);
      const moves: string[] = [];
      const rows = new Set<string>();
      for (const field of Object.keys(await this.#fields(key))) {
        const renamed = field.startsWith("#") ? null : renamedKey(field.slice(1), user, namespace, replacement);
        if (renamed === null) continue;
        moves.push(field, `${field[0]}${renamed}`);
        rows.add(field.slice(1));
      }
      changed += rows.size;
      while (moves.length > 0) await this.#renameFields(key, ...moves.splice(0, fieldsAtOnce));
    }
    return changed;
  }
}

/** One character, so that the row's key follows it. */
const measureDigit = (index: number): string => index.toString(36);

function rowsOf(hour: number, fields: Record<string, string>): LedgerRow[] {
  const rows = new Map<string, LedgerRow>();
  for (const [field, value] of Object.entries(fields)) {
    if (field.startsWith("#")) continue;
    const measure = ledgerMeasures[Number.parseInt(field[0] ?? "", 36)];
    const key = field.slice(1);
    let row = rows.get(key) ?? null;
    if (row === null && (row = rowFrom(hour, key)) !== null) rows.set(key, row);
    if (row !== null && measure !== undefined) row[measure] = (row[measure] ?? 0) + Number(value);
  }
  return [...rows.values()];
}
