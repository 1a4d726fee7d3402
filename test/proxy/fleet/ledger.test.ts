import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { hourMs, UsageLedger } from "../../../proxy/fleet/ledger.ts";
import { ledgerMeasures } from "../../../proxy/fleet/ledger-rows.ts";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import { RedisStore } from "../../../proxy/fleet/redis.ts";
import type { FleetStore, LedgerBatch, LedgerRow } from "../../../proxy/fleet/store.ts";
import { costNanoUsd } from "../../../proxy/telemetry/cost.ts";
import { eventually } from "../../harness/gateway.ts";
import { startRedis } from "../../harness/redis.ts";
import { seeded } from "./fleet.ts";

const calls = 100_000;
const price = {
  input: 2_500_000_000,
  cachedInput: 1_250_000_000,
  cacheWrite: 3_125_000_000,
  output: 10_000_000_000,
  reasoning: 10_000_000_001,
  tiers: [],
  source: "override" as const,
};

function rowOf(random: () => number, hour: number): LedgerRow {
  const some = (most: number): number => Math.floor(random() * most);
  const usage = { prompt: 100 + some(9_000), cachedPrompt: some(50), cacheWrite: some(50), completion: some(4_000), reasoning: 0, estimated: random() < 0.05 };
  usage.reasoning = some(usage.completion);
  const failed = random() < 0.05;
  return {
    hourMs: hour - some(3) * hourMs,
    namespace: `team-${some(3)}`,
    user: `user-${some(40)}@example.com`,
    team: `team-${some(4)}`,
    role: "developer",
    key: `team-0/key-${some(5)}`,
    route: "team-0/chat",
    model: `model-${some(4)}`,
    provider: "team-0/up",
    requests: 1,
    errors: failed ? 1 : 0,
    promptTokens: usage.prompt,
    cachedTokens: usage.cachedPrompt,
    cacheWriteTokens: usage.cacheWrite,
    completionTokens: usage.completion,
    reasoningTokens: usage.reasoning,
    costNanoUsd: costNanoUsd(usage, price) ?? 0,
    estimated: usage.estimated ? 1 : 0,
    unpriced: 0,
  };
}

const sums = (rows: readonly LedgerRow[]): Record<string, number> =>
  Object.fromEntries(ledgerMeasures.map((name) => [name, rows.reduce((sum, row) => sum + row[name], 0)]));

const redis = await startRedis();
after(() => redis.stop());

describe("the usage ledger", () => {
  for (const [name, open] of [
    ["memory", (): FleetStore => new MemoryStore(Date.now)],
    ["Redis", (): FleetStore => RedisStore.open(redis.url, null, null)],
  ] as const) {
    it(`adds up to the nano-USD over ${calls} calls of four proxies in ${name}, with sends that fail before and after they are written`, async () => {
      const store = open();
      after(() => store.close());
      await eventually(() => Promise.resolve(store.heartbeat("probe")).catch(() => null));
      const random = seeded(11);
      const rough: Pick<FleetStore, "addToLedger"> = {
        async addToLedger(holder: string, batches: readonly LedgerBatch[]) {
          if (random() < 0.2) throw new Error("lost on the way there");
          await store.addToLedger(holder, batches);
          if (random() < 0.2) throw new Error("lost on the way back");
        },
      };
      const ledgers = [0, 1, 2, 3].map((at) => new UsageLedger(rough as FleetStore, `p${at}`));
      const hour = Math.floor(Date.now() / hourMs) * hourMs;
      const rows = Array.from({ length: calls }, () => rowOf(random, hour));
      for (const [at, row] of rows.entries()) {
        const ledger = ledgers[at % ledgers.length] as UsageLedger;
        ledger.add(row);
        if (at % 5_003 === 0) await ledger.flush();
      }
      for (const ledger of ledgers) while (ledger.waiting > 0) await ledger.flush();
      const kept = await store.readLedger(hour - 3 * hourMs, hour + hourMs);
      assert.deepEqual(sums(kept), sums(rows));
      const ofOne = (all: readonly LedgerRow[]): LedgerRow[] => all.filter((row) => row.user === "user-7@example.com" && row.model === "model-1");
      assert.deepEqual(sums(ofOne(kept)), sums(ofOne(rows)));
      assert.deepEqual(sums(await store.readLedger(hour, hour + hourMs)), sums(rows.filter((row) => row.hourMs === hour)));
    });
  }

  it("stays bounded where rows are too many, and its sum stays right", async () => {
    const store = new MemoryStore(Date.now);
    const ledger = new UsageLedger(store, "p");
    const random = seeded(5);
    const hour = Math.floor(Date.now() / hourMs) * hourMs;
    const rows = Array.from({ length: 30_000 }, (_, at) => ({ ...rowOf(random, hour), hourMs: hour, user: `user-${at}` }));
    for (const row of rows) ledger.add(row);
    assert.ok(ledger.waiting <= 20_010, `${ledger.waiting}`);
    await ledger.flush();
    assert.deepEqual(sums(await store.readLedger(hour, hour + hourMs)), sums(rows));
  });
});
