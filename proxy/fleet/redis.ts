/** Fleet state in Redis or Valkey. */

import { steadyNowMs } from "../clock.ts";
import { EvictionWatch } from "./eviction.ts";
import { inUseScript, leaseScript } from "./lease-script.ts";
import { type Client, connectRedis, type ScriptCommand, type StoreTls, scriptCommand } from "./redis-client.ts";
import { RedisLedger } from "./redis-ledger.ts";
import { RedisSubjects } from "./redis-subjects.ts";
import { ageScript, heartbeatScript, windowScript } from "./scripts.ts";
import { recentMs } from "./shares.ts";
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

export class RedisStore implements FleetStore {
  readonly shared = true;
  readonly #client: Client;
  readonly #lease: ScriptCommand;
  readonly #window: ScriptCommand;
  readonly #inUse: ScriptCommand;
  run = "";
  readonly #heartbeat: ScriptCommand;
  readonly #age: ScriptCommand;
  readonly #ledger: RedisLedger;
  readonly #subjects: RedisSubjects;
  readonly #evictions: EvictionWatch;
  readonly ledgerKeptMs: number;
  #holders = 1;

  constructor(client: Client, ledgerKeptMs = usualLedgerMs) {
    this.#client = client;
    this.#subjects = new RedisSubjects(client);
    this.#evictions = new EvictionWatch(client, steadyNowMs);
    this.#ledger = new RedisLedger(client, ledgerKeptMs);
    this.ledgerKeptMs = ledgerKeptMs;
    this.#lease = scriptCommand(client, "sluiceLease", leaseScript);
    this.#window = scriptCommand(client, "sluiceWindow", windowScript);
    this.#inUse = scriptCommand(client, "sluiceInUse", inUseScript);
    this.#heartbeat = scriptCommand(client, "sluiceHeartbeat", heartbeatScript);
    this.#age = scriptCommand(client, "sluiceAge", ageScript);
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
      op.confirmed,
      op.seenShares,
      recentMs,
    )) as string[];
    const [epoch = "", granted, used, spent, tight, recovering, version, shares = ""] = reply;
    this.#subjects.note(op, epoch !== op.epoch);
    return {
      kind: "lease",
      epoch,
      granted: Number(granted),
      version: Number(version),
      used: Number(used),
      spent: Number(spent),
      shares,
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

  addToLedger(holder: string, batches: readonly LedgerBatch[]): Promise<void> {
    return this.#ledger.add(holder, batches);
  }

  readLedger(fromMs: number, toMs: number): Promise<LedgerRow[]> {
    return this.#ledger.read(fromMs, toMs);
  }

  renameInLedger(user: string, namespace: string | null, replacement: string): Promise<number> {
    return this.#ledger.rename(user, namespace, replacement);
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

  close(): Promise<void> {
    this.#client.disconnect();
    return Promise.resolve();
  }
}
