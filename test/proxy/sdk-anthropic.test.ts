import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic, { APIError, AuthenticationError, BadRequestError, NotFoundError } from "@anthropic-ai/sdk";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { chatFrames, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const ask = { model: "gpt-4o", max_tokens: 64, messages: [{ role: "user" as const, content: "Hi" }] };

describe("the official Anthropic SDK, with an OpenAI-compatible provider behind the gateway", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const client = (apiKey = clear): Anthropic => new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 });

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      provider("up", upstream.url, { circuitBreaker: { failureThreshold: 1000 } }),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("chat", {
        match: { models: ["gpt-4o"] },
        request: { prompts: [{ content: "Be brief." }] },
        routing: { targets: [{ provider: { name: "up" } }] },
      }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("gets a message, with the route's prompt before its own", async () => {
    upstream.answer(openai);
    const message = await client().messages.create({ ...ask, system: "You are a poet." });
    assert.deepEqual(
      [message.content[0]?.type === "text" && message.content[0].text, message.stop_reason],
      ["Hello there", "end_turn"],
    );
    assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [11, 7]);
    const seen = upstream.requests.at(-1);
    assert.equal(seen?.path, "/v1/chat/completions");
    assert.deepEqual(
      (seen?.json["messages"] as { role: string }[] | undefined)?.map((one) => one.role),
      ["system", "user"],
      "one system message: templates of many models take no second one",
    );
  });

  it("streams, event by event", async () => {
    upstream.answer(openai);
    const stream = client().messages.stream(ask);
    const events: string[] = [];
    for await (const event of stream) events.push(event.type);
    assert.equal((await stream.finalMessage()).usage.output_tokens, 7);
    assert.deepEqual([events[0], events.at(-1)], ["message_start", "message_stop"]);
    assert.equal(await stream.finalText(), "Hello there");
  });

  it("calls a tool and returns its result", async () => {
    upstream.answer((_request, response) =>
      json(response, 200, {
        id: "chatcmpl-1",
        object: "chat.completion",
        created: 1,
        model: "gpt-4o",
        choices: [
          {
            index: 0,
            message: {
              role: "assistant",
              content: null,
              tool_calls: [
                { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Kyoto"}' } },
              ],
            },
            finish_reason: "tool_calls",
          },
        ],
        usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
      }),
    );
    const tools: Anthropic.Tool[] = [
      {
        name: "weather",
        description: "Weather of a city",
        input_schema: { type: "object", properties: { city: { type: "string" } } },
      },
    ];
    const called = await client().messages.create({ ...ask, tools });
    const use = called.content.find((block) => block.type === "tool_use");
    assert.deepEqual([called.stop_reason, use?.name, use?.input], ["tool_use", "weather", { city: "Kyoto" }]);
    upstream.answer(openai);
    await client().messages.create({
      ...ask,
      tools,
      messages: [
        ...ask.messages,
        { role: "assistant", content: called.content },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "rain" }] },
      ],
    });
    const sent = upstream.requests.at(-1)?.json["messages"] as { role: string; tool_call_id?: string }[];
    assert.deepEqual(sent.at(-1)?.tool_call_id, "call_1");
  });

  it("counts tokens approximately", async () => {
    const counted = await client().messages.countTokens({ model: ask.model, messages: ask.messages });
    assert.ok(counted.input_tokens > 0);
  });

  it("gets failures in its own format", async () => {
    await assert.rejects(client("slc_wrong").messages.create(ask), AuthenticationError);
    await assert.rejects(client().messages.create({ ...ask, model: "claude-9" }), NotFoundError);
    await assert.rejects(client().messages.create({ model: ask.model, max_tokens: 1 } as never), BadRequestError);
  });

  it("gets an error for a broken stream", async () => {
    upstream.answer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(chatFrames("gpt-4o", ["one", "two"], true).slice(0, 3).join(""));
    });
    await assert.rejects(client().messages.stream(ask).finalText(), APIError);
  });
});
