/** What agents read besides answers: lists of models in their SDK's shape, and failures of a Responses stream. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_client_shapes_key_0001";
const names = ["a-model", "b-model", "c-model"];

describe("the shapes that clients read", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let anthropic: Anthropic;
  let openai: OpenAI;

  before(async () => {
    upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const delta = { index: 0, delta: { role: "assistant", content: "Hel" }, finish_reason: null };
      response.end(`data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [delta] })}\n\n`);
    });
    const models = names.map((name) => ({ name, contextTokens: 200_000, maxOutputTokens: 64_000 }));
    gateway = await startGateway([
      secret("up-credentials", { apiKey: "sk-test" }),
      provider("up", upstream.url, { options: { responses: "Translate" }, models }),
      policy("main", {
        match: { models: names },
        routing: { targets: [{ provider: { name: "up" } }], fallbackOn: [] },
      }),
      ...key("reader", clear),
    ]);
    anthropic = new Anthropic({ apiKey: clear, baseURL: gateway.url, maxRetries: 0 });
    openai = new OpenAI({ apiKey: clear, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  it("list models page by page for Anthropic's SDK, with their sizes", async () => {
    const found: Record<string, unknown>[] = [];
    for await (const model of anthropic.models.list({ limit: 2 })) found.push({ ...model });
    assert.deepEqual(
      found.map((model) => [
        model["type"],
        model["id"],
        model["display_name"],
        model["max_input_tokens"],
        model["max_tokens"],
      ]),
      names.map((name) => ["model", name, name, 200_000, 64_000]),
    );
    const page = await anthropic.models.list({ before_id: "c-model", limit: 1 });
    assert.deepEqual([page.first_id, page.last_id, page.has_more], ["b-model", "b-model", true]);
    assert.equal((await anthropic.models.retrieve("a-model")).display_name, "a-model");
  });

  it("list models for OpenAI's SDK, with their sizes", async () => {
    const { data } = await openai.models.list();
    assert.deepEqual(
      { ...data[0] },
      {
        id: "a-model",
        object: "model",
        created: 0,
        owned_by: "sluice",
        context_window: 200_000,
        max_output_tokens: 64_000,
      },
    );
  });

  it("have the size of an answer that is known from a model's family", async () => {
    const known = await startGateway([
      secret("openai-credentials", { apiKey: "sk-test" }),
      provider("openai", upstream.url, { type: "OpenAI", models: [{ name: "fast", upstream: "gpt-4o-mini" }] }),
      policy("main", { match: { models: ["fast"] }, routing: { targets: [{ provider: { name: "openai" } }] } }),
      ...key("reader", clear),
    ]);
    after(() => known.close());
    const client = new OpenAI({ apiKey: clear, baseURL: `${known.url}/v1`, maxRetries: 0 });
    assert.equal({ max_output_tokens: 0, ...(await client.models.retrieve("fast")) }.max_output_tokens, 16_384);
  });

  it("say in Anthropic's envelope that a path or a model is unknown", async () => {
    await assert.rejects(anthropic.models.retrieve("nothing"), (error: unknown) => {
      assert.ok(error instanceof Anthropic.NotFoundError);
      assert.equal((error.error as { type: string }).type, "error");
      return true;
    });
  });

  it("end a failed Responses stream with that API's own events", async () => {
    const response = await fetch(`${gateway.url}/v1/responses`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "a-model", input: "Hi", stream: true }),
    });
    const frames = (await response.text()).trim().split("\n\n").slice(-2);
    const [failed, error] = frames.map((frame) => JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? "{}"));
    assert.deepEqual(
      [failed.type, failed.response.status, failed.response.error.code],
      ["response.failed", "failed", "upstream_stream_truncated"],
    );
    assert.deepEqual([error.type, error.code], ["error", "upstream_stream_truncated"]);
    assert.match(frames[1] ?? "", /^event: error\n/);
    await assert.rejects(async () => {
      const stream = await openai.responses.create({ model: "a-model", input: "Hi", stream: true });
      for await (const _event of stream);
    }, /ended before/);
  });
});
