/** `POST /v1/messages/count_tokens`: the provider counts where it can, and otherwise the gateway estimates and says so. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, startUpstream, type Upstream, type UpstreamRequest } from "../harness/upstream.ts";
import { cloudWires } from "./providers/wire/clouds.ts";
import { type Json, list, own, type Wire } from "./providers/wire/wire.ts";

const vertex = cloudWires.find(({ type }) => type === "VertexAI") as Wire;

const clear = "slc_count_tokens_key_0001";
const schema = { type: "object", properties: { at: { type: "string" } } };
const question = {
  max_tokens: 100,
  system: "Be brief.",
  messages: [{ role: "user", content: "How are you?" }],
  tools: [{ name: "look", input_schema: schema }],
};

interface Row {
  spec: Json;
  secret: Json;
  upstream: string;
  path: string;
  answer: Json;
  /** Throws unless the provider got the whole prompt in its own form. */
  check(body: Json): void;
}

const inGemini = (body: Json): void => {
  assert.match(JSON.stringify(body["contents"]), /How are you\?/);
  assert.match(JSON.stringify(body["systemInstruction"]), /Be brief\./);
  assert.match(JSON.stringify(body["tools"]), /look/);
};

const inClaude =
  (more: Json) =>
  (body: Json): void => {
    const { max_tokens: _, ...asked } = question;
    assert.deepEqual(body, { ...asked, ...more });
  };

const rows: Readonly<Record<string, Row>> = {
  anthropic: {
    spec: { type: "Anthropic" },
    secret: { apiKey: "sk-test" },
    upstream: "claude-opus-4-7",
    path: "/v1/messages/count_tokens",
    answer: { input_tokens: 41 },
    check: inClaude({ model: "claude-opus-4-7" }),
  },
  foundry: {
    spec: { type: "AzureAIFoundry" },
    secret: { apiKey: "sk-test" },
    upstream: "claude-opus-4-7",
    path: "/anthropic/v1/messages/count_tokens",
    answer: { input_tokens: 42 },
    check: inClaude({ model: "claude-opus-4-7" }),
  },
  gemini: {
    spec: { type: "Gemini" },
    secret: { apiKey: "sk-test" },
    upstream: "gemini-3-pro",
    path: "/models/gemini-3-pro:countTokens",
    answer: { totalTokens: 43 },
    check(body) {
      const asked = own(body["generateContentRequest"]);
      assert.equal(asked["model"], "models/gemini-3-pro");
      inGemini(asked);
    },
  },
  bedrock: {
    spec: { type: "Bedrock", options: { region: "us-east-1" } },
    secret: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI" },
    upstream: "us.anthropic.claude-opus-4-7-v1:0",
    path: "/model/anthropic.claude-opus-4-7-v1%3A0/count-tokens",
    answer: { inputTokens: 44 },
    check(body) {
      const asked = own(own(body["input"])["converse"]);
      assert.deepEqual(asked["messages"], [{ role: "user", content: [{ text: "How are you?" }] }]);
      assert.deepEqual(asked["system"], [{ text: "Be brief." }]);
      assert.equal(own(list(own(asked["toolConfig"])["tools"])[0]?.["toolSpec"])["name"], "look");
    },
  },
  "vertex-gemini": {
    spec: { type: "VertexAI" },
    secret: vertex.secret,
    upstream: "gemini-3-pro",
    path: "/v1/projects/my-project/locations/global/publishers/google/models/gemini-3-pro:countTokens",
    answer: { totalTokens: 45 },
    check: inGemini,
  },
  "vertex-claude": {
    spec: { type: "VertexAI" },
    secret: vertex.secret,
    upstream: "claude-opus-4-7",
    path: "/v1/projects/my-project/locations/global/publishers/anthropic/models/count-tokens:rawPredict",
    answer: { input_tokens: 46 },
    check: inClaude({ model: "claude-opus-4-7", anthropic_version: "vertex-2023-10-16" }),
  },
};

describe("counting tokens", () => {
  let upstream: Upstream;
  let gateway: TestGateway;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      ...Object.entries(rows).flatMap(([name, row]) => [
        secret(`${name}-credentials`, row.secret as Record<string, string>),
        provider(name, upstream.url, {
          endpoint: upstream.url,
          ...row.spec,
          ...(row.spec["type"] === "VertexAI" ? vertex.spec(upstream.url) : {}),
          models: [{ name, upstream: row.upstream }],
        }),
        policy(name, { match: { models: [name] }, routing: { targets: [{ provider: { name } }] } }),
      ]),
      secret("openai-credentials", { apiKey: "sk-test" }),
      provider("openai", upstream.url, { type: "OpenAI", models: [{ name: "openai", upstream: "gpt-4o" }] }),
      policy("openai", { match: { models: ["openai"] }, routing: { targets: [{ provider: { name: "openai" } }] } }),
      provider("limited", upstream.url, { type: "Anthropic", endpoint: upstream.url, models: [{ name: "limited" }] }),
      secret("limited-credentials", { apiKey: "sk-test" }),
      policy("limited", {
        match: { models: ["limited"] },
        routing: { targets: [{ provider: { name: "limited" } }] },
        limits: [{ per: "ApiKey", requests: 1, window: "1h" }],
      }),
      ...key("agent", clear),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  const count = (model: string, body: Json = question): Promise<Response> =>
    fetch(`${gateway.url}/v1/messages/count_tokens`, {
      method: "POST",
      headers: { "x-api-key": clear, "anthropic-version": "2023-06-01", "content-type": "application/json" },
      body: JSON.stringify({ model, ...body }),
    });

  const counted = (body: Json): Promise<Response> =>
    fetch(`${gateway.url}/v1/responses/input_tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  for (const [name, row] of Object.entries(rows)) {
    it(`asks ${name}`, async () => {
      upstream.answer((request, response) => json(response, 200, vertex.aside?.(request) ?? row.answer));
      const answer = await count(name);
      assert.deepEqual(await answer.json(), { input_tokens: Object.values(row.answer)[0] });
      assert.equal(answer.headers.get("x-sluice-token-count"), "provider");
      const asked = upstream.requests.at(-1) as UpstreamRequest;
      assert.equal(asked.path, row.path);
      row.check(asked.json);
      const logged = gateway.logs.filter(({ msg }) => msg === "call").at(-1);
      assert.equal(logged?.["provider"], `default/${name}`);
      assert.equal(logged?.["operation"], "countTokens");
    });
  }

  it("asks Claude in the Responses API as well", async () => {
    upstream.answer((_request, response) => json(response, 200, { input_tokens: 51 }));
    const answer = await counted({ model: "anthropic", instructions: "Be brief.", input: "How are you?" });
    assert.deepEqual(await answer.json(), { object: "response.input_tokens", input_tokens: 51 });
    const asked = upstream.requests.at(-1) as UpstreamRequest;
    assert.equal(asked.path, "/v1/messages/count_tokens");
    assert.deepEqual(Object.keys(asked.json).sort(), ["messages", "model", "system"]);
    assert.match(asked.text, /How are you\?/);
  });

  it("asks OpenAI in the Responses API, about what its prompt depends on", async () => {
    upstream.answer((_request, response) => json(response, 200, { object: "response.input_tokens", input_tokens: 52 }));
    const prompt = { instructions: "Be brief.", input: "How are you?", tools: [{ type: "web_search" }] };
    const answer = await counted({ model: "openai", ...prompt, max_output_tokens: 9, store: false });
    assert.equal(answer.headers.get("x-sluice-token-count"), "provider");
    assert.deepEqual(await answer.json(), { object: "response.input_tokens", input_tokens: 52 });
    const asked = upstream.requests.at(-1) as UpstreamRequest;
    assert.equal(asked.path, "/v1/responses/input_tokens");
    assert.deepEqual(asked.json, { model: "gpt-4o", ...prompt });
  });

  it("is what OpenAI's SDK calls, and fails in its form", async () => {
    const client = new OpenAI({ apiKey: clear, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    upstream.answer((_request, response) => json(response, 200, { input_tokens: 53 }));
    assert.equal((await client.responses.inputTokens.count({ model: "openai", input: "Hi" })).input_tokens, 53);
    await assert.rejects(client.responses.inputTokens.count({ model: "nothing", input: "Hi" }), OpenAI.NotFoundError);
    await assert.rejects(client.responses.inputTokens.count({ model: "openai" }), OpenAI.BadRequestError);
  });

  it("estimates where the provider has no such call", async () => {
    const before = upstream.requests.length;
    const answer = await count("openai");
    const { input_tokens } = (await answer.json()) as { input_tokens: number };
    assert.ok(input_tokens > 5 && input_tokens < 200);
    assert.equal(answer.headers.get("x-sluice-token-count"), "estimated");
    assert.equal(upstream.requests.length, before);
  });

  for (const [why, status, body] of [
    ["fails", 500, { error: "broken" }],
    ["refuses", 400, { type: "error", error: { type: "invalid_request_error", message: "no" } }],
    ["gives no number", 200, { input_tokens: "many" }],
    ["gives a negative number", 200, { input_tokens: -1 }],
  ] as const) {
    it(`estimates where the provider ${why}, which says nothing about its health`, async () => {
      upstream.answer((_request, response) => json(response, status, body));
      for (let call = 0; call < 8; call++) {
        const answer = await count("anthropic");
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get("x-sluice-token-count"), "estimated");
        assert.ok(((await answer.json()) as { input_tokens: number }).input_tokens > 5);
      }
      upstream.answer((_request, response) => json(response, 200, { input_tokens: 47 }));
      assert.deepEqual(await (await count("anthropic")).json(), { input_tokens: 47 });
    });
  }

  it("counts as a request of limits where the provider is asked", async () => {
    upstream.answer((_request, response) => json(response, 200, { input_tokens: 48 }));
    assert.equal((await count("limited")).status, 200);
    assert.equal((await count("limited")).status, 429);
  });
});
