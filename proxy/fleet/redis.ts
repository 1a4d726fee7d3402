/** Fleet state in Redis or Valkey. */

import { steadyNowMs } from "../clock.ts";
import { ledgerMeasures } from "../config/ledger.ts";
import { EvictionWatch } from "./eviction.ts";
import { renamedKey, rowFrom, rowKey } from "./ledger-rows.ts";
import { type Client, connectRedis, type StoreTls } from "./redis-client.ts";
import { RedisSubjects } from "./redis-subjects.ts";
import {
  ageScript,
  heartbeatScript,
  inUseScript,
  leaseScript,
  ledgerScript,
  renameScript,
  windowScript,
} from "./scripts.ts";
import {
  budgetPeriod,
  type CounterReading,
  type FleetStore,
  type Growth,
  heldTtlMs,
  keeper,
  type LeaseOp,
  type LedgerBatch,
  type LedgerRow,
  NotConnected,
  recoveryMs,
  type StoreOp,
  type StoreReply,
  sliceMsOf,
  usualLedgerMs,
  type WindowOp,
  watchMs,
  windowLifeMs,
} from "./store.ts";

const prefix = "sluice";
const fleetKey = `${prefix}:fleet`;
const counterKey = (key: string): string => `${prefix}:c:${key}`;
const onceKey = (key: string): string => `${prefix}:o:${key}`;
const ageKey = (key: string): string => `${prefix}:a:${key}`;
const ledgerKey = (hourMs: number): string => `${prefix}:l:${hourMs}`;
const hourMs = 3_600_000;
/** Fields of a batch sent in one script call. */
const fieldsAtOnce = 2_000;
/** Hours read concurrently. */
const hoursAtOnce = 8;
type Command = (...args: (string | number)[]) => Promise<unknown>;

export class RedisStore implements FleetStore {
  readonly shared = true;
  readonly #client: Client;
  readonly #lease: Command;
  readonly #window: Command;
  readonly #inUse: Command;
  run = "";
  readonly #heartbeat: Command;
  readonly #ledger: Command;
  readonly #rename: Command;
  readonly #age: Command;
  readonly #subjects: RedisSubjects;
  readonly #evictions: EvictionWatch;
  readonly ledgerKeptMs: number;
  #holders = 1;

  constructor(client: Client, ledgerKeptMs = usualLedgerMs) {
    this.#client = client;
    this.#subjects = new RedisSubjects(client);
    this.#evictions = new EvictionWatch(client, steadyNowMs);
    this.ledgerKeptMs = ledgerKeptMs;
    const define = (name: string, lua: string): Command => {
      client.defineCommand(name, { numberOfKeys: 1, lua });
      const command = (client as unknown as Record<string, Command>)[name] as Command;
      return command.bind(client);
    };
    this.#lease = define("sluiceLease", leaseScript);
    this.#window = define("sluiceWindow", windowScript);
    this.#inUse = define("sluiceInUse", inUseScript);
    this.#heartbeat = define("sluiceHeartbeat", heartbeatScript);
    this.#ledger = define("sluiceLedger", ledgerScript);
    this.#rename = define("sluiceRename", renameScript);
    this.#age = define("sluiceAge", ageScript);
  }

  static open(
    url: string,
    password: string | null,
    tls: StoreTls | string | null,
    trouble?: (cause: Error | null) => void,
    ledgerKeptMs?: number,
  ): RedisStore {
    return new RedisStore(connectRedis(url, password, tls, trouble), ledgerKeptMs);
  }

  /** Takes one round trip for any number of operations: the client pipelines everything sent in one turn. */
  async sync(holder: string, ops: readonly StoreOp[]): Promise<(StoreReply | null)[]> {
    if (this.#client.status !== "ready") throw new NotConnected();
    const settled = await Promise.allSettled(
      ops.map((op) => (op.kind === "window" ? this.#syncWindow(op) : this.#syncLease(holder, op))),
    );
    const failed = settled.filter((result) => result.status === "rejected");
    if (failed.length === settled.length && failed[0] !== undefined) throw failed[0].reason;
    return settled.map((result) => (result.status === "fulfilled" ? result.value : null));
  }

  async #syncLease(holder: string, op: LeaseOp): Promise<StoreReply> {
    const reply = (await this.#lease(
      counterKey(op.key),
      keeper(holder, op.life),
      op.kind,
      op.limit ?? -1,
      op.seed,
      op.expiresAtMs ?? -1,
      op.epoch,
      op.seq,
      op.granted,
      op.returned,
      op.spent,
      op.seenUsed,
      op.seenSpent,
      op.seenVersion,
      op.need,
      op.least,
      op.want,
      op.debt,
      this.#holders,
      heldTtlMs,
      recoveryMs,
      op.inUse ?? Math.max(0, op.granted - op.returned),
      watchMs,
    )) as string[];
    const [epoch = "", granted, used, spent, tight, recovering, version] = reply;
    this.#subjects.note(op, epoch !== op.epoch);
    return {
      kind: "lease",
      epoch,
      granted: Number(granted),
      version: Number(version),
      used: Number(used),
      spent: Number(spent),
      tight: tight === "1",
      recovering: recovering === "1",
    };
  }

  async #syncWindow(op: WindowOp): Promise<StoreReply> {
    const reply = (await this.#window(
      counterKey(op.key),
      op.limit,
      op.windowMs,
      sliceMsOf(op.windowMs),
      windowLifeMs(op.windowMs),
      op.need,
      op.least,
      op.want,
      op.debt,
      this.#holders,
      op.epoch ?? "",
      op.taken ?? 0,
      recoveryMs,
      ...op.returns.flat(),
    )) as string[];
    const [granted = 0, slice = 0, remaining = 0, retryMs = 0, resetMs = 0] = reply.map(Number);
    return {
      kind: "window",
      granted,
      slice,
      remaining,
      retryMs,
      resetMs,
      tight: reply[5] === "1",
      epoch: reply[6] ?? "",
      recovering: reply[7] === "1",
    };
  }

  noteInUse(holder: string, grown: readonly Growth[]): void {
    // If it fails, the store is lost, which the next operation notices.
    for (const { key, life, epoch, inUse } of grown)
      this.#inUse(counterKey(key), keeper(holder, life), epoch, inUse).catch(() => undefined);
  }

  async heartbeat(holder: string): Promise<number> {
    const [alive, run] = (await this.#heartbeat(fleetKey, holder, heldTtlMs)) as [number, string];
    this.#holders = Number(alive);
    this.run = run;
    void this.#evictions.look();
    return this.#holders;
  }

  eviction(): string | null {
    return this.#evictions.policy;
  }

  async addToLedger(holder: string, batches: readonly LedgerBatch[]): Promise<void> {
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
      await this.#ledger(ledgerKey(batch.hourMs), holder, batch.seq + part / 1_000, this.ledgerKeptMs, ...batchPart);
    }
  }

  async readLedger(fromMs: number, toMs: number): Promise<LedgerRow[]> {
    const now = Date.now() + hourMs;
    const first = Math.ceil(Math.max(fromMs, now - this.ledgerKeptMs) / hourMs) * hourMs;
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

  async readBudget(id: string, periodStartMs: number, subject?: string): Promise<CounterReading[]> {
    const period = budgetPeriod(id, periodStartMs);
    const subjects = subject === undefined ? await this.#subjects.of(period) : [subject];
    return Promise.all(
      subjects.map(async (name) => {
        const [used, spent] = await this.#client.hmget(counterKey(`${period}|${name}`), "u", "s");
        return { subject: name, used: Number(used ?? 0), spent: Number(spent ?? 0) };
      }),
    );
  }

  async once(key: string, keptMs: number): Promise<boolean> {
    return (await this.#client.set(onceKey(key), "1", "PX", keptMs, "NX")) === "OK";
  }

  async age(key: string, knownMs: number, keptMs: number): Promise<number> {
    return Number(await this.#age(ageKey(key), Math.ceil(knownMs), keptMs));
  }

  async renameInLedger(user: string, namespace: string | null, replacement: string): Promise<number> {
    let changed = 0;
    const lastMs = Math.floor(Date.now() / hourMs) * hourMs + hourMs;
    for (let startMs = lastMs; startMs > lastMs - this.ledgerKeptMs - hourMs; startMs -= hourMs) {
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
      while (moves.length > 0) await this.#rename(key, ...moves.splice(0, fieldsAtOnce));
    }
    return changed;
  }

  close(): Promise<void> {
    this.#client.disconnect();
    return Promise.resolve();
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
