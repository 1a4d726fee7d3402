/** A caller under a hard budget who makes the provider run tools, produce audio or read content that the gateway has not seen. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

type Json = Record<string, unknown>;

const clear = "slc_alice_key_0001";
const input = "Hi";
const messages = [{ role: "user", content: "Hi" }];
const base = { inputPerMillion: "1", outputPerMillion: "1" };
const priced = {
  ...base,
  webSearchPerThousand: "10",
  fileSearchPerThousand: "2.5",
  codeExecutionPerThousand: "30",
  imageGenerationPerThousand: "40",
  outputAudioPerMillion: "80",
};
const model = (name: string, price: Json, more: Json = {}): Json => ({
  name,
  price,
  contextTokens: 1_000,
  maxOutputTokens: 100,
  ...more,
});

const paths = { responses: { input }, "chat/completions": { messages }, messages: { messages, max_tokens: 10 } };
type Path = keyof typeof paths;

const tool = (type: string, more: Json = {}): Json => ({ tools: [{ type, ...more }] });

/** The request, and the price that it needs, or null if no price suffices. */
const asks: [path: Path, ask: Json, price: string | null][] = [
  ["responses", tool("web_search"), "webSearchPerThousand"],
  ["responses", tool("web_search_preview_2025_03_11"), "webSearchPerThousand"],
  ["responses", tool("file_search"), "fileSearchPerThousand"],
  ["responses", tool("code_interpreter", { container: { type: "auto" } }), "codeExecutionPerThousand"],
  ["responses", tool("image_generation"), "imageGenerationPerThousand"],
  ["responses", tool("of_the_future"), null],
  ["responses", { tools: ["web_search"] }, null],
  ["chat/completions", { web_search_options: {} }, "webSearchPerThousand"],
  [
    "chat/completions",
    { modalities: ["text", "audio"], audio: { voice: "ash", format: "wav" } },
    "outputAudioPerMillion",
  ],
  ["chat/completions", tool("web_search"), null],
  ["chat/completions", tool("google_search"), null],
  ["chat/completions", { plugins: [{ id: "web" }] }, null],
  ["chat/completions", { search_parameters: { mode: "on" } }, null],
  ["chat/completions", { enable_search: true }, null],
  ["messages", tool("web_search_20250305", { name: "web_search" }), "webSearchPerThousand"],
  ["messages", tool("code_execution_20250825", { name: "code_execution" }), "codeExecutionPerThousand"],
  ["messages", tool("of_the_future_20300101", { name: "x" }), null],
];

/** What is sent to the provider, and the nano-USD that the budget must have for it. */
const capped: [path: Path, ask: Json, sent: Json, nanoUsd: number][] = [
  ["responses", tool("web_search"), { max_tool_calls: 4 }, 40_000_000 + 5_000 * 1_000],
  ["responses", { ...tool("web_search"), max_tool_calls: 2 }, { max_tool_calls: 2 }, 20_000_000 + 3_000 * 1_000],
  [
    "responses",
    { tools: [{ type: "file_search" }, { type: "image_generation" }], max_tool_calls: 1 },
    { max_tool_calls: 1 },
    40_000_000 + 2_000 * 1_000,
  ],
  [
    "responses",
    tool("mcp", { server_label: "x", server_url: "https://mcp.example" }),
    { max_tool_calls: 4 },
    5_000 * 1_000,
  ],
  ["responses", tool("function", { name: "f", parameters: {} }), {}, 0],
  [
    "messages",
    tool("web_search_20250305", { name: "web_search" }),
    { tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 4 }] },
    40_000_000 + 5_000 * 1_000,
  ],
  [
    "messages",
    tool("web_search_20250305", { name: "web_search", max_uses: 1 }),
    { tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 1 }] },
    10_000_000 + 2_000 * 1_000,
  ],
  ["messages", { tools: [{ name: "f", input_schema: { type: "object" } }] }, {}, 0],
];

const budget = (name: string, amount: string, models: string[]) => ({
  kind: "Budget",
  metadata: { name },
  spec: { scope: { models }, amount, period: "Daily", enforcement: "Hard" },
});
const routes = (name: string, to: string) =>
  policy(name, { match: { models: [name] }, routing: { targets: [{ provider: { name: to } }] } });

describe("what the provider's own tools cost", () => {
  let upstream: Upstream;
  let gateway: TestGateway;

  const call = async (path: Path, name: string, ask: Json): Promise<{ status: number; body: Json }> => {
    const reply = await fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: path === "messages" ? `${name}-claude` : name, ...paths[path], ...ask }),
    });
    return { status: reply.status, body: (await reply.json()) as Json };
  };
  const codeOf = (body: Json): unknown => (body["error"] as Json | undefined)?.["code"];

  before(async () => {
    upstream = await startUpstream();
    const models = ["priced", "unpriced", "windowless"];
    const all = [
      model("priced", priced),
      model("unpriced", base),
      model("windowless", priced, { contextTokens: undefined }),
    ];
    const names = (suffix: string): Json[] =>
      all.map((entry) => JSON.parse(JSON.stringify({ ...entry, name: `${String(entry["name"])}${suffix}` })) as Json);
    gateway = await startGateway([
      provider("open", upstream.url, { models: names("") }),
      secret("open-credentials", { apiKey: "sk-up" }),
      provider("claude", upstream.url, { type: "Anthropic", models: names("-claude") }),
      secret("claude-credentials", { apiKey: "sk-up" }),
      ...models.flatMap((name) => [routes(name, "open"), routes(`${name}-claude`, "claude")]),
      budget(
        "roomy",
        "1000",
        models.flatMap((name) => [name, `${name}-claude`]),
      ),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });
  beforeEach(() => {
    upstream.requests.length = 0;
    upstream.answer((request, response) => {
      if (request.path.endsWith("/chat/completions")) return openai(request, response);
      const content = (type: string): Json[] => [{ type, text: "Hi", annotations: [] }];
      const usage = { input_tokens: 1, output_tokens: 1 };
      if (request.path.endsWith("/messages"))
        return json(response, 200, {
          ...{ id: "msg_1", type: "message", role: "assistant", model: "m", stop_reason: "end_turn", usage },
          content: content("text"),
        });
      const message = { type: "message", id: "msg_1", role: "assistant", status: "completed" };
      return json(response, 200, {
        ...{ id: "resp_1", object: "response", status: "completed", model: "m", usage },
        output: [{ ...message, content: content("output_text") }],
      });
    });
  });

  for (const [path, ask, price] of asks) {
    const text = JSON.stringify(ask);
    it(`${path} ${text} is refused if its cost is unknown`, async () => {
      const { status, body } = await call(path, "unpriced", ask);
      assert.equal(status, 400, JSON.stringify(body));
      if (price !== null) assert.match(JSON.stringify(body), new RegExp(`price\\.${price}`));
      assert.equal(upstream.requests.length, 0);
    });

    it(`${path} ${text} is ${price === null ? "refused whatever the prices" : "sent if it has a price"}`, async () => {
      const { status, body } = await call(path, "priced", ask);
      assert.equal(status, price === null ? 400 : 200, JSON.stringify(body));
      assert.equal(upstream.requests.length, price === null ? 0 : 1);
    });
  }

  it("needs the size of the context window, because each use can fill it again", async () => {
    const { status, body } = await call("responses", "windowless", tool("web_search"));
    assert.deepEqual([status, codeOf(body)], [400, "invalid_value"]);
    assert.match(JSON.stringify(body), /contextTokens/);
  });

  for (const [path, ask, sent, nanoUsd] of capped) {
    it(`${path} ${JSON.stringify(ask)} is capped at what was reserved`, async () => {
      const name = path === "messages" ? "priced-claude" : "priced";
      // Tried with just enough budget and with slightly too little. Prompt and answer cost less than USD 0.002.
      for (const [amount, expected] of [
        [nanoUsd + 2_000_000, 200],
        [nanoUsd - 1, 429],
      ] as const) {
        if (amount < 0) continue;
        await gateway.apply([
          provider("open", upstream.url, { models: [model("priced", priced)] }),
          secret("open-credentials", { apiKey: "sk-up" }),
          provider("claude", upstream.url, { type: "Anthropic", models: [model("priced-claude", priced)] }),
          secret("claude-credentials", { apiKey: "sk-up" }),
          routes("priced", "open"),
          routes("priced-claude", "claude"),
          budget(`b${amount}-${capped.findIndex((row) => row[1] === ask)}`, (amount / 1e9).toFixed(9), [name]),
          ...key("alice", clear),
        ]);
        const { status, body } = await call(path, "priced", ask);
        if (expected === 200) {
          const { json: request } = upstream.requests[0] ?? assert.fail("nothing was sent");
          assert.deepEqual({ ...request, ...sent }, request);
        }
        assert.equal(status, expected, `with ${amount} nano-USD: ${JSON.stringify(body)}`);
      }
    });
  }
});

describe("a model that searches the web for every chat", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startUpstream(openai);
    const searching = (name: string, to: string, price: Json): Json => model(name, price, { upstream: to });
    const models = [
      searching("priced", "gpt-4o-mini-search-preview", priced),
      searching("dated", "gpt-4o-mini-search-preview-2025-03-11", priced),
      searching("api", "gpt-5-search-api", priced),
      searching("unpriced", "gpt-4o-search-preview", base),
      searching("plain", "gpt-4o-search", priced),
    ];
    gateway = await startGateway([
      provider("open", upstream.url, { models }),
      secret("open-credentials", { apiKey: "sk-up" }),
      ...models.map(({ name }) => routes(String(name), "open")),
      budget("roomy", "1000", ["unpriced"]),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });
  const ask = async (name: string): Promise<{ status: number; text: string }> => {
    const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: name, messages }),
    });
    return { status: reply.status, text: await reply.text() };
  };

  for (const [name, searches] of [
    ["priced", 1],
    ["dated", 1],
    ["api", 1],
    ["plain", 0],
  ] as const)
    it(`is charged for ${searches} searches: ${name}`, async () => {
      const { status, text } = await ask(name);
      assert.equal(status, 200, text);
      const { usage } = JSON.parse(text) as { usage: { total_tokens: number } };
      await gateway.status();
      const line = gateway.logs.findLast((logged) => logged["model"] === name);
      assert.equal(line?.["cost_nano_usd"], usage.total_tokens * 1_000 + searches * 10_000_000);
    });

  it("is refused under a hard budget if the search has no price", async () => {
    const { status, text } = await ask("unpriced");
    assert.equal(status, 400);
    assert.match(text, /price\.webSearchPerThousand/);
  });
});
