/** What a provider says of a refused request reaches a caller that speaks its API, and nothing that may be a secret. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { chatFrames, json, openai, startUpstream, type Upstream } from "../../harness/upstream.ts";

const clear = "slc_alice_key_0001";
type Body = { error: Record<string, unknown> };

describe("a failure that passes through", () => {
  let upstream: Upstream;
  let second: Upstream;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startUpstream();
    second = await startUpstream(openai);
    const both = [{ provider: { name: "up" } }, { provider: { name: "second" }, priority: 2 }];
    const models = ["gpt-4o", "long", "filtered", "gone"];
    gateway = await startGateway([
      provider("up", upstream.url, {
        models: models.map((name) => ({ name })),
        circuitBreaker: { failureThreshold: 2, openFor: "1h" },
      }),
      provider("second", second.url, { models: models.map((name) => ({ name })) }),
      provider("claude", upstream.url, { type: "Anthropic", endpoint: upstream.url, models: [{ name: "claude" }] }),
      ...["up", "second", "claude"].map((name) => secret(`${name}-credentials`, { apiKey: `sk-${name}` })),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: both } }),
      policy("claude", { match: { models: ["claude"] }, routing: { targets: [{ provider: { name: "claude" } }] } }),
      policy("long", { match: { models: ["long"] }, routing: { targets: both, fallbackOn: ["ContextLength"] } }),
      policy("filtered", {
        match: { models: ["filtered"] },
        routing: { targets: both, fallbackOn: ["ContentPolicy"] },
      }),
      policy("gone", { match: { models: ["gone"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    await second.close();
  });

  const ask = (path: string, body: object): Promise<Response> =>
    fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "Hi" }], max_tokens: 10, ...body }),
    });
  const refuse = (status: number, body: unknown, headers: Record<string, string> = {}): void =>
    upstream.answer((_request, response) => json(response, status, body, headers));

  it("keeps the provider's code, type, param, other members and request id", async () => {
    const error = {
      message: "Item not found",
      type: "invalid_request_error",
      param: "previous_response_id",
      code: "previous_response_not_found",
    };
    refuse(400, { error: { ...error, innererror: { hint: "expired" } } }, { "x-request-id": "req_17" });
    const answer = await ask("responses", { model: "gpt-4o", input: "Hi", messages: undefined, max_tokens: undefined });
    const body = (await answer.json()) as Body;
    const { provider: theirs, innererror, ...own } = body.error;
    assert.equal(answer.status, 400);
    assert.deepEqual(own, error);
    assert.deepEqual(innererror, { hint: "expired" });
    assert.equal((theirs as Record<string, unknown>)["request_id"], "req_17");
    assert.equal(answer.headers.get("x-provider-request-id"), "req_17");
  });

  it("keeps Anthropic's details", async () => {
    refuse(400, {
      type: "error",
      error: { type: "invalid_request_error", message: "no", details: { error_code: "e1" } },
      request_id: "req_1",
    });
    const body = (await (await ask("messages", { model: "claude" })).json()) as Body;
    assert.deepEqual(body.error["details"], { error_code: "e1" });
    assert.deepEqual(body.error["provider"], { type: "invalid_request_error", request_id: "req_1" });
  });

  it("says nothing of a refused credential", async () => {
    refuse(401, { error: { message: "Incorrect API key: sk-up", code: "invalid_api_key", hint: "sk-up" } });
    assert.doesNotMatch(await (await ask("chat/completions", { model: "gpt-4o" })).text(), /sk-up|invalid_api_key/);
  });

  it("of a prompt that is too long falls back where the policy says so, and not elsewhere", async () => {
    refuse(400, { error: { message: "This model's maximum context length is 4096 tokens." } });
    const elsewhere = await ask("chat/completions", { model: "gpt-4o" });
    assert.deepEqual(
      [elsewhere.status, ((await elsewhere.json()) as Body).error["code"]],
      [400, "context_length_exceeded"],
    );
    const answer = await ask("chat/completions", { model: "long" });
    await answer.arrayBuffer();
    assert.equal(answer.headers.get("x-provider-used"), "second");
  });

  it("of a filter falls back where the policy says so", async () => {
    refuse(400, { error: { message: "filtered", code: "content_filter" } });
    const answer = await ask("chat/completions", { model: "filtered" });
    await answer.arrayBuffer();
    assert.equal(answer.headers.get("x-provider-used"), "second");
  });

  const frame = (body: object): string =>
    `data: ${JSON.stringify({ id: "1", object: "chat.completion.chunk", ...body })}\n\n`;
  const finished = frame({ choices: [{ index: 0, delta: {}, finish_reason: "content_filter" }] });
  const opened = frame({ choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] });
  const said = frame({ choices: [{ index: 0, delta: { content: "Sor" }, finish_reason: null }] });
  const whole = (content: string, reason: string): object => ({
    id: "1",
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: reason }],
    usage: { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 },
  });
  const streamed =
    (...frames: string[]) =>
    (_request: unknown, response: { writeHead(status: number, headers: object): void; end(text: string): void }) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(`${frames.join("")}data: [DONE]\n\n`);
    };
  for (const [what, path, body, used, answer] of [
    ["a whole answer that the filter withheld", "chat/completions", {}, "second", whole("", "content_filter")],
    ["one that it cut off", "chat/completions", {}, "second", whole("Sor", "content_filter")],
    ["one that only mentions it", "chat/completions", {}, "up", whole('"content_filter"', "stop")],
    ["one for a caller of another format", "messages", {}, "second", whole("", "content_filter")],
    ["a stream that it withheld", "chat/completions", { stream: true }, "second", [opened, finished]],
    ["a stream for a caller of another format", "messages", { stream: true }, "second", [opened, finished]],
    ["a stream that had begun", "chat/completions", { stream: true }, "up", [opened, said, finished]],
  ] as const)
    it(`falls back where the policy says so: ${what}`, async () => {
      if (Array.isArray(answer)) upstream.answer(streamed(...answer) as never);
      else refuse(200, answer);
      const reply = await ask(path, { model: "filtered", ...body });
      const text = await reply.text();
      assert.equal(reply.status, 200, text);
      assert.equal(reply.headers.get("x-provider-used"), used);
      if (used === "second") assert.match(text, /Hello/);
    });

  it("passes on an answer that the filter withheld where the policy does not fall back", async () => {
    refuse(200, whole("", "content_filter"));
    const reply = await ask("chat/completions", { model: "gpt-4o" });
    assert.match(await reply.text(), /"finish_reason":"content_filter"/);
    assert.equal(reply.headers.get("x-provider-used"), "up");
  });

  it("of a model that the provider lacks keeps its message, however often it is asked for", async () => {
    refuse(404, { error: { message: "The model `gone` does not exist", code: "model_not_found" } });
    for (let time = 0; time < 5; time++) {
      const answer = await ask("chat/completions", { model: "gone" });
      const { error } = (await answer.json()) as Body;
      assert.deepEqual(
        [answer.headers.get("x-should-retry"), error["code"], error["message"]],
        ["false", "upstream_model_not_found", "The model `gone` does not exist"],
      );
    }
  });

  it("keeps two tool calls apart that share an index, for a caller of another format", async () => {
    const call = (id: string, args: string) => ({
      index: 0,
      id,
      type: "function",
      function: { name: `tool_${id}`, arguments: args },
    });
    const chunk = (delta: object, finish: string | null = null): string =>
      `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
    upstream.answer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(chatFrames("gpt-4o", [], false)[0]);
      response.write(chunk({ tool_calls: [call("a", '{"x":1}')] }) + chunk({ tool_calls: [call("b", '{"y":')] }));
      response.write(chunk({ tool_calls: [{ index: 0, function: { arguments: "2}" } }] }));
      response.end(`${chunk({}, "tool_calls")}data: [DONE]\n\n`);
    });
    const text = await (await ask("messages", { model: "gpt-4o", stream: true })).text();
    const blocks = [...text.matchAll(/"name":"(tool_[ab])"/g)].map(([, name]) => name);
    assert.deepEqual(blocks, ["tool_a", "tool_b"]);
    const inputs = [
      ...text.matchAll(/"index":(\d),"delta":\{"type":"input_json_delta","partial_json":"((?:[^"\\]|\\.)*)"/g),
    ];
    const joined: Record<string, string> = {};
    for (const [, index = "", part = ""] of inputs) joined[index] = (joined[index] ?? "") + JSON.parse(`"${part}"`);
    assert.deepEqual(Object.values(joined), ['{"x":1}', '{"y":2}']);
  });
});
