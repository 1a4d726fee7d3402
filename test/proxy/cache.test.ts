import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, beforeEach, describe, it } from "node:test";
import { parseCacheControl } from "../../proxy/cache/control.ts";
import { memoryStore } from "../../proxy/cache/memory.ts";
import type { CachedAnswer } from "../../proxy/cache/store.ts";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../harness/gateway.ts";
import { chatFrames, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_test_alice_0000001";
const bob = "slc_test_bob_000000001";
const carol = "slc_test_carol_0000001";

const inNamespace = (namespace: string, manifests: Manifest[]): Manifest[] =>
  manifests.map((manifest) => ({ ...manifest, metadata: { ...manifest.metadata, namespace } }));

const priced = { models: [{ name: "gpt-4o", price: { inputPerMillion: "2", outputPerMillion: "10" } }] };

describe("response cache", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let turn = 0;

  const manifests = (cache: Record<string, unknown>, more: Record<string, unknown> = {}): Manifest[] => [
    provider("main", upstream.url, priced),
    secret("main-credentials", { apiKey: "sk-upstream" }),
    policy("chat", {
      match: { models: ["gpt-4o"] },
      allowedNamespaces: { from: "All" },
      routing: { targets: [{ provider: { name: "main" } }] },
      cache,
      ...more,
    }),
    ...key("alice", alice, { team: "a" }),
    ...key("bob", bob, { team: "b" }),
    ...inNamespace("other", key("carol", carol)),
  ];

  const ask = (body: Record<string, unknown>, headers: Record<string, string> = {}, as = alice): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${as}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: `turn ${turn}` }], ...body }),
    });

  const result = async (answer: Promise<Response>): Promise<string | null> => {
    const response = await answer;
    await response.text();
    return response.headers.get("x-sluice-cache");
  };

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway(manifests({}));
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });
  beforeEach(async () => {
    turn++;
    upstream.answer(openai);
    upstream.requests.length = 0;
  });

  it("answers the second of two equal calls without asking the provider", async () => {
    const first = await ask({});
    const second = await ask({});
    assert.equal(first.headers.get("x-sluice-cache"), "miss");
    assert.equal(second.headers.get("x-sluice-cache"), "hit");
    assert.equal(second.headers.get("x-provider-used"), "main");
    assert.match(second.headers.get("age") ?? "", /^\d+$/);
    assert.deepEqual(await second.json(), await first.json());
    assert.equal(upstream.requests.length, 1);
    const metrics = await gateway.metrics();
    assert.match(metrics, /ai_gateway_cache_requests_total\{route="default\/chat",result="hit"\} [1-9]/);
    assert.match(metrics, /ai_gateway_cache_saved_cost_total\{provider="default\/main",model="gpt-4o"\} 0\.000092/);
    assert.ok(gateway.logs.some((line) => line["cache"] === "hit" && line["cost_nano_usd"] === undefined));
  });

  it("replays a stream as a stream", async () => {
    const first = await (await ask({ stream: true })).text();
    const again = await ask({ stream: true });
    assert.equal(again.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.equal(again.headers.get("x-sluice-cache"), "hit");
    assert.equal(await again.text(), first);
    assert.equal(await result(ask({})), "miss", "a whole answer is another answer");
    assert.equal(upstream.requests.length, 2);
  });

  it("answers Anthropic's dialect in Anthropic's format", async () => {
    const message = (): Promise<Response> =>
      fetch(`${gateway.url}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": alice, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", max_tokens: 5, messages: [{ role: "user", content: `turn ${turn}` }] }),
      });
    const first = await (await message()).text();
    const again = await message();
    assert.equal(again.headers.get("x-sluice-cache"), "hit");
    assert.equal(await again.text(), first);
  });

  const differences: [string, Record<string, unknown>, Record<string, string>?][] = [
    ["another prompt", { messages: [{ role: "user", content: "something else" }] }],
    ["another temperature", { temperature: 0.5 }],
    ["another token limit", { max_tokens: 9 }],
    ["another end user", { user: "somebody" }],
    ["tools", { tools: [{ type: "function", function: { name: "f" } }] }],
    ["a parameter that the gateway doesn't know", { novel: 1 }],
    ["a wish for a provider", {}, { "x-prefer-provider": "main" }],
    ["an answer of another version of the API", {}, { "openai-beta": "assistants=v2" }],
    ["an answer with what is in trial", {}, { "anthropic-beta": "context-1m-2025-08-07" }],
  ];
  for (const [what, body, headers] of differences) {
    it(`distinguishes ${what}`, async () => {
      assert.equal(await result(ask({})), "miss");
      assert.equal(await result(ask(body, headers)), "miss");
      assert.equal(upstream.requests.length, 2);
    });
  }

  const numbers: [string, string, boolean][] = [
    ["9007199254740992", "9007199254740993", false],
    ["9007199254740993", "9007199254740993", true],
    ["1.00000000000000000001", "1", false],
    ["1e400", "2e400", false],
    ["1e400", "null", false],
    ["1e-400", "0", false],
    ["10", "1e1", true],
    ["1.0", "1", true],
  ];
  for (const [one, other, equal] of numbers) {
    it(`${equal ? "treats" : "doesn't treat"} seeds ${one} and ${other} as equal`, async () => {
      const seeded = (seed: string): Promise<Response> =>
        fetch(`${gateway.url}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
          body: `{"model":"gpt-4o","seed":${seed},"messages":[{"role":"user","content":"${turn}: 12345678901234567890 \\"1e999"}]}`,
        });
      assert.equal(await result(seeded(one)), "miss");
      assert.equal(await result(seeded(other)), equal ? "hit" : "miss");
    });
  }

  it("ignores differences that the policy leaves out of the key", async () => {
    await gateway.apply(manifests({ key: ["Model", "Prompt"] }));
    assert.equal(await result(ask({ temperature: 0.1 })), "miss");
    assert.equal(await result(ask({ temperature: 0.9, max_tokens: 3, user: "u" })), "hit");
    assert.equal(await result(ask({ temperature: 0.9, novel: true })), "miss");
  });

  it("caches only calls that meet the policy's conditions", async () => {
    await gateway.apply(manifests({ when: { temperatureAtMost: "0", maxTokensBelow: 1000 } }));
    const rows: [Record<string, unknown>, string][] = [
      [{ temperature: 0, max_tokens: 10 }, "miss"],
      [{ temperature: 0, max_tokens: 10 }, "hit"],
      [{ temperature: 0, max_completion_tokens: 999 }, "miss"],
      [{ temperature: 0 }, "bypass"],
      [{ temperature: 0, max_tokens: 1000 }, "bypass"],
      [{ max_tokens: 10 }, "bypass"],
      [{ temperature: 0.1, max_tokens: 10 }, "bypass"],
    ];
    for (const [body, expected] of rows) assert.equal(await result(ask(body)), expected, JSON.stringify(body));
  });

  const scopes: [string, { bob: string; carol: string }][] = [
    ["Namespace", { bob: "hit", carol: "miss" }],
    ["Shared", { bob: "hit", carol: "hit" }],
    ["Team", { bob: "miss", carol: "bypass" }],
    ["User", { bob: "miss", carol: "miss" }],
    ["ApiKey", { bob: "miss", carol: "miss" }],
  ];
  for (const [scope, expected] of scopes) {
    it(`shares answers by scope ${scope}`, async () => {
      await gateway.apply(manifests({ scope }));
      assert.equal(await result(ask({}, {}, alice)), "miss");
      assert.equal(await result(ask({}, {}, bob)), expected.bob);
      assert.equal(await result(ask({}, {}, carol)), expected.carol);
      assert.equal(await result(ask({}, {}, alice)), "hit");
    });
  }

  it("obeys Cache-Control", async () => {
    await gateway.apply(manifests({}));
    const only = await ask({}, { "cache-control": "only-if-cached" });
    assert.equal(only.status, 504);
    assert.equal(((await only.json()) as { error: { code: string } }).error.code, "not_cached");
    assert.equal(await result(ask({}, { "cache-control": "no-store" })), "bypass");
    assert.equal(await result(ask({})), "miss", "no-store kept nothing");
    assert.equal(await result(ask({}, { "cache-control": "no-cache" })), "miss");
    assert.equal(await result(ask({}, { "cache-control": "max-age=60" })), "hit");
    assert.equal(await result(ask({}, { "cache-control": "only-if-cached" })), "hit");
  });

  it("makes one upstream call for a thousand equal concurrent calls", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    upstream.answer(async (request, response) => {
      await held;
      await openai(request, response);
    });
    const answers = Array.from({ length: 1000 }, () => result(ask({})));
    await eventually(async () => /ai_gateway_requests_in_flight 1000/.test(await gateway.metrics()), 30_000);
    release();
    const results = await Promise.all(answers);
    assert.equal(upstream.requests.length, 1);
    assert.equal(results.filter((result) => result === "miss").length, 1);
    assert.equal(results.filter((result) => result === "hit").length, 999);
  });

  it("lets waiting calls go upstream themselves when the call they wait for fails", async () => {
    let asked = 0;
    upstream.answer(async (request, response) => {
      if (++asked > 1) return openai(request, response);
      await eventually(async () => /ai_gateway_requests_in_flight 2/.test(await gateway.metrics()));
      response.writeHead(400, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: "no", type: "invalid_request_error" } }));
    });
    const statuses = (await Promise.all([ask({}), ask({})])).map((response) => response.status).sort();
    assert.deepEqual(statuses, [200, 400]);
  });

  it("caches neither failures nor broken streams", async () => {
    upstream.answer((_request, response) => {
      response.writeHead(500, { "content-type": "application/json" });
      response.end("{}");
    });
    assert.equal((await ask({})).status, 502);
    upstream.answer((request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const frame of chatFrames(request.json["model"], ["Hel"], false).slice(0, 2)) response.write(frame);
      response.end();
    });
    await (await ask({ stream: true })).text();
    upstream.answer(openai);
    assert.equal(await result(ask({})), "miss");
    assert.equal(await result(ask({ stream: true })), "miss");
  });

  it("drops answers when the policy or a pinned model changes", async () => {
    assert.equal(await result(ask({})), "miss");
    await gateway.apply(manifests({}, { request: { prompts: [{ content: "Be brief." }] } }));
    assert.equal(await result(ask({})), "miss");
    await gateway.apply(manifests({}));
    assert.equal(await result(ask({})), "hit", "the same policy as before");
    const pinned = manifests({}).map((one) =>
      one.kind === "LLMProvider"
        ? provider("main", upstream.url, { models: [{ name: "gpt-4o", upstream: "gpt-4o-2" }] })
        : one,
    );
    await gateway.apply(pinned);
    assert.equal(await result(ask({})), "miss");
  });

  it("distinguishes callers whom the policy's prompts name, in every dialect", async () => {
    await gateway.apply(
      manifests({ scope: "Shared" }, { request: { prompts: [{ content: "You speak with {{user}}." }] } }),
    );
    const message = { model: "gpt-4o", max_tokens: 5, messages: [{ role: "user", content: `turn ${turn}` }] };
    const anthropic = (as: string): Promise<Response> =>
      fetch(`${gateway.url}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": as, "content-type": "application/json" },
        body: JSON.stringify(message),
      });
    for (const one of [(as: string) => ask({}, {}, as), anthropic]) {
      assert.equal(await result(one(alice)), "miss");
      assert.equal(await result(one(bob)), "miss");
      assert.equal(await result(one(alice)), "hit");
    }
  });

  it("refuses a cache key that would mix up answers, with a message", async () => {
    const before = gateway.printed.length;
    await gateway.apply(manifests({ key: ["Model"] }));
    assert.ok(gateway.printed.slice(before).some((line) => line.includes("key must contain Model and Prompt")));
  });
});

describe("memory store", () => {
  const answer = (size: number): CachedAnswer => ({
    body: Buffer.alloc(size),
    storedAtMs: 0,
    target: "t",
    provider: "p",
    model: "m",
    upstreamModel: "u",
    dropped: [],
    costNanoUsd: null,
  });

  it("drops an answer when it expires", async () => {
    let nowMs = 1_000;
    const store = memoryStore(1_000_000, () => nowMs);
    store.set("r", "k", answer(10), { ttlMs: 500, maxEntries: 10 });
    nowMs = 1_500;
    assert.ok(await store.get("r", "k"));
    nowMs = 1_501;
    assert.equal(await store.get("r", "k"), null);
  });

  it("limits the entries of a route, and evicts the least recently used first", async () => {
    const store = memoryStore(1_000_000, () => 1);
    const limits = { ttlMs: 1_000, maxEntries: 2 };
    store.set("r", "a", answer(1), limits);
    store.set("r", "b", answer(1), limits);
    await store.get("r", "a");
    store.set("r", "c", answer(1), limits);
    assert.deepEqual(await Promise.all(["a", "b", "c"].map(async (name) => (await store.get("r", name)) !== null)), [
      true,
      false,
      true,
    ]);
  });

  it("limits the total bytes of all routes", async () => {
    const store = memoryStore(10_000, () => 1);
    for (let at = 0; at < 20; at++) store.set(`r${at % 2}`, `k${at}`, answer(1_000), { ttlMs: 1_000, maxEntries: 100 });
    assert.ok(store.size().bytes <= 10_000);
    assert.ok(store.size().entries >= 5);
    store.keep(new Set());
    assert.equal(store.size().entries, 0);
  });
});

describe("Cache-Control of a request", () => {
  const none = { noCache: false, noStore: false, onlyIfCached: false, maxAgeMs: null };
  const rows: [string | null, object][] = [
    [null, none],
    ["no-cache", { ...none, noCache: true }],
    ["No-Store, MAX-AGE=5", { ...none, noStore: true, maxAgeMs: 5_000 }],
    ['max-age="7"', { ...none, maxAgeMs: 7_000 }],
    ["max-age=soon, only-if-cached", { ...none, onlyIfCached: true }],
    ["max-age", none],
    ["max-age=99999999999999", none],
  ];
  for (const [header, expected] of rows)
    it(`reads ${header}`, () => assert.deepEqual(parseCacheControl(header), expected));
});
