/** Cached answers in a real Redis: shared, sealed, bounded, and never in the way. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { RedisCache, type StoreTrouble } from "../../../proxy/cache/redis.ts";
import type { CachedAnswer } from "../../../proxy/cache/store.ts";
import { type Client, connectRedis } from "../../../proxy/fleet/redis-client.ts";
import { Sealer } from "../../../proxy/seal/seal.ts";
import { parseProxySettings } from "../../../proxy/settings.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { type Redis, startRedis } from "../../harness/redis.ts";
import { openai, startUpstream, type Upstream } from "../../harness/upstream.ts";

const sealingKey = (): string => randomBytes(32).toString("base64");
const limits = { ttlMs: 60_000, maxEntries: 100 };
const answer: CachedAnswer = {
  body: Buffer.from([0, 10, 255, 10, 7]),
  storedAtMs: 5,
  target: "t",
  provider: "a/p",
  model: "m",
  upstreamModel: "m-1",
  dropped: ["seed"],
  costNanoUsd: null,
};

describe("a shared store of answers", () => {
  let redis: Redis;
  let raw: Client;
  const opened: RedisCache[] = [];

  async function store(
    keys: string,
    nowMs: () => number = Date.now,
  ): Promise<{ cache: RedisCache; troubles: StoreTrouble[] }> {
    const client = connectRedis(redis.url, null, null);
    await eventually(() => client.ping());
    return over(client, keys, nowMs);
  }
  function over(client: Client, keys: string, nowMs: () => number): { cache: RedisCache; troubles: StoreTrouble[] } {
    const troubles: StoreTrouble[] = [];
    const cache = new RedisCache(client, new Sealer(keys), nowMs, (what) => troubles.push(what));
    opened.push(cache);
    return { cache, troubles };
  }
  /** Once it is connected. */
  const kept = (cache: RedisCache, route: string, name: string): Promise<CachedAnswer> =>
    eventually(async () => {
      cache.set(route, name, answer, limits);
      return await cache.get(route, name);
    });

  before(async () => {
    redis = await startRedis();
    raw = connectRedis(redis.url, null, null);
    await eventually(() => raw.ping());
  });
  after(async () => {
    for (const one of opened) await one.close();
    raw.disconnect();
    await redis.stop();
  });

  it("gives to one proxy what another has kept, byte for byte, and has nothing of it in clear", async () => {
    const keys = sealingKey();
    const [one, two] = [await store(keys), await store(keys)];
    assert.deepEqual(await kept(one.cache, "a/r", "k"), answer);
    assert.deepEqual(await eventually(() => two.cache.get("a/r", "k")), answer);
    const bytes = await raw.getBuffer("sluice:cache:a/r:k");
    assert.equal(bytes?.includes("upstreamModel"), false);
    assert.ok((await raw.pttl("sluice:cache:a/r:k")) > 50_000);
  });

  it("reads what an old key sealed until that key is gone, and takes nothing that was changed or moved", async () => {
    const [old, fresh] = [sealingKey(), sealingKey()];
    await kept((await store(old)).cache, "a/old", "k");
    const both = await store(`${fresh} ${old}`);
    assert.deepEqual(await eventually(() => both.cache.get("a/old", "k")), answer);
    const without = await store(fresh);
    await kept(without.cache, "a/new", "k");
    // On a busy machine a look-up may be given up before there is anything to read.
    const notTaken = (route: string, name: string) =>
      eventually(async () => {
        without.troubles.length = 0;
        assert.equal(await without.cache.get(route, name), null);
        return without.troubles.includes("unreadable");
      });
    await notTaken("a/old", "k");
    await raw.set("sluice:cache:a/new:moved", (await raw.getBuffer("sluice:cache:a/new:k")) ?? "");
    await notTaken("a/new", "moved");
    await raw.append("sluice:cache:a/new:k", "x");
    await notTaken("a/new", "k");
  });

  it("keeps no more entries of a route than its policy allows, those that end last", async () => {
    let now = Date.now();
    const { cache } = await store(sealingKey(), () => now);
    await kept(cache, "a/other", "warm");
    for (const name of ["1", "2", "3", "4", "5"]) {
      cache.set("a/few", name, answer, { ttlMs: 60_000, maxEntries: 3 });
      now += 10;
    }
    await eventually(async () => (await raw.keys("sluice:cache:a/few:*")).length === 3);
    assert.deepEqual(
      (await raw.keys("sluice:cache:a/few:*")).sort(),
      ["3", "4", "5"].map((name) => `sluice:cache:a/few:${name}`),
    );
  });

  it("does not wait for a store that says nothing, and leaves it alone after five times", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    after(() => silent.close());
    const { port } = silent.address() as { port: number };
    let now = 1_000;
    const { cache, troubles } = over(connectRedis(`redis://127.0.0.1:${port}`, null, null), sealingKey(), () => now);
    const began = performance.now();
    for (let at = 0; at < 20; at++) assert.equal(await cache.get("a/r", "k"), null);
    assert.equal(troubles.length, 5);
    assert.ok(performance.now() - began < 2_000);
    now += 5_001;
    await cache.get("a/r", "k");
    await cache.get("a/r", "k");
    assert.equal(troubles.length, 6, "one trial, and it is left alone again");
  });
});

describe("a gateway with shared answers", () => {
  const alice = "slc_test_alice_0000001";
  let redis: Redis;
  let upstream: Upstream;
  let gateway: TestGateway;

  const ask = async (
    content: string,
    more: object = {},
  ): Promise<{ result: string | null; status: number; text: string }> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content }], ...more }),
    });
    return { result: response.headers.get("x-sluice-cache"), status: response.status, text: await response.text() };
  };

  before(async () => {
    redis = await startRedis();
    upstream = await startUpstream();
    gateway = await startGateway(
      [
        provider("main", upstream.url),
        secret("main-credentials", { apiKey: "sk" }),
        policy("chat", {
          match: { models: ["gpt-4o"] },
          routing: { targets: [{ provider: { name: "main" } }] },
          cache: {},
        }),
        ...key("alice", alice),
      ],
      ["--cache-store=Shared", `--state-url=${redis.url}`],
      { SLUICE_SEALING_KEYS: sealingKey() },
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    await redis.stop();
  });

  for (const stream of [false, true])
    it(`gives ${stream ? "a stream" : "an answer"} again as it was`, async () => {
      const first = await ask(`again ${stream}`, { stream });
      const second = await eventually(async () => {
        const next = await ask(`again ${stream}`, { stream });
        return next.result === "hit" ? next : null;
      });
      assert.equal(second.text, first.text);
    });

  it("makes one call of a thousand equal ones at once", async () => {
    upstream.requests.length = 0;
    const all = Promise.withResolvers<void>();
    upstream.answer(async (request, response) => {
      await all.promise;
      await openai(request, response);
    });
    const asking = Array.from({ length: 1_000 }, () => ask("all at once"));
    await eventually(async () => /ai_gateway_requests_in_flight 1000/.test(await gateway.metrics()));
    // Each looks into the store first, for a twentieth of a second at most.
    await new Promise((resolve) => setTimeout(resolve, 500));
    all.resolve();
    const answers = await Promise.all(asking);
    upstream.answer(openai);
    assert.equal(upstream.requests.length, 1);
    assert.ok(answers.every((answer) => answer.status === 200));
    assert.equal(answers.filter((answer) => answer.result === "miss").length, 1);
  });

  it("without the store has misses and no errors, and hits again when it is back", async () => {
    await redis.kill();
    for (let at = 0; at < 8; at++) {
      const { status, result } = await ask("while it is gone");
      assert.deepEqual([status, result], [200, "miss"]);
    }
    assert.match(await gateway.metrics(), /sluice_cache_store_failures_total\{reason="failed"\} [1-9]/);
    await redis.startAgain();
    await eventually(async () => (await ask("when it is back")).result === "hit", 20_000);
  });
});

describe("a store for answers alone", () => {
  const alice = "slc_test_alice_0000002";
  let state: Redis;
  let answers: Redis;
  let upstream: Upstream;
  let gateway: TestGateway;
  before(async () => {
    [state, answers] = await Promise.all([startRedis({ password: "of-state" }), startRedis({ password: "of-cache" })]);
    upstream = await startUpstream();
    gateway = await startGateway(
      [
        provider("main", upstream.url),
        secret("main-credentials", { apiKey: "sk" }),
        policy("chat", {
          match: { models: ["gpt-4o"] },
          routing: { targets: [{ provider: { name: "main" } }] },
          cache: {},
          limits: [{ per: "ApiKey", requests: 1_000, window: "1h" }],
        }),
        ...key("alice", alice),
      ],
      ["--cache-store=Shared", `--state-url=${state.url}`, `--cache-url=${answers.url}`],
      { SLUICE_SEALING_KEYS: sealingKey(), SLUICE_STATE_PASSWORD: "of-state", SLUICE_CACHE_PASSWORD: "of-cache" },
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    await Promise.all([state.stop(), answers.stop()]);
  });

  const keysOf = async (redis: Redis, password: string): Promise<string[]> => {
    const client = connectRedis(redis.url, password, null);
    try {
      return await eventually(() => client.keys("*"));
    } finally {
      client.disconnect();
    }
  };
  const ask = async (content: string): Promise<string | null> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content }] }),
    });
    await response.text();
    return response.headers.get("x-sluice-cache");
  };

  it("has the answers, and the other one the counts", async () => {
    await eventually(async () => (await ask("where")) === "hit");
    const [counts, kept] = await Promise.all([keysOf(state, "of-state"), keysOf(answers, "of-cache")]);
    assert.ok(kept.length > 0 && kept.every((name) => name.startsWith("sluice:cache")), kept.join());
    assert.ok(counts.length > 0 && !counts.some((name) => name.startsWith("sluice:cache")), counts.join());
  });

  it("without it calls are answered, and counted", async () => {
    await answers.kill();
    assert.equal(await ask("without"), "miss");
    await answers.startAgain();
  });
});

describe("settings of a shared store", () => {
  for (const [name, flags, env, message] of [
    ["no store", ["--cache-store=Shared"], { SLUICE_SEALING_KEYS: sealingKey() }, /needs --cache-url or --state-url/],
    ["no key", ["--cache-store=Shared", "--state-url=redis://a"], {}, /SLUICE_SEALING_KEYS/],
    ["a store that nothing would be kept in", ["--cache-url=redis://a"], {}, /--cache-url needs --cache-store=Shared/],
    [
      "a password for no store",
      ["--cache-store=Shared", "--state-url=redis://a"],
      { SLUICE_SEALING_KEYS: sealingKey(), SLUICE_CACHE_PASSWORD: "p" },
      /need --cache-url: the store at --state-url has its own/,
    ],
    ["another word", ["--cache-store=Redis"], {}, /--cache-store: .*"Memory"|"Shared"/],
  ] as const)
    it(`are refused with ${name}`, () => {
      assert.throws(() => parseProxySettings(flags, env), message);
    });
});
