/** What a call is answered, charged and sent, apart from translation. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { chatFrames, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_calls_alice_0001";
type Json = Record<string, unknown>;

describe("a call", () => {
  let first: Upstream;
  let second: Upstream;
  let gateway: TestGateway;

  const ask = (path: string, body: Json, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(gateway.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "gpt-4o", ...body }),
    });
  const messages = [{ role: "user", content: "Hi" }];
  const lastLine = (): Json => gateway.logs.filter((line) => line["msg"] === "call").at(-1) as Json;
  const calls = (): number => gateway.logs.filter((line) => line["msg"] === "call").length;
  const logged = async (send: () => Promise<unknown>): Promise<Json> => {
    const before = calls();
    await send();
    await eventually(() => calls() > before);
    return lastLine();
  };

  before(async () => {
    first = await startUpstream();
    second = await startUpstream();
    const price = { inputPerMillion: "4", outputPerMillion: "8" };
    const upstream = (name: string, at: Upstream, spec: Json) => [
      provider(name, at.url, {
        models: [{ name: "gpt-4o", upstream: name === "strict" ? "gpt-5-mini" : "gpt-4o", price }],
        circuitBreaker: { failureThreshold: 100 },
        ...spec,
      }),
      secret(`${name}-credentials`, { apiKey: "sk" }),
    ];
    gateway = await startGateway([
      ...upstream("strict", first, { type: "OpenAI" }),
      ...upstream("old", second, { options: { maxTokensField: "max_tokens" } }),
      policy("both", {
        match: { models: ["gpt-4o"] },
        routing: {
          targets: [{ provider: { name: "strict" } }, { provider: { name: "old" }, priority: 2 }],
          fallbackOn: [],
        },
      }),
      ...key("alice", alice),
    ]);
  });
  after(async () => {
    await gateway.close();
    await Promise.all([first.close(), second.close()]);
  });
  beforeEach(() => {
    for (const upstream of [first, second]) {
      upstream.answer(openai);
      upstream.requests.length = 0;
    }
  });

  const wishes: [string, Json, Record<string, string>, string][] = [
    ["without a wish goes by priority", {}, {}, "strict"],
    ["with a wish in its body goes there", { prefer_provider: "old" }, {}, "old"],
    ["with a wish in a header goes there", {}, { "x-prefer-provider": "old" }, "old"],
    ["with a wish for what isn't there goes by priority", { prefer_provider: "nobody" }, {}, "strict"],
  ];
  for (const [name, body, headers, expected] of wishes) {
    for (const [path, more] of [
      ["/v1/chat/completions", { messages }],
      ["/v1/messages", { messages, max_tokens: 5 }],
    ] as const) {
      it(`${name} (${path})`, async () => {
        const response = await ask(path, { ...more, ...body }, headers);
        assert.equal(response.status, 200, await response.clone().text());
        assert.equal(response.headers.get("x-provider-used"), expected);
        assert.equal(response.headers.get("x-sluice-dropped-params"), null);
        for (const request of [...first.requests, ...second.requests])
          assert.ok(!request.text.includes("prefer_provider"));
      });
    }
  }

  it("with an invalid preferred provider gets a clear error", async () => {
    const response = await ask("/v1/chat/completions", { messages, prefer_provider: 7 });
    assert.equal(response.status, 400);
    assert.equal(((await response.json()) as { error: Json }).error["param"], "prefer_provider");
  });

  const limits: [string, string, Json, Json][] = [
    ["OpenAI's reasoning models", "strict", { max_tokens: 9 }, { max_completion_tokens: 9 }],
    [
      "OpenAI's reasoning models, when both are given",
      "strict",
      { max_tokens: 9, max_completion_tokens: 8 },
      { max_completion_tokens: 8 },
    ],
    ["a server that knows only max_tokens", "old", { max_completion_tokens: 9 }, { max_tokens: 9 }],
  ];
  for (const [name, target, given, sent] of limits) {
    it(`carries its limit under the name ${name}`, async () => {
      await (await ask("/v1/chat/completions", { messages, ...given }, { "x-prefer-provider": target })).text();
      const body = (target === "strict" ? first : second).requests.at(-1)?.json ?? {};
      assert.deepEqual(Object.fromEntries(Object.entries(body).filter(([member]) => member.startsWith("max_"))), sent);
    });
  }

  it("is sent to OpenAI without another provider's reasoning, and to others with it", async () => {
    const before = [
      { role: "user", content: "a" },
      { role: "assistant", content: "b", thinking_blocks: [{ type: "thinking" }], reasoning_content: "r" },
      ...messages,
    ];
    await (await ask("/v1/chat/completions", { messages: before })).text();
    const [, sent] = (first.requests.at(-1)?.json["messages"] ?? []) as Json[];
    assert.deepEqual(sent, { role: "assistant", content: "b" });
    await (await ask("/v1/chat/completions", { messages: before }, { "x-prefer-provider": "old" })).text();
    assert.deepEqual(second.requests.at(-1)?.json["messages"], before);
  });

  it("is charged by an estimate if the provider reports no usage", async () => {
    first.answer((request, response) => {
      const message = { role: "assistant", content: "x".repeat(400) };
      json(response, 200, {
        id: "1",
        object: "chat.completion",
        created: 1,
        model: request.json["model"],
        choices: [{ index: 0, message, finish_reason: "stop" }],
      });
    });
    const plain = await logged(async () =>
      (await ask("/v1/chat/completions", { messages: [{ role: "user", content: "y".repeat(4000) }] })).text(),
    );
    assert.equal(plain["estimated"], true);
    assert.equal(plain["output_tokens"], 100);
    assert.ok(Number(plain["input_tokens"]) >= 1000 && Number(plain["input_tokens"]) < 1100);
    assert.equal(plain["cost_nano_usd"], Number(plain["input_tokens"]) * 4000 + 100 * 8000);
  });

  it("is charged for what a stream delivered before its client left", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    first.answer(async (request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const frame of chatFrames(request.json["model"], ["z".repeat(800)], false).slice(0, 2))
        response.write(frame);
      await held;
      response.end();
    });
    const line = await logged(async () => {
      const leave = new AbortController();
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", messages, stream: true }),
        signal: leave.signal,
      });
      await response.body?.getReader().read();
      leave.abort();
    });
    release();
    assert.equal(line["outcome"], "client_closed");
    assert.equal(line["estimated"], true);
    assert.ok(Number(line["output_tokens"]) >= 200, JSON.stringify(line));
  });

  it("that fails in a Responses stream is logged as failed, and its client gets one error", async () => {
    const event = (type: string, more: Json): string =>
      `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
    first.answer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(event("response.created", { response: { id: "r", status: "in_progress" } }));
      response.end(
        event("response.failed", {
          response: { id: "r", status: "failed", error: { code: "rate_limit_exceeded", message: "too much" } },
        }),
      );
    });
    let text = "";
    const line = await logged(async () => {
      text = await (await ask("/v1/responses", { input: "Hi", stream: true })).text();
    });
    assert.equal(text.match(/event: /g)?.length, 2, text);
    assert.match(text, /response\.failed/);
    assert.equal(line["outcome"], "stream_error");
    assert.equal(line["code"], "upstream_rate_limited");
  });

  it("gets the error's kind from a stream that passes through", async () => {
    second.answer((request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(chatFrames(request.json["model"], ["Hel"], false)[1] ?? "");
      response.end(`data: ${JSON.stringify({ error: { message: "slow down", code: "rate_limit_exceeded" } })}\n\n`);
    });
    const line = await logged(async () =>
      (await ask("/v1/chat/completions", { messages, stream: true }, { "x-prefer-provider": "old" })).text(),
    );
    assert.equal(line["code"], "upstream_rate_limited");
  });
});
