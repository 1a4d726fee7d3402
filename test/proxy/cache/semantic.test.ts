/** Answers to questions that mean the same: when one is given, and above all when none is. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { literals } from "../../../proxy/cache/question.ts";
import { memoryVectors, normalised } from "../../../proxy/cache/vectors.ts";
import { cpuMsOf } from "../../harness/cpu-time.ts";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../../harness/gateway.ts";
import { json, startUpstream, type Upstream } from "../../harness/upstream.ts";
import { echo, embeddings, vectorOf } from "./words.ts";

const alice = "slc_test_alice_0000001";
const bob = "slc_test_bob_000000001";
const carol = "slc_test_carol_0000001";
const dave = "slc_test_dave_0000001";

const inNamespace = (namespace: string, manifests: Manifest[]): Manifest[] =>
  manifests.map((manifest) => ({ ...manifest, metadata: { ...manifest.metadata, namespace } }));

const first = "how do I reset my password";
/** Five of six words are the same: a similarity of 0.8333. */
const alike = "how can I reset my password";
const apart = "where is the nearest railway station";

describe("a cache that compares by meaning", () => {
  let upstream: Upstream;
  let vectors: Upstream;
  let gateway: TestGateway;

  const manifests = (
    semantic: Record<string, unknown> = {},
    cache: Record<string, unknown> = {},
    more: Record<string, unknown> = {},
  ): Manifest[] => [
    provider("main", upstream.url, {
      models: [
        { name: "gpt-4o", price: { inputPerMillion: "2", outputPerMillion: "10" } },
        { name: "gpt-4o-mini", price: { inputPerMillion: "2", outputPerMillion: "10" } },
      ],
    }),
    secret("main-credentials", { apiKey: "sk-upstream" }),
    provider("vectors", vectors.url, {
      models: [{ name: "embed", price: { inputPerMillion: "2", outputPerMillion: "0" } }],
    }),
    secret("vectors-credentials", { apiKey: "sk-vectors" }),
    policy("chat", {
      match: { models: ["gpt-4o", "gpt-4o-mini"] },
      allowedNamespaces: { from: "All" },
      routing: { targets: [{ provider: { name: "main" } }] },
      cache: {
        semantic: {
          embeddings: { provider: { name: "vectors" }, model: "embed" },
          threshold: "0.8",
          timeout: "5s",
          ...semantic,
        },
        ...cache,
      },
      ...more,
    }),
    ...key("alice", alice, { team: "a" }),
    ...key("bob", bob, { team: "b" }),
    ...inNamespace("other", key("carol", carol)),
    ...key("dave", dave),
    {
      kind: "Budget",
      metadata: { name: "daves" },
      spec: { amount: "0.000002", period: "Daily", scope: { users: ["dave@example.com"] } },
    },
  ];

  interface Told {
    status: number;
    cache: string | null;
    similarity: string | null;
    text: string;
  }

  const send = async (path: string, body: object, headers: Record<string, string> = {}, as = alice): Promise<Told> => {
    const response = await fetch(`${gateway.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${as}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "gpt-4o", ...body }),
    });
    const told = {
      status: response.status,
      cache: response.headers.get("x-sluice-cache"),
      similarity: response.headers.get("x-sluice-similarity"),
    };
    return { ...told, text: await response.text() };
  };
  const ask = (
    content: unknown,
    more: Record<string, unknown> = {},
    headers: Record<string, string> = {},
    as = alice,
  ): Promise<Told> => send("/v1/chat/completions", { messages: [{ role: "user", content }], ...more }, headers, as);
  const lookups = async (result: string): Promise<number> =>
    Number(
      new RegExp(`ai_gateway_semantic_lookups_total\\{route="default/chat",result="${result}"\\} (\\d+)`).exec(
        await gateway.metrics(),
      )?.[1] ?? 0,
    );

  let turn = 0;
  before(async () => {
    [upstream, vectors] = await Promise.all([startUpstream(echo), startUpstream(embeddings)]);
    gateway = await startGateway(manifests());
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    await vectors.close();
  });
  beforeEach(async () => {
    upstream.answer(echo);
    vectors.answer(embeddings);
    // A default of its own for each test is another policy, and so an empty cache.
    await gateway.apply(manifests({}, {}, { request: { defaults: { seed: ++turn } } }));
    upstream.requests.length = 0;
    vectors.requests.length = 0;
  });

  it("answers a question that means the same, says so and how alike they are, and asks no provider for the answer", async () => {
    const miss = await ask(first);
    const hit = await ask(alike);
    assert.deepEqual([miss.cache, miss.similarity], ["miss", null]);
    assert.deepEqual([hit.cache, hit.similarity, hit.text], ["semantic", "0.8333", miss.text]);
    assert.equal(upstream.requests.length, 1);
    assert.equal(vectors.requests.length, 2);
    assert.deepEqual(vectors.requests[0]?.json, { model: "embed", input: first });
    assert.equal(vectors.requests[0]?.headers.authorization, "Bearer sk-vectors");
  });

  it("makes no vector for an equal call", async () => {
    await ask(first);
    assert.equal((await ask(first)).cache, "hit");
    assert.equal(vectors.requests.length, 1);
  });

  it("gives of two that are alike the nearer", async () => {
    await gateway.apply(manifests({ threshold: "0.6" }, {}, { request: { defaults: { seed: turn } } }));
    await ask("one two three four five six");
    await ask("one two three seven eight nine");
    assert.match((await ask("one two three four eleven six")).text, /to: one two three four five six/);
  });

  it("gives a stream again as a stream", async () => {
    const miss = await ask(first, { stream: true });
    const hit = await ask(alike, { stream: true });
    assert.deepEqual([hit.cache, hit.text], ["semantic", miss.text]);
    assert.match(hit.text, /data: \[DONE\]/);
    assert.equal((await ask(alike)).cache, "miss", "a whole answer is another answer");
  });

  const dialects: [string, string, (text: string) => object][] = [
    [
      "Anthropic's messages",
      "/v1/messages",
      (text) => ({ max_tokens: 9, messages: [{ role: "user", content: [{ type: "text", text }] }] }),
    ],
    ["Responses with a text", "/v1/responses", (text) => ({ input: text })],
    [
      "Responses with a list",
      "/v1/responses",
      (text) => ({ input: [{ role: "user", content: [{ type: "input_text", text }] }] }),
    ],
    ["completions", "/v1/completions", (text) => ({ prompt: text })],
  ];
  for (const [name, path, body] of dialects)
    it(`compares ${name}`, async () => {
      const miss = await send(path, body(first));
      const hit = await send(path, body(alike));
      assert.deepEqual([miss.status, miss.cache, hit.cache, hit.text], [200, "miss", "semantic", miss.text]);
    });

  const system = (content: string, question: string) => ({
    messages: [
      { role: "system", content },
      { role: "user", content: question },
    ],
  });
  const turns = (answer: string, question: string) => ({
    messages: [
      { role: "user", content: "hello" },
      { role: "assistant", content: answer },
      { role: "user", content: question },
    ],
  });
  const tool = { type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } };
  const image = (text: string) => [
    { type: "text", text },
    { type: "image_url", image_url: { url: "https://example.com/a.png" } },
  ];

  const misses: [string, () => Promise<Told>, () => Promise<Told>][] = [
    ["a question about something else", () => ask(first), () => ask(apart)],
    ["another model", () => ask(first), () => ask(alike, { model: "gpt-4o-mini" })],
    ["another system prompt", () => ask("", system("Be brief.", first)), () => ask("", system("Be brief!", alike))],
    ["another turn before", () => ask("", turns("hi", first)), () => ask("", turns("hello", alike))],
    ["another temperature", () => ask(first), () => ask(alike, { temperature: 0.5 })],
    ["tools", () => ask(first, { tools: [tool] }), () => ask(alike, { tools: [tool] })],
    ["an answer as JSON", () => ask(first), () => ask(alike, { response_format: { type: "json_object" } })],
    ["a parameter that the gateway doesn't know", () => ask(first), () => ask(alike, { novel: 1 })],
    ["another tenant", () => ask(first), () => ask(alike, {}, {}, carol)],
    ["another dialect", () => send("/v1/completions", { prompt: first }), () => ask(alike)],
    ["another number", () => ask("what is 17 plus four then"), () => ask("what is 18 plus four then")],
    [
      "another address",
      () => ask("write to a@example.com about the new contract"),
      () => ask("write to b@example.com about the new contract"),
    ],
    ["a picture", () => ask(image(first)), () => ask(image(alike))],
    [
      "a tool's result",
      () =>
        ask("", {
          messages: [
            { role: "user", content: "x" },
            { role: "tool", tool_call_id: "t", content: first },
          ],
        }),
      () =>
        ask("", {
          messages: [
            { role: "user", content: "x" },
            { role: "tool", tool_call_id: "t", content: alike },
          ],
        }),
    ],
    ["an empty question", () => ask(" "), () => ask("  ")],
  ];
  for (const [what, one, other] of misses)
    it(`does not answer across ${what}`, async () => {
      assert.equal((await one()).cache, "miss");
      assert.equal((await other()).cache, "miss");
      assert.equal(upstream.requests.length, 2);
    });

  it("lets only the words of the last message differ, whatever comes before", async () => {
    await ask("", turns("hi", first));
    assert.equal((await ask("", turns("hi", alike))).cache, "semantic");
  });

  for (const [scope, expected] of [
    ["Namespace", ["semantic", "miss"]],
    ["ApiKey", ["miss", "miss"]],
    ["Team", ["miss", "bypass"]],
    ["Shared", ["semantic", "semantic"]],
  ] as const)
    it(`shares by scope ${scope}, as equal calls do`, async () => {
      await gateway.apply(manifests({}, { scope }));
      await ask(first);
      assert.deepEqual([(await ask(alike, {}, {}, bob)).cache, (await ask(alike, {}, {}, carol)).cache], expected);
    });

  const changes: [string, () => Manifest[]][] = [
    [
      "a prompt of the policy",
      () => manifests({}, {}, { request: { prompts: [{ content: "Be brief." }], defaults: { seed: turn } } }),
    ],
    ["the threshold", () => manifests({ threshold: "0.81" }, {}, { request: { defaults: { seed: turn } } })],
    [
      "masking",
      () => manifests({}, {}, { guard: { mask: { detect: ["Email"] } }, request: { defaults: { seed: turn } } }),
    ],
    [
      "the model behind a name",
      () =>
        manifests({}, {}, { request: { defaults: { seed: turn } } }).map((one) =>
          one.metadata.name === "main"
            ? provider("main", upstream.url, {
                models: [{ name: "gpt-4o", upstream: "gpt-4o-2" }, { name: "gpt-4o-mini" }],
              })
            : one,
        ),
    ],
    [
      "the model for embeddings",
      () =>
        manifests({}, {}, { request: { defaults: { seed: turn } } }).map((one) =>
          one.metadata.name === "vectors"
            ? provider("vectors", vectors.url, { models: [{ name: "embed", upstream: "embed-2" }] })
            : one,
        ),
    ],
  ];
  for (const [what, changed] of changes)
    it(`forgets when ${what} changes`, async () => {
      await ask(first);
      await gateway.apply(changed());
      assert.equal((await ask(alike)).cache, "miss");
    });

  it("sends masked text to the provider of embeddings, and puts back each caller's own", async () => {
    await gateway.apply(manifests({}, {}, { guard: { mask: { detect: ["Email"], mode: "Placeholder" } } }));
    await ask("please write a friendly letter to ann@example.com");
    const hit = await ask("please write one friendly letter to bea@example.com");
    assert.deepEqual(
      vectors.requests.map((request) => request.json["input"]),
      ["please write a friendly letter to [EMAIL_1]", "please write one friendly letter to [EMAIL_1]"],
    );
    assert.equal(hit.cache, "semantic");
    assert.match(hit.text, /to: please write a friendly letter to bea@example\.com/);
  });

  it("obeys Cache-Control", async () => {
    await ask(first);
    vectors.requests.length = 0;
    assert.equal((await ask(alike, {}, { "cache-control": "no-store" })).cache, "bypass");
    assert.equal((await ask(alike, {}, { "cache-control": "no-cache" })).cache, "miss");
    assert.equal(vectors.requests.length, 0, "no text leaves for a comparison that is not wanted");
    assert.equal(
      (await ask("how could I reset my password", {}, { "cache-control": "only-if-cached" })).cache,
      "semantic",
    );
    assert.equal((await ask(apart, {}, { "cache-control": "only-if-cached" })).status, 504);
    assert.equal((await ask("how would I reset my password", {}, { "cache-control": "max-age=60" })).cache, "semantic");
    await eventually(
      async () =>
        (await ask(`how ${performance.now() > 0} I reset my password`, {}, { "cache-control": "max-age=0" })).cache ===
        "miss",
    );
  });

  it("makes one vector and one call of a hundred equal ones at once", async () => {
    const told = await Promise.all(Array.from({ length: 100 }, () => ask(first)));
    assert.deepEqual([vectors.requests.length, upstream.requests.length], [1, 1]);
    assert.equal(told.filter((one) => one.cache === "hit").length, 99);
    const again = await Promise.all(Array.from({ length: 100 }, () => ask(alike)));
    assert.ok(again.every((one) => one.cache === "semantic"));
    assert.deepEqual([vectors.requests.length, upstream.requests.length], [2, 1]);
  });

  it("takes vectors of providers that speak another dialect", async () => {
    const cohere = manifests({}, {}, { request: { defaults: { seed: turn } } }).map((one) =>
      one.metadata.name === "vectors"
        ? provider("vectors", vectors.url, {
            type: "Cohere",
            endpoint: `${vectors.url}/v2`,
            models: [{ name: "embed" }],
          })
        : one,
    );
    await gateway.apply(cohere);
    vectors.answer((request, response) => {
      const [text] = request.json["texts"] as string[];
      json(response, 200, {
        id: "1",
        embeddings: { float: [vectorOf(text ?? "")] },
        meta: { billed_units: { input_tokens: 6 } },
      });
    });
    await ask(first);
    assert.equal((await ask(alike)).cache, "semantic");
    assert.deepEqual([vectors.requests[0]?.path, vectors.requests[0]?.json["texts"]], ["/v2/embed", [first]]);
  });

  const troubles: [string, string, Parameters<Upstream["answer"]>[0]][] = [
    ["is silent", "slow", () => undefined],
    ["answers 500", "failed", (_request, response) => void response.writeHead(500).end("{}")],
    ["breaks off", "failed", (_request, response) => void response.destroy()],
    ["refuses the credential", "failed", (_request, response) => void response.writeHead(401).end("{}")],
    ["answers no JSON", "failed", (_request, response) => void response.writeHead(200).end("oops")],
    [
      "answers without a vector",
      "failed",
      (_request, response) =>
        void response.writeHead(200).end(JSON.stringify({ data: [], usage: { prompt_tokens: 5 } })),
    ],
    [
      "answers more dimensions than are compared",
      "failed",
      (_request, response) =>
        void response.writeHead(200).end(JSON.stringify({ data: [{ embedding: new Array(4_097).fill(1) }] })),
    ],
    [
      "answers more than it may",
      "failed",
      (_request, response) => void response.writeHead(200).end(`{"data":[],"x":"${"x".repeat(1_100_000)}"}`),
    ],
    [
      "answers a vector of nothing",
      "failed",
      (_request, response) => void response.writeHead(200).end(JSON.stringify({ data: [{ embedding: [0, 0] }] })),
    ],
  ];
  for (const [what, result, trouble] of troubles)
    it(`has a miss within the bound where the provider of embeddings ${what}`, async () => {
      // Who answers, on a busy machine too, has the time for it.
      await gateway.apply(
        manifests({ timeout: result === "slow" ? "200ms" : "4s" }, {}, { request: { defaults: { seed: turn } } }),
      );
      const before = await lookups(result);
      vectors.answer(trouble);
      const told = await ask(first);
      assert.deepEqual([told.status, told.cache], [200, "miss"]);
      await eventually(async () => (await lookups(result)) === before + 1);
    });

  it("leaves a provider of embeddings alone for as long as it asks", async () => {
    vectors.answer((_request, response) => void response.writeHead(429, { "retry-after": "4" }).end("{}"));
    assert.equal((await ask("one")).cache, "miss");
    vectors.answer(embeddings);
    assert.equal((await ask("two")).cache, "miss");
    assert.equal(vectors.requests.length, 1);
    const letters = (count: number): string =>
      String(count).replace(/\d/g, (digit) => "abcdefghij"[Number(digit)] ?? "");
    let tries = 0;
    await eventually(async () => (await ask(`three ${letters(++tries)}`)) && vectors.requests.length > 1);
  });

  it("leaves a provider of embeddings alone that goes on failing, and compares again when it is back", async () => {
    await gateway.apply(manifests({ timeout: "100ms" }, {}, { request: { defaults: { seed: turn } } }));
    vectors.answer(() => undefined);
    for (let at = 0; at < 12; at++) assert.equal((await ask(`question ${at}`)).cache, "miss");
    assert.ok(vectors.requests.length <= 5, `${vectors.requests.length} of 12 were sent`);
    assert.ok((await lookups("paused")) >= 7);
    vectors.answer(embeddings);
    // So that it is not too slow again where this machine is.
    await gateway.apply(manifests({}, {}, { request: { defaults: { seed: turn } } }));
    let tries = 0;
    await eventually(async () => {
      // Other words each time: an answer that was kept without a vector is given to equal calls.
      const word = (++tries).toString().replace(/\d/g, (digit) => "abcdefghij"[Number(digit)] ?? "");
      const [one, other] = [`x${word}`, `y${word}`];
      await ask(`how ${one} I reset my password`);
      return (await ask(`how ${other} I reset my password`)).cache === "semantic";
    });
  });

  it("tells what it cost and what it saved, as calls of their own", async () => {
    await ask(first);
    await ask(alike);
    const metrics = await eventually(async () => {
      const text = await gateway.metrics();
      return /ai_gateway_cache_requests_total\{route="default\/chat",result="semantic"\} [1-9]/.test(text)
        ? text
        : null;
    });
    assert.match(metrics, /ai_gateway_semantic_similarity_bucket\{le="0\.85",route="default\/chat"\} [1-9]/);
    assert.match(metrics, /ai_gateway_semantic_vectors [1-9]/);
    assert.match(metrics, /ai_gateway_cost_total\{provider="default\/vectors",model="embed"\} [\d.e-]+/);
    assert.match(
      metrics,
      /ai_gateway_requests_total\{route="default\/chat",provider="default\/vectors",model="embed",operation="semantic_cache",status="200"\}/,
    );
    const lines = gateway.logs.filter((line) => line["operation"] === "semantic_cache");
    assert.deepEqual(
      [lines.at(-1)?.["cost_nano_usd"], lines.at(-1)?.["user"], lines.at(-1)?.["cache"]],
      [10_000, "alice@example.com", undefined],
    );
    const hit = gateway.logs.findLast((line) => line["cache"] === "semantic");
    assert.deepEqual([hit?.["semantic"], hit?.["similarity"], hit?.["cost_nano_usd"]], ["hit", 0.8333, undefined]);
    await gateway.state.ledger.flush();
    const rows = await gateway.state.store.readLedger(Date.now() - 3_600_000, Date.now() + 3_600_000);
    assert.ok(
      rows.some((row) => row.model === "embed" && row.user === "alice@example.com" && row.costNanoUsd >= 20_000),
    );
  });

  it("compares nothing for a caller whose budget has no room for it", async () => {
    const before = await lookups("refused");
    await ask(first);
    vectors.requests.length = 0;
    assert.equal((await ask(alike, {}, {}, dave)).status, 429);
    assert.equal((await lookups("refused")) > before, true);
    assert.equal(vectors.requests.length, 0);
  });

  it("counts a hit against the caller's rate limits, and a miss once", async () => {
    const limited = manifests(
      {},
      {},
      { request: { defaults: { seed: turn } }, limits: [{ per: "ApiKey", requests: 4, window: "1h" }] },
    );
    await gateway.apply(limited);
    assert.equal((await ask(first)).cache, "miss");
    assert.equal((await ask(alike)).cache, "semantic");
    assert.equal((await ask("how could I reset my password")).cache, "semantic");
    assert.equal((await ask(apart)).cache, "miss");
    const sent = vectors.requests.length;
    assert.equal((await ask("how would I reset my password")).status, 429);
    assert.equal((await ask("how must I reset my password", {}, { "cache-control": "only-if-cached" })).status, 504);
    assert.equal(vectors.requests.length, sent, "no vector beyond the limit");
    assert.equal((await ask(first)).cache, "hit", "equal calls take nothing");
  });

  it("counts a look-up that was asked for alone", async () => {
    await gateway.apply(
      manifests(
        {},
        {},
        { request: { defaults: { seed: turn } }, limits: [{ per: "ApiKey", requests: 2, window: "2h" }] },
      ),
    );
    for (const content of ["one", "two", "three"])
      assert.equal((await ask(content, {}, { "cache-control": "only-if-cached" })).status, 504);
    assert.equal(vectors.requests.length, 2);
  });

  it("keeps neither questions nor answers in what it writes of itself", async () => {
    await ask(first);
    await ask(alike);
    assert.ok(!gateway.logText().includes("reset my password"));
    assert.ok(!(await gateway.metrics()).includes("password"));
  });

  describe("in shadow", () => {
    beforeEach(() => gateway.apply(manifests({ mode: "Shadow" }, {}, { request: { defaults: { seed: turn } } })));

    it("measures and serves nothing by it", async () => {
      const before = await lookups("would_hit");
      assert.equal((await ask(first)).cache, "miss");
      const second = await ask(alike);
      assert.deepEqual([second.cache, second.similarity], ["miss", null]);
      assert.match(second.text, /how can I/);
      await eventually(async () => (await lookups("would_hit")) === before + 1);
      assert.ok(gateway.logs.some((line) => line["semantic"] === "would_hit" && line["similarity"] === 0.8333));
      assert.equal((await ask(alike)).cache, "hit", "equal calls are answered as ever");
    });

    it("delays nobody, not even who waits for the same answer", async () => {
      vectors.answer(() => undefined);
      await gateway.apply(manifests({ mode: "Shadow", timeout: "4s" }, {}, { request: { defaults: { seed: turn } } }));
      const [began, since] = [performance.now(), gateway.logs.length];
      const told = await Promise.all(Array.from({ length: 5 }, () => ask(first)));
      assert.ok(told.every((one) => one.status === 200));
      assert.ok(performance.now() - began < 3_500);
      const line = await eventually(() => gateway.logs.slice(since).find((one) => one["semantic"] === "slow"));
      assert.ok(Number(line["duration_ms"]) < 3_500);
    });
  });
});

describe("words that must be the same", () => {
  const rows: [string, string[]][] = [
    ["Is 5% of $3,000.50 more than (7)?", ["5%", "$3,000.50", "7"]],
    ["what is -5 + 3", ["-5", "3"]],
    [
      "mail [EMAIL_1], or a@example.com; see https://example.com/x.",
      ["EMAIL_1", "a@example.com", "https://example.com/x"],
    ],
    ["价格是5元吗", ["5"]],
    ["٣ apples", ["٣"]],
    ["no figures here, at all!", []],
  ];
  for (const [text, expected] of rows) it(text, () => assert.deepEqual(literals(text), expected));

  it("are found in a time that grows with the text", () => {
    for (const text of [")".repeat(8_192), "a".repeat(8_192), `${"(".repeat(4_000)}5${")".repeat(4_000)}`])
      assert.ok(cpuMsOf(() => literals(text)) < 500);
  });
});

describe("vectors in memory", () => {
  const most = { maxEntries: 3, ttlMs: 1_000 };
  const entry = (partition: string, name: string, vector: Float32Array, storedAtMs = 0) => ({
    ...{ partition, key: name, vector, storedAtMs },
    endsAtMs: storedAtMs + 1_000,
  });
  const unit = (...values: number[]): Float32Array => normalised(values) as Float32Array;

  it("are compared within a partition, by direction alone", () => {
    const index = memoryVectors(1_000_000, () => 0);
    index.add("r", entry("p", "a", unit(1, 0)), most);
    index.add("r", entry("p", "b", unit(30, 40)), most);
    index.add("r", entry("q", "c", unit(0, 1)), most);
    const found = index.nearest("r", "p", unit(0, 7), 0);
    assert.equal(found?.key, "b");
    assert.ok(Math.abs((found?.similarity ?? 0) - 0.8) < 1e-6);
    assert.equal(index.nearest("r", "none", unit(0, 1), 0), null);
    assert.equal(index.nearest("other", "p", unit(0, 1), 0), null);
    assert.equal(index.nearest("r", "p", unit(1, 0, 0), 0), null, "of another length");
  });

  it("end with their answer, and can be passed over for a while", () => {
    let now = 0;
    const index = memoryVectors(1_000_000, () => now);
    index.add("r", entry("p", "a", unit(1)), most);
    assert.equal(index.nearest("r", "p", unit(1), 1), null, "older than is wanted");
    index.passOver("r", "a");
    assert.equal(index.nearest("r", "p", unit(1), 0), null);
    now = 999;
    index.add("r", entry("p", "a", unit(1), now), most);
    assert.equal(index.size().entries, 1);
    now = 1_998;
    assert.equal(index.nearest("r", "p", unit(1), 0)?.key, "a");
    now = 1_999;
    assert.equal(index.nearest("r", "p", unit(1), 0), null);
    assert.equal(index.size().entries, 0);
  });

  it("keep to a route's entries, the longest unused going first, and to the bytes of all", () => {
    const index = memoryVectors(3_000, () => 0);
    for (const [at, name] of ["a", "b", "c"].entries()) index.add("r", entry("p", name, unit(1, at)), most);
    assert.equal(index.nearest("r", "p", unit(1, 0), 0)?.key, "a");
    index.add("r", entry("p", "d", unit(-1, 9)), most);
    assert.equal(index.nearest("r", "p", unit(1, 1), 0)?.key, "c", "b went");
    for (let at = 0; at < 10; at++) index.add(`s${at}`, entry("p", "k", unit(1, at)), most);
    assert.ok(index.size().bytes <= 3_000);
    index.keep(new Map());
    assert.equal(index.size().entries, 0);
  });

  for (const values of [[], [0, 0], [Number.NaN, 1], [1e39, 1]])
    it(`are not made of ${JSON.stringify(values)}`, () => assert.equal(normalised(values), null));
});
