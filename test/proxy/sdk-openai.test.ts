import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError } from "openai";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const messages = [{ role: "user" as const, content: "Hi" }];

describe("the official OpenAI SDK for Node", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const client = (apiKey: string, base = "/v1"): OpenAI =>
    new OpenAI({ apiKey, baseURL: `${gateway.url}${base}`, maxRetries: 0 });

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      provider("up", upstream.url, {
        models: [{ name: "gpt-4o", upstream: "gpt-4o-2024-08-06" }, { name: "embed" }, { name: "secret-model" }],
      }),
      secret("up-credentials", { apiKey: "sk-upstream-secret" }),
      policy("chat", { match: { models: ["gpt-4o", "embed"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      policy("restricted", {
        match: { models: ["secret-model"] },
        access: { roles: ["admin"] },
        routing: { targets: [{ provider: { name: "up" } }] },
      }),
      policy("open", {
        match: { pathPrefix: "/chat" },
        access: { anonymous: true },
        request: { defaults: { temperature: 0.7, max_tokens: 64 }, prompts: [{ content: "Be kind to {{user}}." }] },
        routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
      }),
      ...key("alice", "slc_alice_key_0001"),
      ...key("mallory", "slc_mallory_key_01", { revoked: true }),
      ...key("eve", "slc_eve_key_000001", { expiresAt: "2020-01-01T00:00:00Z" }),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("gets a chat completion, with the model renamed and the provider's own key upstream", async () => {
    const answer = await client("slc_alice_key_0001").chat.completions.create({ model: "gpt-4o", messages });
    assert.equal(answer.choices[0]?.message.content, "Hello there");
    assert.equal(answer.usage?.total_tokens, 18);
    const seen = upstream.requests.at(-1);
    assert.equal(seen?.json["model"], "gpt-4o-2024-08-06");
    assert.equal(seen?.headers.authorization, "Bearer sk-upstream-secret");
    assert.doesNotMatch(JSON.stringify(seen?.headers), /alice/);
  });

  it("streams, without the usage that only the gateway requested", async () => {
    const stream = await client("slc_alice_key_0001").chat.completions.create({
      model: "gpt-4o",
      messages,
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      assert.ok(!("usage" in chunk));
    }
    assert.equal(text, "Hello there");
    assert.deepEqual(upstream.requests.at(-1)?.json["stream_options"], { include_usage: true });
    assert.match(
      await gateway.metrics(),
      /ai_gateway_tokens_total\{provider="default\/up",model="gpt-4o",type="output"\} \d+/,
    );
  });

  it("streams with usage if the caller requests it", async () => {
    const stream = await client("slc_alice_key_0001").chat.completions.create({
      model: "gpt-4o",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    assert.equal(chunks.at(-1)?.usage?.total_tokens, 18);
  });

  it("gets embeddings", async () => {
    const answer = await client("slc_alice_key_0001").embeddings.create({
      model: "embed",
      input: ["a", "b"],
      encoding_format: "float",
    });
    assert.deepEqual(
      answer.data.map((one) => one.embedding),
      [
        [0.25, -0.5],
        [0.25, -0.5],
      ],
    );
  });

  it("lists only the models that the key may use", async () => {
    const models = await client("slc_alice_key_0001").models.list();
    assert.deepEqual(
      models.data.map((model) => model.id),
      ["embed", "gpt-4o"],
    );
    assert.equal((await client("slc_alice_key_0001").models.retrieve("gpt-4o")).id, "gpt-4o");
    await assert.rejects(client("slc_alice_key_0001").models.retrieve("secret-model"), NotFoundError);
  });

  const refusals: {
    name: string;
    apiKey: string;
    model: string;
    error: new (...args: never[]) => Error;
    code: string;
  }[] = [
    { name: "a wrong key", apiKey: "slc_wrong", model: "gpt-4o", error: AuthenticationError, code: "invalid_api_key" },
    {
      name: "a revoked key",
      apiKey: "slc_mallory_key_01",
      model: "gpt-4o",
      error: AuthenticationError,
      code: "revoked_api_key",
    },
    {
      name: "an expired key",
      apiKey: "slc_eve_key_000001",
      model: "gpt-4o",
      error: AuthenticationError,
      code: "expired_api_key",
    },
    {
      name: "an unknown model",
      apiKey: "slc_alice_key_0001",
      model: "gpt-9",
      error: NotFoundError,
      code: "model_not_found",
    },
    {
      name: "a model for another role",
      apiKey: "slc_alice_key_0001",
      model: "secret-model",
      error: PermissionDeniedError,
      code: "access_denied",
    },
  ];
  for (const { name, apiKey, model, error, code } of refusals) {
    it(`gets an error for ${name}`, async () => {
      await assert.rejects(client(apiKey).chat.completions.create({ model, messages }), (caught: unknown) => {
        assert.ok(caught instanceof error);
        assert.equal((caught as { code?: string }).code, code);
        return true;
      });
    });
  }

  it("gets an error that says what is wrong with a body", async () => {
    await assert.rejects(
      client("slc_alice_key_0001").chat.completions.create({ model: "gpt-4o" } as never),
      (caught: unknown) => {
        assert.ok(caught instanceof BadRequestError);
        assert.equal(caught.param, "messages");
        return true;
      },
    );
  });

  it("streams from an open path with a dummy key, without model or parameters, which the route supplies", async () => {
    const stream = (await client("dummy", "/chat").chat.completions.create({
      messages,
      stream: true,
    } as never)) as unknown as AsyncIterable<OpenAI.ChatCompletionChunk>;
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    assert.equal(text, "Hello there");
    const seen = upstream.requests.at(-1)?.json;
    assert.equal(seen?.["model"], "gpt-4o-2024-08-06");
    assert.equal(seen?.["temperature"], 0.7);
    assert.equal(seen?.["max_tokens"], 64);
    assert.deepEqual((seen?.["messages"] as unknown[] | undefined)?.[0], { role: "system", content: "Be kind to ." });
  });

  it("lets a bare POST to the open path carry only messages", async () => {
    const answer = await fetch(`${gateway.url}/chat`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ messages }),
    });
    assert.equal(answer.status, 200);
    const body = (await answer.json()) as { choices: { message: { content: string } }[] };
    assert.equal(body.choices[0]?.message.content, "Hello there");
  });
});
