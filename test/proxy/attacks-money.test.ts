/** A caller who tries to avoid charges: usage that is missing, wrong or reported too early, and limits that provider and gateway read differently. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type Answer, chatFrames, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

type Json = Record<string, unknown>;

const nameOf = (at: number): string => `caller${at}`;
const clearOf = (at: number): string => `slc_money_caller_${at}_0001`;
const callers = 120;
/** A caller whose budget is nearly used up, so that every call is refused. */
const tight = 0;
const said = "word ".repeat(400);
/** At four characters per token. */
const saidTokens = said.length / 4;

const messages = [{ role: "user", content: "Hi" }];
const stream = (frames: readonly string[], ends = false): Answer => {
  return (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const frame of frames) response.write(frame);
    if (ends) response.end();
  };
};
const named = (event: string, data: Json): string =>
  `event: ${event}\ndata: ${JSON.stringify({ type: event, ...data })}\n\n`;
const began = named("message_start", {
  message: {
    id: "m",
    type: "message",
    role: "assistant",
    model: "claude",
    content: [],
    usage: { input_tokens: 11, output_tokens: 1 },
  },
});
const opened = named("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
const delta = (value: Json): string => named("content_block_delta", { index: 0, delta: value });
const chat = (choice: Json, more: Json = {}): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, ...choice, finish_reason: null }], ...more })}\n\n`;
const early = { usage: { prompt_tokens: 11, completion_tokens: 1, total_tokens: 12 } };

describe("attacks on what a call costs", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  /** Each test has its own caller, and so its own rows in the ledger. */
  let caller = 0;

  before(async () => {
    upstream = await startUpstream();
    const price = { inputPerMillion: "1", outputPerMillion: "1" };
    const target = (name: string): Json => ({ routing: { targets: [{ provider: { name } }] } });
    gateway = await startGateway([
      provider("up", upstream.url, { models: [{ name: "gpt", price, maxOutputTokens: 1_000_000 }] }),
      provider("compatible", upstream.url, {
        type: "OpenAICompatible",
        models: [
          { name: "open", price },
          { name: "narrow", price, maxOutputTokens: 1_000 },
          { name: "swift", price },
        ],
      }),
      provider("claude", upstream.url, {
        type: "Anthropic",
        models: [{ name: "claude", price, maxOutputTokens: 1_000_000 }],
      }),
      ...["up", "compatible", "claude"].map((name) => secret(`${name}-credentials`, { apiKey: "sk" })),
      policy("gpt", { match: { models: ["gpt"] }, ...target("up") }),
      policy("open", { match: { models: ["open", "narrow"] }, ...target("compatible") }),
      policy("swift", {
        match: { models: ["swift"] },
        request: { overrides: { service_tier: "priority" } },
        ...target("compatible"),
      }),
      policy("claude", { match: { models: ["claude"] }, ...target("claude") }),
      { kind: "Budget", metadata: { name: "each" }, spec: { period: "Daily", amount: "10", per: "User" } },
      {
        kind: "Budget",
        metadata: { name: "little" },
        spec: { period: "Daily", amount: "0.0005", scope: { users: [`${nameOf(tight)}@example.com`] } },
      },
      ...Array.from({ length: callers }, (_, at) => key(nameOf(at), clearOf(at))).flat(),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });
  beforeEach(() => {
    caller++;
    upstream.answer(openai);
    upstream.requests.length = 0;
  });

  const send = (path: string, body: Json, signal: AbortSignal | null = null): Promise<Response> =>
    fetch(`${gateway.url}/v1${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clearOf(caller)}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });

  const row = (of: number): Promise<LedgerRow> =>
    eventually(async () =>
      (await gateway.state.store.readLedger(0, Number.MAX_SAFE_INTEGER)).find(
        ({ user }) => user === `${nameOf(of)}@example.com`,
      ),
    );

  /** Reads until the text has arrived, then hangs up. */
  async function readAndGo(path: string, body: Json, awaited: string): Promise<void> {
    const going = new AbortController();
    const response = await send(path, { stream: true, ...body }, going.signal);
    let seen = "";
    for await (const part of response.body ?? []) {
      seen += Buffer.from(part).toString("utf8");
      if (seen.includes(awaited)) break;
    }
    going.abort();
  }

  const half = JSON.stringify({ text: said });
  const gone: [string, string, Json, readonly string[]][] = [
    [
      "a stream in Anthropic's format, whose first event has a count of 1",
      "/messages",
      { model: "claude", max_tokens: 1000 },
      [began, opened, delta({ type: "text_delta", text: said })],
    ],
    [
      "such a stream that is translated",
      "/chat/completions",
      { model: "claude" },
      [began, opened, delta({ type: "text_delta", text: said })],
    ],
    [
      "a translated stream of a tool's arguments",
      "/chat/completions",
      { model: "claude" },
      [
        began,
        named("content_block_start", { index: 0, content_block: { type: "tool_use", id: "t", name: "f", input: {} } }),
        delta({ type: "input_json_delta", partial_json: half }),
      ],
    ],
    [
      "a stream of a tool's arguments in Anthropic's format, in one piece",
      "/messages",
      { model: "claude", max_tokens: 1000 },
      [began, delta({ type: "input_json_delta", partial_json: half })],
    ],
    [
      "a chat's stream of a tool's arguments in one piece",
      "/chat/completions",
      { model: "gpt" },
      [
        chat({ delta: { role: "assistant", content: null } }),
        chat({
          delta: { tool_calls: [{ index: 0, id: "t", type: "function", function: { name: "f", arguments: half } }] },
        }),
      ],
    ],
    [
      "a chat whose text begins with a quote",
      "/chat/completions",
      { model: "gpt" },
      [chat({ delta: { content: `"${said}"` } })],
    ],
    [
      "a chat whose provider counts as it goes",
      "/chat/completions",
      { model: "gpt" },
      [chat({ delta: { role: "assistant", content: "" } }, early), chat({ delta: { content: said } })],
    ],
    [
      "the same, with a usage of zeros",
      "/chat/completions",
      { model: "gpt" },
      [chat({ delta: { content: said } }, { usage: { prompt_tokens: 0, completion_tokens: 0 } })],
    ],
  ];
  it("a caller that leaves before the usage arrives pays for what was generated", async () => {
    for (const [, path, body, frames] of gone) {
      caller++;
      upstream.answer(stream([...frames, ": still there\n\n"]));
      await readAndGo(path, { messages, ...body }, "word word");
    }
    for (const [index, [name]] of gone.entries()) {
      const { promptTokens, completionTokens, costNanoUsd } = await row(caller - gone.length + 1 + index);
      assert.ok(completionTokens >= saidTokens, `${name}: ${completionTokens} tokens for ${saidTokens}`);
      assert.ok(promptTokens > 0 && costNanoUsd >= saidTokens * 1000, name);
    }
  });

  const odd: [string, unknown][] = [
    ["{}", {}],
    ["zeros", { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }],
    ["texts", { prompt_tokens: "11", completion_tokens: "400" }],
    ["numbers below zero", { prompt_tokens: -11, completion_tokens: -400 }],
    ["absurdly large numbers", { prompt_tokens: 1e308, completion_tokens: 1e300 }],
    ["null", null],
    ["a list", [11, 400]],
  ];
  it("impossible usage is ignored, and the generated text is counted instead", async () => {
    const whole = {
      id: "c",
      object: "chat.completion",
      created: 1,
      model: "gpt",
      choices: [{ index: 0, message: { role: "assistant", content: said }, finish_reason: "stop" }],
    };
    const streamed = chatFrames("gpt", [said], false).slice(0, -1);
    for (const [, usage] of odd) {
      caller++;
      upstream.answer((_request, response) => json(response, 200, { ...whole, usage }));
      await (await send("/chat/completions", { model: "gpt", messages })).text();
      caller++;
      upstream.answer(stream([...streamed, chat({ delta: {} }, { usage }), "data: [DONE]\n\n"], true));
      await (await send("/chat/completions", { model: "gpt", messages, stream: true })).text();
    }
    for (const [index, name] of odd.flatMap(([one]) => [one, `${one}, in a stream`]).entries()) {
      const { promptTokens, completionTokens } = await row(caller - 2 * odd.length + 1 + index);
      assert.ok(
        completionTokens >= saidTokens && completionTokens < 2 * saidTokens,
        `${name}: ${completionTokens} tokens`,
      );
      assert.ok(promptTokens > 0 && promptTokens < 1_000, `${name}: ${promptTokens} tokens`);
    }
  });

  const uncounted: [string, string, Json][] = [
    ...["max_tokens", "max_completion_tokens"].flatMap((name) =>
      ["100000", -1, 0, 1.5, 1e300, true, [5], {}].map((value): [string, string, Json] => [
        `${name} of ${JSON.stringify(value)}`,
        "/chat/completions",
        { [name]: value },
      ]),
    ),
    ...["128", -1, 0, 1.5, 1e300].map((n): [string, string, Json] => [
      `n of ${JSON.stringify(n)}`,
      "/chat/completions",
      { n, max_tokens: 10 },
    ]),
    ["best_of as a text", "/completions", { prompt: "Hi", best_of: "20", max_tokens: 10 }],
    ["max_tokens as a text", "/completions", { prompt: "Hi", max_tokens: "100000" }],
    ["max_output_tokens as a text", "/responses", { input: "Hi", max_output_tokens: "100000" }],
    ["an expensive tier", "/chat/completions", { max_tokens: 10, service_tier: "priority" }],
    ["an expensive tier by its other name", "/responses", { input: "Hi", max_output_tokens: 10, service_tier: "fast" }],
    ["an expensive speed", "/chat/completions", { max_tokens: 10, speed: "fast" }],
    ["an answer generated in the background", "/responses", { input: "Hi", max_output_tokens: 10, background: true }],
  ];
  for (const [what, path, body] of uncounted) {
    it(`a budget refuses what it can't bound: ${what}`, async () => {
      const response = await send(path, {
        model: "open",
        ...(path === "/chat/completions" ? { messages } : {}),
        ...body,
      });
      const { error } = (await response.json()) as { error: Json };
      assert.deepEqual(
        [response.status, error["code"], upstream.requests.length],
        [400, "invalid_value", 0],
        JSON.stringify(error),
      );
    });
  }

  it("a cheaper tier is sent, and so is an expensive tier that the policy sets", async () => {
    for (const [model, tier, sent] of [
      ["open", "flex", "flex"],
      ["swift", "fast", "priority"],
    ]) {
      assert.equal(
        (await send("/chat/completions", { model, messages, max_tokens: 10, service_tier: tier })).status,
        200,
      );
      assert.equal(upstream.requests.at(-1)?.json["service_tier"], sent);
    }
    upstream.requests.length = 0;
  });

  const elsewhere: [string, string, Json, string][] = [
    [
      "that of the Responses in a chat",
      "/chat/completions",
      { messages, max_output_tokens: 1 },
      "max_completion_tokens",
    ],
    [
      "that of a chat in Responses",
      "/responses",
      { input: "Hi", max_tokens: 1, max_completion_tokens: 1 },
      "max_output_tokens",
    ],
    [
      "that of a chat in a completion",
      "/completions",
      { prompt: "Hi", max_completion_tokens: 1, max_output_tokens: 1 },
      "max_tokens",
    ],
  ];
  for (const [what, path, body, sent] of elsewhere) {
    it(`a cap that the provider does not read doesn't count: ${what}`, async () => {
      await (await send(path, { model: "open", ...body })).text();
      assert.equal(upstream.requests[0]?.json[sent], 16_384);
      upstream.requests.length = 0;
      // The reservation is the model's maximum of 1000 tokens, but the caller's budget covers only 500.
      caller = tight;
      const refused = await send(path, { model: "narrow", ...body });
      assert.match(await refused.text(), /budget_exceeded/);
      assert.equal(upstream.requests.length, 0);
    });
  }

  it("the spelling of an image's member doesn't lower its price", async () => {
    caller = tight;
    const image = (name: string): string =>
      `{"model":"narrow","max_tokens":10,"messages":[{"role":"user","content":[{"type":"${name}","${name}":{"${name.slice(6)}":"https://x.example/a.png"}}]}]}`;
    for (const name of ["image_url", "image\\u005furl", "imag\\u0065_\\u0075rl"]) {
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clearOf(caller)}`, "content-type": "application/json" },
        body: image(name),
      });
      assert.match(await response.text(), /budget_exceeded/, name);
    }
    assert.equal(upstream.requests.length, 0);
  });
});
