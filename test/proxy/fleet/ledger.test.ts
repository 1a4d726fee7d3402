import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type CallRecord, newRecord } from "../../../proxy/call/record.ts";
import { ledgerMeasures } from "../../../proxy/config/ledger.ts";
import { hourMs, UsageLedger } from "../../../proxy/fleet/ledger.ts";
import { addRow, rowKey } from "../../../proxy/fleet/ledger-rows.ts";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import { RedisStore } from "../../../proxy/fleet/redis.ts";
import type { FleetStore, LedgerBatch, LedgerRow } from "../../../proxy/fleet/store.ts";
import { costNanoUsd } from "../../../proxy/telemetry/cost.ts";
import { eventually } from "../../harness/gateway.ts";
import fc from "../../harness/property.ts";
import { startRedis } from "../../harness/redis.ts";
import { seeded } from "../../harness/seeded.ts";

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

function callOf(random: () => number, hour: number): CallRecord {
  const some = (most: number): number => Math.floor(random() * most);
  const usage = {
    prompt: 100 + some(9_000),
    cachedPrompt: some(50),
    cacheWrite: some(50),
    completion: some(4_000),
    reasoning: 0,
    estimated: random() < 0.05,
  };
  usage.reasoning = some(usage.completion);
  return {
    ...newRecord("id", "POST", hour - some(3) * hourMs + some(hourMs)),
    user: `user-${some(40)}@example.com`,
    team: `team-${some(4)}`,
    role: "developer",
    key: `team-${some(3)}/key-${some(5)}`,
    route: "team-0/chat",
    model: `model-${some(4)}`,
    provider: "team-0/up",
    status: random() < 0.05 ? 502 : 200,
    usage,
    costNanoUsd: costNanoUsd(usage, price),
  };
}

/** What the ledger should make of one call. */
function rowOf(call: CallRecord): LedgerRow {
  const { user, team, role, key, route, model, provider, usage } = call;
  const endMs = call.startedMs + call.durationMs;
  return {
    hourMs: Math.floor(endMs / hourMs) * hourMs,
    namespace: (key === "" ? route : key).split("/")[0] ?? "",
    user,
    team,
    role,
    key,
    route,
    model,
    provider,
    requests: 1,
    errors: call.status >= 400 || call.broken ? 1 : 0,
    promptTokens: usage?.prompt ?? 0,
    cachedTokens: usage?.cachedPrompt ?? 0,
    cacheWriteTokens: usage?.cacheWrite ?? 0,
    completionTokens: usage?.completion ?? 0,
    reasoningTokens: usage?.reasoning ?? 0,
    costNanoUsd: call.costNanoUsd ?? 0,
    estimated: usage?.estimated ? 1 : 0,
    unpriced: usage !== null && call.costNanoUsd === null ? 1 : 0,
  };
}

const word = fc.constantFrom("", "a", "b", "a/b", "b/a", '","');
const someCalls: fc.Arbitrary<CallRecord> = fc
  .record({
    user: word,
    team: word,
    role: word,
    key: word,
    route: word,
    model: word,
    provider: word,
    startedMs: fc.constantFrom(0, 1, hourMs - 5, hourMs, 3 * hourMs - 1),
    durationMs: fc.constantFrom(0, 4.5, 5, 20_000.25),
    status: fc.constantFrom(200, 399, 400, 502),
    broken: fc.boolean(),
    usage: fc.option(
      fc.record({
        prompt: fc.nat(900),
        cachedPrompt: fc.nat(9),
        cacheWrite: fc.nat(9),
        completion: fc.nat(900),
        reasoning: fc.nat(9),
        estimated: fc.boolean(),
      }),
    ),
    costNanoUsd: fc.option(fc.nat()),
  })
  .map((some) => ({ ...newRecord("id", "POST", 0), ...some }));

const sums = (rows: readonly LedgerRow[]): Record<string, number> =>
  Object.fromEntries(ledgerMeasures.map((name) => [name, rows.reduce((sum, row) => sum + (row[name] ?? 0), 0)]));

const sorted = (rows: readonly LedgerRow[]): string[] =>
  rows.map((row) => `${row.hourMs} ${rowKey(row)} ${JSON.stringify(row)}`).sort();

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
      const made = Array.from({ length: calls }, () => callOf(random, hour));
      const rows = made.map(rowOf);
      for (const [index, call] of made.entries()) {
        const ledger = ledgers[index % ledgers.length] as UsageLedger;
        ledger.add(call);
        if (index % 5_003 === 0) await ledger.flush();
      }
      for (const ledger of ledgers) while (ledger.waiting > 0) await ledger.flush();
      const kept = await store.readLedger(hour - 3 * hourMs, hour + hourMs);
      assert.deepEqual(sums(kept), sums(rows));
      const ofOne = (all: readonly LedgerRow[]): LedgerRow[] =>
        all.filter((row) => row.user === "user-7@example.com" && row.model === "model-1");
      assert.deepEqual(sums(ofOne(kept)), sums(ofOne(rows)));
      assert.deepEqual(
        sums(await store.readLedger(hour, hour + hourMs)),
        sums(rows.filter((row) => row.hourMs === hour)),
      );
    });
  }

  it("stays bounded when there are too many rows, and its sum stays right", async () => {
    const store = new MemoryStore(Date.now);
    const ledger = new UsageLedger(store, "p");
    const random = seeded(5);
    const hour = Math.floor(Date.now() / hourMs) * hourMs;
    const made = Array.from({ length: 30_000 }, (_, at) => ({
      ...callOf(random, hour),
      startedMs: hour,
      user: `user-${at}`,
    }));
    for (const call of made) ledger.add(call);
    // Callers that have a row keep it; the others are distinguished by namespace only.
    for (const call of made.slice(0, 100)) ledger.add(call);
    assert.ok(ledger.waiting <= 20_010, `${ledger.waiting}`);
    await ledger.flush();
    const kept = await store.readLedger(hour, hour + hourMs);
    assert.deepEqual(sums(kept), sums([...made, ...made.slice(0, 100)].map(rowOf)));
    assert.equal(kept.find((row) => row.user === "user-99")?.requests, 2);
    const others = kept.filter((row) => row.user === "other");
    assert.deepEqual(
      others.map((row) => `${row.namespace} ${row.key} ${row.route} ${row.provider}`).sort(),
      [0, 1, 2].map((at) => `team-${at} other other other`),
    );
    assert.equal(sums(others)["requests"], 10_000);
  });

  it("equals the sum of every call's own row", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(someCalls, { maxLength: 30 }), { maxLength: 3 }), async (rounds) => {
        const sent: LedgerRow[] = [];
        const keep = ({ rows }: LedgerBatch): void => void sent.push(...rows);
        const store: Pick<FleetStore, "addToLedger"> = { addToLedger: (_holder, batches) => batches.forEach(keep) };
        const ledger = new UsageLedger(store as FleetStore, "p");
        const expected: LedgerRow[] = [];
        for (const round of rounds) {
          const sum = new Map<string, LedgerRow>();
          for (const call of round) {
            ledger.add(call);
            const row = rowOf(call);
            addRow(sum, `${row.hourMs} ${rowKey(row)}`, row);
          }
          assert.equal(ledger.waiting, sum.size);
          expected.push(...sum.values());
          await ledger.flush();
        }
        assert.equal(ledger.waiting, 0);
        assert.deepEqual(sorted(sent), sorted(expected));
      }),
    );
  });
});
