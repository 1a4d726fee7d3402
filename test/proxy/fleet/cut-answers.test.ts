/**
 * Redis is killed after it has done what proxies asked and before its answers reach them. Afterwards it counts what was
 * spent to the nano-USD, and all the rest can be used.
 */
import assert from "node:assert/strict";
import { after, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as Client } from "ioredis";
import { steadyClock } from "../../../proxy/clock.ts";
import { Quotas, type Reservation } from "../../../proxy/fleet/quotas.ts";
import { RedisStore } from "../../../proxy/fleet/redis.ts";
import type { CounterSpec } from "../../../proxy/fleet/slice.ts";
import { budgetKey } from "../../../proxy/fleet/store.ts";
import { type FreezingForwarder, startFreezingForwarder } from "../../harness/freezing-forwarder.ts";
import { eventually } from "../../harness/gateway.ts";
import { startRedis } from "../../harness/redis.ts";
import { seeded } from "../../harness/seeded.ts";

const limit = 1_000_000;
const rounds = 6;
const counter: CounterSpec = {
  key: budgetKey("ns/hard", 0, ""),
  kind: "period",
  limit,
  windowMs: 0,
  seed: 0,
  expiresAtMs: null,
  onStateLoss: "deny",
};

interface Proxy {
  quotas: Quotas;
  store: RedisStore;
  way: FreezingForwarder;
  /** Amounts of calls under way. */
  calls: Map<Reservation, number>;
}

it("what a killed store didn't answer is neither lost nor counted twice", async () => {
  const random = seeded(11);
  const redis = await startRedis();
  const startProxy = async (name: string): Promise<Proxy> => {
    const way = await startFreezingForwarder({ host: "127.0.0.1", port: redis.port });
    const store = RedisStore.open(`redis://127.0.0.1:${way.port}`, null, null);
    return { store, way, quotas: new Quotas(store, name, steadyClock), calls: new Map() };
  };
  const fleet = await Promise.all(["a", "b", "c"].map(startProxy));
  const admin = new Client(redis.url, { retryStrategy: () => 100, maxRetriesPerRequest: null });
  admin.on("error", () => undefined);
  after(async () => {
    admin.disconnect();
    for (const { quotas, store, way } of fleet) {
      await quotas.close();
      await store.close();
      await way.close();
    }
    await redis.stop();
  });
  let spent = 0;
  const held = (): number => fleet.flatMap(({ calls }) => [...calls.values()]).reduce((sum, amount) => sum + amount, 0);
  const reserve = async ({ quotas, calls }: Proxy, amount: number): Promise<string> => {
    const got = await quotas.reserve([{ counter, amount }]);
    if ("refused" in got) return got.why;
    calls.set(got, amount);
    assert.ok(spent + held() <= limit, `${spent} spent and ${held()} reserved of ${limit}`);
    return "taken";
  };
  const end = ({ calls }: Proxy, share: number): void => {
    for (const [reservation, amount] of [...calls].filter(() => random() < share)) {
      const real = Math.floor(amount * random());
      spent += real;
      reservation.settle([real]);
      calls.delete(reservation);
    }
  };
  const entered = async (): Promise<boolean> =>
    (await admin.hkeys(`sluice:c:${counter.key}`)).filter((field) => field.startsWith("g:")).length === fleet.length;
  for (let round = 0; round < rounds; round++) {
    await eventually(async () =>
      (await Promise.all(fleet.map((one) => reserve(one, 1)))).every((got) => got === "taken"),
    );
    const muted = fleet.filter(() => random() < 0.6);
    for (let step = 0; step < 12; step++) {
      if (step === 6) for (const { way } of muted) way.mute();
      const proxy = fleet[Math.floor(random() * fleet.length)] as Proxy;
      void reserve(proxy, Math.floor(random() * 40_000));
      await sleep(random() * 40);
      end(proxy, 0.5);
    }
    await sleep(random() * 200);
    // In between, only connections break.
    const dies = round % 3 !== 1;
    if (dies) await redis.kill();
    for (const { way } of fleet) way.cut();
    for (const proxy of fleet) end(proxy, 0.3);
    if (dies) await redis.startAgain();
    await eventually(entered, 60_000);
  }
  for (const proxy of fleet) end(proxy, 1);
  await eventually(async () => {
    for (const proxy of fleet) end(proxy, 1);
    const [reading] = await (fleet[0] as Proxy).store.readBudget("ns/hard", 0);
    return reading?.used === spent && reading.spent === spent;
  }, 60_000);
  assert.ok(spent > 0);
  await eventually(async () => (await reserve(fleet[0] as Proxy, limit - spent)) === "taken");
  assert.equal(await reserve(fleet[1] as Proxy, 1), "limit");
});
