/** A store that may drop counters when its memory is full is noticed, and one that may not isn't accused. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { EvictionWatch, evictingPolicy } from "../../../proxy/fleet/eviction.ts";
import { RedisStore } from "../../../proxy/fleet/redis.ts";
import type { Client } from "../../../proxy/fleet/redis-client.ts";
import { eventually, startGateway } from "../../harness/gateway.ts";
import { startRedis, startRedisCluster } from "../../harness/redis.ts";

const answer = (maxmemory: string, policy: string): string =>
  [
    "# Memory",
    "used_memory:1048576",
    `maxmemory:${maxmemory}`,
    "maxmemory_human:x",
    `maxmemory_policy:${policy}`,
    "",
  ].join("\r\n");

describe("what INFO says", () => {
  for (const [what, info, policy] of [
    ["any policy but noeviction drops counters", answer("104857600", "allkeys-lru"), "allkeys-lru"],
    ["also one for keys that expire, as counters do", answer("1", "volatile-ttl"), "volatile-ttl"],
    ["noeviction refuses writes instead", answer("104857600", "noeviction"), null],
    ["without a limit nothing is dropped", answer("0", "allkeys-random"), null],
    ["a server that doesn't say is not accused", "# Memory\r\nused_memory:1\r\n", null],
  ] as const)
    it(what, () => assert.equal(evictingPolicy(info), policy));
});

it("the store is asked at intervals, and its last answer counts while it does not answer", async () => {
  let nowMs = 0;
  let asked = 0;
  let info: () => Promise<string> = () => Promise.resolve(answer("1", "allkeys-lfu"));
  const client = {
    info: () => {
      asked++;
      return info();
    },
  } as unknown as Client;
  const watch = new EvictionWatch(client, () => nowMs);
  for (let beat = 0; beat < 10; beat++) await watch.look();
  assert.deepEqual([asked, watch.policy], [1, "allkeys-lfu"]);
  info = () => Promise.reject(new Error("NOPERM"));
  nowMs += 60_000;
  await watch.look();
  assert.deepEqual([asked, watch.policy], [2, "allkeys-lfu"]);
  info = () => Promise.resolve(answer("1", "noeviction"));
  nowMs += 60_000;
  await watch.look();
  assert.equal(watch.policy, null);
});

const limited = (policy: string): string[] => ["maxmemory 100mb", `maxmemory-policy ${policy}`];

it("a cluster whose masters are caches is noticed", async () => {
  const cluster = await startRedisCluster(limited("allkeys-lru"));
  after(() => cluster.stop());
  const store = RedisStore.open(cluster.url, null, null);
  after(() => store.close());
  await eventually(async () => {
    await store.heartbeat("holder").catch(() => 0);
    return store.eviction() === "allkeys-lru";
  }, 30_000);
});

for (const [policy, evicting] of [
  ["volatile-lru", 1],
  ["noeviction", 0],
] as const)
  it(`a proxy with a store of policy ${policy} says so in its log, at its status and in metrics`, async () => {
    const redis = await startRedis({ lines: limited(policy) });
    after(() => redis.stop());
    const gateway = await startGateway([], ["--state-url", redis.url]);
    after(() => gateway.close());
    const warned = (): boolean => gateway.logs.some((line) => line["level"] === "warn" && line["policy"] === policy);
    if (evicting === 1) await eventually(warned, 30_000);
    assert.match(await gateway.metrics(), new RegExp(`sluice_state_evicting ${evicting}`));
    assert.equal((await gateway.status())["evictingState"], evicting === 1 ? policy : undefined);
    assert.equal(warned(), evicting === 1);
  });
