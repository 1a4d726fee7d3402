/** Whole proxies that share answers, and what their questions mean, through one Redis. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Client, connectRedis } from "../../../proxy/fleet/redis-client.ts";
import type { RunningProxy } from "../../../proxy/main.ts";
import { eventually, key, type Manifest, policy, provider, secret } from "../../harness/gateway.ts";
import { type Proxies, startProxies } from "../../harness/proxies.ts";
import { type Redis, startRedis } from "../../harness/redis.ts";
import { startUpstream, type Upstream } from "../../harness/upstream.ts";
import { echo, embeddings } from "./words.ts";

const alice = "slc_test_alice_0000001";
const bob = "slc_test_bob_000000001";
const carol = "slc_test_carol_0000001";

const inNamespace = (namespace: string, manifests: Manifest[]): Manifest[] =>
  manifests.map((manifest) => ({ ...manifest, metadata: { ...manifest.metadata, namespace } }));

describe("proxies with shared answers", () => {
  let redis: Redis;
  let raw: Client;
  let upstream: Upstream;
  let vectors: Upstream;
  let proxies: Proxies;
  let [one, two] = [null as unknown as RunningProxy, null as unknown as RunningProxy];
  let turn = 0;

  const ask = async (
    proxy: RunningProxy,
    content: string,
    as = alice,
    more: object = {},
    headers: Record<string, string> = {},
  ): Promise<{ cache: string | null; status: number; text: string }> => {
    const response = await fetch(`${proxy.trafficUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${as}`, "content-type": "application/json", ...headers },
      // A turn of its own keeps tests apart.
      body: JSON.stringify({
        model: "gpt-4o",
        messages: [
          { role: "system", content: `turn ${turn}` },
          { role: "user", content },
        ],
        ...more,
      }),
    });
    return { cache: response.headers.get("x-sluice-cache"), status: response.status, text: await response.text() };
  };
  /** Until this proxy answers it from another's answer; nothing is asked upstream meanwhile. */
  const heard = (proxy: RunningProxy, expected: string, content: string, more: object = {}, as = alice) =>
    eventually(async () => {
      const told = await ask(proxy, content, as, more, { "cache-control": "only-if-cached" });
      return told.cache === expected ? told : null;
    });

  before(async () => {
    redis = await startRedis();
    raw = connectRedis(redis.url, null, null);
    [upstream, vectors] = await Promise.all([startUpstream(echo), startUpstream(embeddings)]);
    const manifests = [
      provider("main", upstream.url),
      secret("main-credentials", { apiKey: "sk-upstream" }),
      provider("vectors", vectors.url, { models: [{ name: "embed" }] }),
      secret("vectors-credentials", { apiKey: "sk-vectors" }),
      policy("chat", {
        match: { models: ["gpt-4o"] },
        allowedNamespaces: { from: "All" },
        routing: { targets: [{ provider: { name: "main" } }] },
        cache: {
          semantic: { embeddings: { provider: { name: "vectors" }, model: "embed" }, threshold: "0.8", timeout: "5s" },
        },
      }),
      ...key("alice", alice),
      ...key("bob", bob),
      ...inNamespace("other", key("carol", carol)),
    ];
    const env = { SLUICE_SEALING_KEYS: randomBytes(32).toString("base64") };
    proxies = await startProxies(2, manifests, ["--cache-store=Shared", `--state-url=${redis.url}`], env);
    [one, two] = proxies.all as [RunningProxy, RunningProxy];
    await eventually(() => raw.ping());
    // Both are connected.
    for (const proxy of proxies.all) await eventually(async () => (await ask(proxy, "warm up")).cache === "hit");
  });
  after(async () => {
    await proxies.close();
    raw.disconnect();
    await upstream.close();
    await vectors.close();
    await redis.stop();
  });
  beforeEach(() => {
    turn++;
    upstream.requests.length = 0;
  });

  it("give equal calls of a tenant what another proxy was answered, and another tenant nothing of it", async () => {
    const first = await ask(one, "where is the key");
    assert.equal(first.cache, "miss");
    const second = await heard(two, "hit", "where is the key");
    assert.equal(second.text, first.text);
    assert.equal((await heard(two, "hit", "where is the key", {}, bob)).text, first.text, "of the same namespace");
    const asked = upstream.requests.length;
    assert.equal((await ask(two, "where is the key", carol)).cache, "miss");
    assert.equal((await ask(one, "where is the key", carol)).status, 200);
    assert.ok(upstream.requests.length > asked);
  });

  it("give streams again", async () => {
    const first = await ask(one, "say it again", alice, { stream: true });
    assert.equal((await heard(two, "hit", "say it again", { stream: true })).text, first.text);
  });

  /** Each once: a question that was missed is kept, and would be the next one's equal. */
  let words = 0;
  const word = (): string => `w${String(++words).replace(/\d/g, (digit) => "abcdefghij"[Number(digit)] ?? "")}`;

  it("give questions that mean the same what another proxy was answered, and another tenant nothing of it", async () => {
    const first = await ask(one, "how do I reset my password");
    const second = await heard(two, "semantic", "how can I reset my password");
    assert.equal(second.text, first.text);
    assert.equal((await heard(two, "semantic", `how ${word()} I reset my password`, {}, bob)).text, first.text);
    assert.equal((await ask(two, `how ${word()} I reset my password`, carol)).cache, "miss");
  });

  it("begin with what the others know", async () => {
    const first = await ask(one, "when does the last train leave");
    const third = await proxies.start();
    assert.equal((await heard(third, "semantic", "when must the last train leave")).text, first.text);
  });

  it("have nothing of a question in the store that could be read", async () => {
    await ask(one, "a very confidential question of mine");
    const entries = await eventually(async () => {
      const found = await raw.xrangeBuffer("sluice:cache-vectors", "-", "+");
      return found.length > 0 ? found : null;
    });
    const bytes = Buffer.concat(entries.flatMap(([, fields]) => fields));
    for (const clear of ["confidential", "partition", "storedAtMs"]) assert.equal(bytes.includes(clear), false);
    assert.ok((await raw.pttl("sluice:cache-vectors")) > 0);
  });

  it("take nothing from the store that was changed, or put into another policy's name", async () => {
    await ask(one, "what the forger copies");
    const entries = await eventually(async () => {
      const found = await raw.xrangeBuffer("sluice:cache-vectors", "-", "+");
      return found.length > 0 ? found : null;
    });
    const sealed = entries.at(-1)?.[1][3] ?? Buffer.alloc(0);
    const unreadable = async (): Promise<number> => {
      const text = await (await fetch(`${two.statusUrl}/metrics`)).text();
      return Number(/sluice_cache_store_failures_total\{reason="unreadable"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    const before = await unreadable();
    await raw.xadd("sluice:cache-vectors", "*", "r", "default/chat", "v", Buffer.concat([sealed, Buffer.from("x")]));
    await raw.xadd("sluice:cache-vectors", "*", "r", "default/chat");
    await raw.xadd("sluice:cache-vectors", "*", "r", "default/none", "v", sealed);
    await eventually(async () => (await unreadable()) === before + 2);
  });

  it("compare on without the store, each for itself, and share again when it is back", async () => {
    await redis.kill();
    assert.equal((await ask(one, "is anybody there at all")).status, 200);
    await redis.startAgain();
    await eventually(async () => {
      await ask(one, `we ${word()} all back in the office`);
      return (await ask(two, `we ${word()} all back in the office`)).cache === "semantic";
    }, 60_000);
  });
});
