/** What must happen once in a fleet, such as charging a batch. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Journal } from "../../../proxy/fleet/journal.ts";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import { RedisStore } from "../../../proxy/fleet/redis.ts";
import type { FleetStore } from "../../../proxy/fleet/store.ts";
import { eventually } from "../../harness/gateway.ts";
import { startRedis } from "../../harness/redis.ts";

const redis = await startRedis();
after(() => redis.stop());

async function connected(): Promise<FleetStore> {
  const store = RedisStore.open(redis.url, null, null);
  after(() => store.close());
  await eventually(() => Promise.resolve(store.heartbeat("probe")).catch(() => null));
  return store;
}

const keptMs = 3_600_000;

describe("a key of the store", () => {
  it("is new once for all proxies that share Redis", async () => {
    const stores = [await connected(), await connected(), await connected()];
    const answers = await Promise.all(stores.map((store) => store.once("batch|a", keptMs)));
    assert.deepEqual(answers.filter(Boolean), [true]);
    assert.equal(await stores[0]?.once("batch|b", keptMs), true);
  });

  it("is forgotten after its time in memory", () => {
    let nowMs = 1_000;
    const store = new MemoryStore(() => nowMs);
    assert.deepEqual([store.once("a", keptMs), store.once("a", keptMs), store.once("b", keptMs)], [true, false, true]);
    nowMs += keptMs;
    assert.equal(store.once("a", keptMs), true);
  });

  it("survives a restart with a state file, also a compacted one", () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-once-"));
    try {
      const open = (): MemoryStore => new MemoryStore(() => 1_000, new Journal(join(folder, "state")));
      const first = open();
      assert.equal(first.once("a", keptMs), true);
      // Killed without closing, then closed, which rewrites the file.
      const second = open();
      assert.equal(second.once("a", keptMs), false);
      void second.close();
      assert.equal(open().once("a", keptMs), false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
