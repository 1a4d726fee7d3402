/** Masking through a gateway: what the provider gets, what the caller gets, and what cache, logs and metrics keep. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { chatFrames, json, openai, startUpstream, type Upstream, usage } from "../../harness/upstream.ts";

type Json = Record<string, unknown>;
const alice = "slc_mask_alice_00001";
const bob = "slc_mask_bob_0000001";
/** Includes a number, and an address whose @ is a JSON escape. */
const disguised = [
  "4111111111111111",
  "alice.doe\\u0040example.com",
  "alice.doe\\\\u0040example.com",
  "alice.doe\\\\\\\\u0040example.com",
] as const;
const planted = ["alice.doe@example.com", "+14155552671", "536-22-1234", "4111 1111 1111 1111", "EMP-123456"] as const;
const all = `I am ${planted[0]}, call ${planted[1]}, ${planted[2]}, pay by ${planted[3]} as ${planted[4]}.`;
const masked = "I am [EMAIL], call [PHONE], [SSN], pay by [CREDIT_CARD] as [EMPLOYEE_ID].";
const custom = [{ name: "EmployeeId", pattern: "EMP-\\d{6}" }];
const user = (content: unknown): Json => ({ role: "user", content });
const call = {
  id: "c1",
  type: "function",
  function: { name: "f", arguments: JSON.stringify({ note: all, deep: [{ to: planted[0] }] }) },
};

/** Every place for a text, in every client format. */
const places: [string, string, Json][] = [
  ["a message", "/chat/completions", { messages: [user(all)] }],
  ["a system message", "/chat/completions", { messages: [{ role: "system", content: all }, user("Hi")] }],
  [
    "an earlier answer",
    "/chat/completions",
    { messages: [user("Hi"), { role: "assistant", content: all }, user("Hi")] },
  ],
  ["a part", "/chat/completions", { messages: [user([{ type: "text", text: all }])] }],
  [
    "a tool's arguments",
    "/chat/completions",
    {
      messages: [
        user("Hi"),
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "c1", content: "x" },
      ],
    },
  ],
  [
    "a tool's result",
    "/chat/completions",
    {
      messages: [
        user("Hi"),
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "c1", content: all },
      ],
    },
  ],
  [
    "a tool's description",
    "/chat/completions",
    {
      messages: [user("Hi")],
      tools: [
        {
          type: "function",
          function: {
            name: "f",
            description: all,
            parameters: { type: "object", properties: { a: { type: "string", description: all } } },
          },
        },
      ],
    },
  ],
  ["the user's name", "/chat/completions", { messages: [user("Hi")], user: planted[0], metadata: { who: all } }],
  ["a name of a speaker", "/chat/completions", { messages: [{ role: "user", name: planted[0], content: "Hi" }] }],
  ["a prediction", "/chat/completions", { messages: [user("Hi")], prediction: { type: "content", content: all } }],
  ["an unknown member", "/chat/completions", { messages: [user("Hi")], notes: [{ deep: { deeper: all } }] }],
  ["a prompt", "/completions", { prompt: all }],
  ["several prompts", "/completions", { prompt: ["Hi", all] }],
  ["an input", "/responses", { input: all }],
  ["instructions", "/responses", { input: "Hi", instructions: all }],
  ["an input's item", "/responses", { input: [{ role: "user", content: [{ type: "input_text", text: all }] }] }],
  [
    "a function call in an input",
    "/responses",
    {
      input: [
        { type: "function_call", call_id: "c", name: "f", arguments: JSON.stringify({ note: all }) },
        { type: "function_call_output", call_id: "c", output: all },
      ],
    },
  ],
  ["a text to embed", "/embeddings", { input: ["Hi", all] }],
  ["Anthropic's system", "/messages", { max_tokens: 5, system: [{ type: "text", text: all }], messages: [user("Hi")] }],
  ["Anthropic's message", "/messages", { max_tokens: 5, messages: [user(all)] }],
  [
    "Anthropic's tool use",
    "/messages",
    {
      max_tokens: 5,
      messages: [
        user("Hi"),
        {
          role: "assistant",
          content: [{ type: "tool_use", id: "t", name: "f", input: { id: planted[0], type: planted[4], note: all } }],
        },
        user([{ type: "tool_result", tool_use_id: "t", content: "x" }]),
      ],
    },
  ],
  [
    "the description of a tool parameter with the name of a label",
    "/chat/completions",
    {
      messages: [user("Hi")],
      tools: [
        {
          type: "function",
          function: { name: "f", parameters: { properties: { id: { description: all }, url: { enum: [all] } } } },
        },
      ],
    },
  ],
  [
    "the requested output format",
    "/responses",
    { input: "Hi", text: { format: { type: "json_schema", name: "s", schema: { title: all } } } },
  ],
  [
    "a label that the caller chose",
    "/chat/completions",
    { messages: [user("Hi")], metadata: { id: planted[0], status: all, [planted[0]]: "1" } },
  ],
  [
    "names and numbers in a tool's arguments",
    "/chat/completions",
    {
      messages: [
        user("Hi"),
        {
          role: "assistant",
          content: null,
          tool_calls: [
            {
              ...call,
              function: { name: "f", arguments: JSON.stringify({ [planted[0]]: 1, card: 4111111111111111 }) },
            },
          ],
        },
        { role: "tool", tool_call_id: "c1", content: "x" },
      ],
    },
  ],
  [
    "JSON in a string in a tool's arguments",
    "/chat/completions",
    {
      messages: [
        user("Hi"),
        {
          role: "assistant",
          content: null,
          tool_calls: [
            {
              ...call,
              function: {
                name: "f",
                arguments: JSON.stringify({ inner: JSON.stringify({ to: planted[0] }).replace("@", "\\u0040") }),
              },
            },
          ],
        },
        { role: "tool", tool_call_id: "c1", content: "x" },
      ],
    },
  ],
  [
    "Anthropic's tool result",
    "/messages",
    {
      max_tokens: 5,
      messages: [
        user("Hi"),
        { role: "assistant", content: [{ type: "tool_use", id: "t", name: "f", input: {} }] },
        user([{ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: all }] }]),
      ],
    },
  ],
];

const split = (text: string, at: number): Json[] => [
  { type: "text", text: text.slice(0, at) },
  { type: "image_url", image_url: { url: "https://example.com/a.png" } },
  { type: "text", text: text.slice(at) },
];
const result = (content: unknown): Json => ({
  messages: [
    user("Hi"),
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: "c1", content },
  ],
});
/** Spellings that a person or a model still reads as personal data. */
places.push(
  ["an address that spans two parts", "/chat/completions", { messages: [user(split(all, all.indexOf("@") + 3))] }],
  [
    "an address that spans parts, one of which holds only its end",
    "/chat/completions",
    {
      messages: [
        user([...split(`${planted[1]} ${planted[0]}`, 20).filter(({ text }) => text), { type: "text", text: "." }]),
      ],
    },
  ],
  [
    "an address that spans three parts",
    "/messages",
    { max_tokens: 5, messages: [user(["I am alice.", "doe@exam", "ple.com"].map((text) => ({ type: "text", text })))] },
  ],
  ["a tool's result with escapes", "/chat/completions", result(`{"to":"alice.doe\\u0040example.com"}`)],
  ["a tool's result with a number", "/chat/completions", result(`{"card": 4111111111111111, "to": "${planted[0]}"}`)],
  ["a tool's result that is text with escapes", "/chat/completions", result(`Found: "alice.doe\\u0040example.com"`)],
  [
    "an output with escapes",
    "/responses",
    { input: [{ type: "function_call_output", call_id: "c", output: `["alice.doe\\u0040example.com"]` }] },
  ],
  ["a number next to texts", "/chat/completions", { messages: [user(planted[0])], notes: { card: 4111111111111111 } }],
  [
    "strings in a list under a label",
    "/chat/completions",
    { messages: [user(planted[0])], notes: { url: [planted[0]], id: [all] } },
  ],
  [
    "strings under labels",
    "/chat/completions",
    { messages: [user(planted[0])], notes: { url: planted[0], type: all, format: all, status: all } },
  ],
  ["a role", "/chat/completions", { messages: [{ role: planted[0], content: "Hi" }, user(planted[4])] }],
  [
    "names of parameters",
    "/chat/completions",
    {
      messages: [user("Hi")],
      tools: [
        {
          type: "function",
          function: { name: "f", parameters: { properties: { [planted[0]]: {} }, required: [planted[0]] } },
        },
      ],
    },
  ],
  ["the name of an unknown member", "/chat/completions", { messages: [user("Hi")], [planted[0]]: 1 }],
);

/** The same as a stream of the Responses API, which repeats every text. */
function saysAsResponse(text: string, pieces: readonly string[], response: Parameters<typeof json>[0]): void {
  let sequence = 0;
  const part = { type: "output_text", text, annotations: [] };
  const item = { type: "message", id: "msg_1", status: "completed", role: "assistant", content: [part] };
  const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
  const event = (type: string, more: object): void =>
    void response.write(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...more })}\n\n`);
  const whole = { id: "resp_1", object: "response", created_at: 1, model: "m", parallel_tool_calls: true, tools: [] };
  response.writeHead(200, { "content-type": "text/event-stream" });
  event("response.created", { response: { ...whole, status: "in_progress", output: [] } });
  event("response.output_item.added", { output_index: 0, item: { ...item, status: "in_progress", content: [] } });
  event("response.content_part.added", { ...at, part: { ...part, text: "" } });
  for (const delta of pieces) event("response.output_text.delta", { ...at, delta });
  event("response.output_text.done", { ...at, text });
  event("response.content_part.done", { ...at, part });
  event("response.output_item.done", { output_index: 0, item });
  event("response.completed", {
    response: {
      ...whole,
      status: "completed",
      output: [item],
      usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
    },
  });
  response.end();
}

/** A provider that echoes the request in pieces of this many characters. */
const echo = (piece: number) => (request: { json: Json; path: string }, response: Parameters<typeof json>[0]) => {
  if (request.path.endsWith("/responses")) {
    const said = String(request.json["input"]);
    return saysAsResponse(said, said.match(new RegExp(`[\\s\\S]{1,${piece}}`, "g")) ?? [], response);
  }
  const messages = (request.json["messages"] ?? []) as { content: unknown }[];
  const last = messages.at(-1)?.content ?? request.json["prompt"] ?? "";
  const text = typeof last === "string" ? last : ((last as { text?: string }[])[0]?.text ?? "");
  const tool = text.startsWith("tool:");
  if (request.json["stream"] !== true) {
    const message = tool
      ? {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "c", type: "function", function: { name: "f", arguments: JSON.stringify({ said: text }) } },
          ],
        }
      : { role: "assistant", content: text };
    return json(response, 200, {
      id: "x",
      object: "chat.completion",
      created: 1,
      model: "m",
      choices: [{ index: 0, message, finish_reason: tool ? "tool_calls" : "stop" }],
      usage,
    });
  }
  const said = tool ? JSON.stringify({ said: text }) : text;
  const pieces = said.match(new RegExp(`[\\s\\S]{1,${piece}}`, "g")) ?? [];
  response.writeHead(200, { "content-type": "text/event-stream" });
  if (!tool) return void response.end(chatFrames("m", pieces, true).join(""));
  const frame = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  response.write(
    frame({
      role: "assistant",
      tool_calls: [{ index: 0, id: "c", type: "function", function: { name: "f", arguments: "" } }],
    }),
  );
  for (const piece of pieces) response.write(frame({ tool_calls: [{ index: 0, function: { arguments: piece } }] }));
  response.end(`${frame({}, "tool_calls")}data: [DONE]\n\n`);
};

describe("masking", () => {
  let upstream: Upstream;
  let gateway: TestGateway;

  before(async () => {
    upstream = await startUpstream();
    const targets = [{ provider: { name: "up" } }];
    const models = ["replacing", "hiding", "answering", "both", "logged"];
    gateway = await startGateway([
      provider("up", upstream.url, { models: models.map((name) => ({ name })) }),
      secret("up-credentials", { apiKey: "sk" }),
      provider("claude", upstream.url, { type: "Anthropic", models: [{ name: "claude" }] }),
      secret("claude-credentials", { apiKey: "sk" }),
      policy("claude", {
        match: { models: ["claude"] },
        routing: { targets: [{ provider: { name: "claude" } }] },
        guard: { mask: { answers: true } },
      }),
      policy("replacing", { match: { models: ["replacing"] }, routing: { targets }, guard: { mask: { custom } } }),
      policy("hiding", {
        match: { models: ["hiding"] },
        routing: { targets },
        guard: { mask: { custom, mode: "Placeholder" } },
        cache: { ttl: "1h", scope: "Namespace" },
      }),
      policy("answering", {
        match: { models: ["answering"] },
        routing: { targets },
        guard: { mask: { custom, answers: true } },
        cache: { ttl: "1h" },
      }),
      policy("both", {
        match: { models: ["both"] },
        routing: { targets },
        guard: { mask: { custom, mode: "Placeholder", answers: true } },
      }),
      policy("logged", {
        match: { models: ["logged"] },
        routing: { targets },
        guard: { mask: { custom, answers: true } },
        logging: { payloads: true },
      }),
      ...key("alice", alice),
      ...key("bob", bob),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });
  beforeEach(() => {
    upstream.answer(openai);
    upstream.requests.length = 0;
  });

  const send = async (path: string, body: Json, clear = alice): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${gateway.url}/v1${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  };
  /** Also as JSON within JSON. */
  const leaks = (text: string): string[] =>
    [...planted, ...disguised].filter(
      (datum) => text.includes(datum) || text.includes(JSON.stringify(datum).slice(1, -1)),
    );

  for (const [name, path, body] of places)
    for (const model of ["replacing", "hiding"])
      for (const stream of path === "/embeddings" ? [false] : [false, true])
        it(`sends no personal data in ${name} to the provider (${model}${stream ? ", streamed" : ""})`, async () => {
          const { status, text } = await send(path, { model, ...body, ...(stream ? { stream } : {}) });
          assert.equal(status, 200, text);
          assert.equal(upstream.requests.length, 1);
          const [got] = upstream.requests;
          assert.deepEqual(leaks(got?.text ?? ""), []);
          assert.deepEqual(leaks(got?.path ?? ""), []);
          assert.match(got?.text ?? "", /\[(EMAIL|EMPLOYEE_ID)/, "it stands there masked");
        });

  it("leaves other requests unchanged, byte for byte", async () => {
    const raw = `{"model":"replacing", "temperature":1.0,"seed":12345678901234567890, "messages":[{"role":"user","content":"mail ${planted[0]}"}]}`;
    await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: raw,
    });
    assert.match(upstream.requests[0]?.text ?? "", /"temperature":1\.0,"seed":12345678901234567890/);
    assert.match(upstream.requests[0]?.text ?? "", /"content":"mail \[EMAIL\]"/);
  });

  it("masks all of a number that spans two parts", async () => {
    for (const [parts, expected] of [
      [
        ["call 415-555-", "2671 now"],
        ["call [PHONE]", " now"],
      ],
      [
        ["call 415-555", "2671"],
        ["call [PHONE]", "[PHONE]"],
      ],
      [
        ["call +49 30 9018", "20"],
        ["call [PHONE]", "[PHONE]"],
      ],
      [
        ["415-555-2671", "2 items"],
        ["[PHONE]", "2 items"],
      ],
    ] as const) {
      upstream.requests.length = 0;
      const content = parts.map((text) => ({ type: "text", text }));
      await send("/chat/completions", { model: "replacing", messages: [user(content)] });
      const [message] = (upstream.requests[0]?.json["messages"] ?? []) as { content: { text: string }[] }[];
      assert.deepEqual(
        message?.content.map(({ text }) => text),
        expected,
      );
    }
  });

  it("leaves settings and numbers used by programs alone", async () => {
    const body = {
      model: "replacing",
      messages: [user(`mail ${planted[0]}`)],
      max_tokens: 123456,
      seed: 4111111111111111,
      logit_bias: { "50256": -100 },
      metadata: { at: "2027-02-28" },
    };
    await send("/chat/completions", body);
    const sent = upstream.requests[0]?.json ?? {};
    assert.deepEqual(
      [sent["seed"], sent["logit_bias"], sent["max_tokens"]],
      [body.seed, body.logit_bias, body.max_tokens],
    );
  });

  for (const [what, args] of [
    ["lists", "[".repeat(100_000)],
    ["whole lists", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
    ["objects", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
  ] as const) {
    const deep = { ...call, function: { name: "f", arguments: args } };
    it(`handles ${what} nested 100,000 levels deep in a tool's arguments`, async () => {
      for (const model of ["replacing", "hiding", "answering"]) {
        const { status, text } = await send("/chat/completions", {
          model,
          messages: [
            user("Hi"),
            { role: "assistant", content: null, tool_calls: [deep] },
            { role: "tool", tool_call_id: "c1", content: args },
          ],
        });
        assert.ok(status === 200 || status === 400, text.slice(0, 300));
      }
    });
    it(`handles ${what} nested 100,000 levels deep in a provider's answer`, async () => {
      for (const [path, more] of [
        ["/chat/completions", {}],
        ["/messages", { max_tokens: 5 }],
        ["/responses", {}],
      ] as const) {
        upstream.answer((_request, response) =>
          json(response, 200, {
            id: "x",
            object: "chat.completion",
            created: 1,
            model: "m",
            usage,
            choices: [
              {
                index: 0,
                finish_reason: "tool_calls",
                message: { role: "assistant", content: `${args}`, tool_calls: [deep] },
              },
            ],
          }),
        );
        for (const model of ["answering", "both"]) {
          const { status, text } = await send(path, {
            model,
            ...(path === "/responses" ? { input: planted[0] } : { messages: [user(planted[0])] }),
            ...more,
          });
          assert.ok([200, 502].includes(status), `${path}: ${status} ${text.slice(0, 300)}`);
        }
      }
    });
  }

  it("refuses a prompt of token numbers, which it can't read", async () => {
    const { status, text } = await send("/embeddings", { model: "replacing", input: [[1, 2, 3]] });
    assert.equal(status, 400);
    assert.match(text, /prompt_unreadable/);
    assert.equal(upstream.requests.length, 0);
  });

  it("restores placeholders in whole answers", async () => {
    upstream.answer(echo(1));
    const { text } = await send("/chat/completions", { model: "hiding", messages: [user(`${all} Yes.`)] });
    assert.equal((JSON.parse(text) as { choices: { message: Json }[] }).choices[0]?.message["content"], `${all} Yes.`);
    assert.match(
      upstream.requests[0]?.text ?? "",
      /\[EMAIL_1\].*\[PHONE_1\].*\[SSN_1\].*\[CREDIT_CARD_1\].*\[EMPLOYEE_ID_1\]/,
    );
  });

  it("does not mistake the caller's own words for placeholders", async () => {
    upstream.answer(echo(1));
    const tricky = `[EMAIL_1] and ${planted[0]} and [EMAIL_X1]`;
    const { text } = await send("/chat/completions", { model: "hiding", messages: [user(tricky)] });
    assert.equal((JSON.parse(text) as { choices: { message: Json }[] }).choices[0]?.message["content"], tricky);
  });

  for (const piece of [1, 2, 3, 5, 8, 1000])
    it(`restores placeholders in streams of pieces of ${piece}, as the SDKs read them`, async () => {
      upstream.answer(echo(piece));
      const client = new OpenAI({ apiKey: alice, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
      let text = "";
      for await (const part of await client.chat.completions.create({
        model: "hiding",
        messages: [{ role: "user", content: `${all} ${piece}` }],
        stream: true,
      }))
        text += part.choices[0]?.delta.content ?? "";
      assert.equal(text, `${all} ${piece}`);
      const anthropic = new Anthropic({ apiKey: alice, baseURL: gateway.url, maxRetries: 0 });
      const message = await anthropic.messages
        .stream({ model: "hiding", max_tokens: 50, messages: [{ role: "user", content: `${all} ${piece}` }] })
        .finalMessage();
      assert.equal(
        message.content.map((block) => (block.type === "text" ? block.text : "")).join(""),
        `${all} ${piece}`,
      );
      let said = "";
      let complete = "";
      for await (const event of await client.responses.create({
        model: "hiding",
        input: `${all} ${piece}`,
        stream: true,
      })) {
        if (event.type === "response.output_text.delta") said += event.delta;
        if (event.type === "response.completed") complete = JSON.stringify(event.response.output);
      }
      assert.equal(said, `${all} ${piece}`);
      assert.ok(complete.includes(all), complete);
    });

  for (const piece of [1, 4, 7])
    it(`restores placeholders in a tool's arguments, in pieces of ${piece}`, async () => {
      upstream.answer(echo(piece));
      const client = new OpenAI({ apiKey: alice, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
      const said = `tool: "${all}" \\ ${piece}`;
      const tools = [{ type: "function" as const, function: { name: "f", parameters: { type: "object" } } }];
      const stream = client.chat.completions.stream({
        model: "hiding",
        messages: [{ role: "user", content: said }],
        tools,
      });
      const done = await stream.finalChatCompletion();
      const made = done.choices[0]?.message.tool_calls?.[0];
      assert.deepEqual(JSON.parse(made?.type === "function" ? made.function.arguments : "{}"), { said });
      const whole = await client.chat.completions.create({
        model: "hiding",
        messages: [{ role: "user", content: said }],
        tools,
      });
      const one = whole.choices[0]?.message.tool_calls?.[0];
      assert.deepEqual(JSON.parse(one?.type === "function" ? one.function.arguments : "{}"), { said });
    });

  const says = (text: string, piece: number) => (_request: unknown, response: Parameters<typeof json>[0]) =>
    echo(piece)({ json: { stream: piece > 0, messages: [{ content: text }] }, path: "" }, response);

  for (const piece of [0, 1, 2, 3, 4, 5, 6, 7, 11, 16, 1000])
    it(`masks what a provider says, ${piece === 0 ? "whole" : `in pieces of ${piece}`}, also in the cache`, async () => {
      upstream.answer(says(all, piece));
      const body = {
        model: "answering",
        messages: [user(`Who am I? ${piece}`)],
        ...(piece > 0 ? { stream: true } : {}),
      };
      const textOf = (text: string): string =>
        piece === 0
          ? String((JSON.parse(text) as { choices: { message: Json }[] }).choices[0]?.message["content"])
          : text
              .split("\n\n")
              .filter((frame) => frame.startsWith("data: {"))
              .map(
                (frame) =>
                  (JSON.parse(frame.slice(6)) as { choices: { delta: Json }[] }).choices[0]?.delta["content"] ?? "",
              )
              .join("");
      const first = await send("/chat/completions", body);
      assert.deepEqual(leaks(first.text), []);
      assert.equal(textOf(first.text), masked);
      const second = await send("/chat/completions", body);
      assert.equal(upstream.requests.length, 1, "from the cache");
      assert.equal(textOf(second.text), masked);
    });

  it("masks a provider's words and restores the caller's own", async () => {
    upstream.answer((request, response) =>
      echo(3)(
        {
          json: {
            ...request.json,
            messages: [{ content: `${String((request.json["messages"] as Json[])[0]?.["content"])} bob@example.org` }],
          },
          path: "",
        },
        response,
      ),
    );
    for (const stream of [false, true]) {
      const { text } = await send("/chat/completions", {
        model: "both",
        messages: [user(`I am ${planted[0]}`)],
        stream,
      });
      assert.ok(!text.includes("bob@example.org"), text);
      if (!stream) assert.match(text, /I am alice\.doe@example\.com \[EMAIL\]/);
    }
  });

  const frame = (choice: Json): string =>
    `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, ...choice }] })}\n\n`;
  const pieces = ["tell ali", "ce@exam", "ple.org"];
  const token = (text: string): Json => ({
    token: text,
    logprob: -0.1,
    bytes: [...Buffer.from(text)],
    top_logprobs: [{ token: text, logprob: -0.1, bytes: null }],
  });
  const named = (type: string, more: Json): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  const probable = { logprobs: { content: pieces.map(token) }, token_ids: [9906, 1917] };
  const leaky: [string, string, Json, Json | string[]][] = [
    [
      "log probabilities",
      "/chat/completions",
      { logprobs: true },
      {
        choices: [
          { index: 0, message: { role: "assistant", content: pieces.join("") }, finish_reason: "stop", ...probable },
        ],
      },
    ],
    [
      "log probabilities in a stream",
      "/chat/completions",
      { logprobs: true },
      pieces.map((content) => frame({ delta: { content }, logprobs: { content: [token(content)] }, token_ids: [1] })),
    ],
    [
      "a function's arguments in a stream",
      "/chat/completions",
      {},
      pieces.map((piece) => frame({ delta: { function_call: { arguments: piece } } })),
    ],
    [
      "annotations of an answer in a stream",
      "/chat/completions",
      {},
      [
        frame({
          delta: { content: "x", annotations: [{ type: "url_citation", url_citation: { title: pieces.join("") } }] },
        }),
      ],
    ],
    [
      "citations of an answer in a stream",
      "/messages",
      { max_tokens: 5 },
      [
        named("message_start", {
          message: {
            id: "m",
            type: "message",
            role: "assistant",
            model: "m",
            content: [],
            usage: { input_tokens: 1, output_tokens: 1 },
          },
        }),
        named("content_block_delta", {
          index: 0,
          delta: { type: "citations_delta", citation: { type: "char_location", cited_text: pieces.join("") } },
        }),
      ],
    ],
  ];
  for (const [what, path, body, said] of leaky) {
    it(`also masks a provider's words in ${what}`, async () => {
      const frames = Array.isArray(said);
      upstream.answer((_request, response) => {
        if (!frames)
          return json(response, 200, { id: "x", object: "chat.completion", created: 1, model: "m", usage, ...said });
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end([...said, path === "/messages" ? named("message_stop", {}) : "data: [DONE]\n\n"].join(""));
      });
      const { status, text } = await send(path, {
        model: path === "/messages" ? "claude" : "answering",
        messages: [user("Hi")],
        stream: frames,
        ...body,
      });
      assert.equal(status, 200, text);
      assert.doesNotMatch(text, /ce@exam|"ple\.org|9906|"token_ids":\[1/);
      assert.match(text, what.startsWith("prob") ? /logprobs":null/ : /\[EMAIL\]/);
    });
  }

  it("shares an answer between callers with equal masked requests, and gives each their own data", async () => {
    upstream.answer(echo(4));
    const ask = async (who: string, clear: string): Promise<string> => {
      const { text } = await send(
        "/chat/completions",
        { model: "hiding", messages: [user(`It is ${who}, of course`)] },
        clear,
      );
      return String((JSON.parse(text) as { choices: { message: Json }[] }).choices[0]?.message["content"]);
    };
    assert.equal(await ask("alice@example.com", alice), "It is alice@example.com, of course");
    assert.equal(await ask("bob@example.com", bob), "It is bob@example.com, of course");
    assert.equal(upstream.requests.length, 1);
  });

  it("keeps personal data out of logs, even with payloads, and out of metrics, which count by type", async () => {
    upstream.answer(says(all, 0));
    const { status } = await send("/chat/completions", { model: "logged", messages: [user(all)] });
    assert.equal(status, 200);
    const logs = JSON.stringify(gateway.logs);
    assert.deepEqual(leaks(logs), []);
    assert.match(logs, /\[EMPLOYEE_ID\]/);
    const line = gateway.logs.findLast((log) => log["route"] === "default/logged");
    assert.deepEqual(line?.["masked"], { Email: 2, Phone: 2, SSN: 2, CreditCard: 2, EmployeeId: 2 });
    const metrics = await (await fetch(`${gateway.statusUrl}/metrics`)).text();
    assert.deepEqual(leaks(metrics), []);
    assert.match(metrics, /ai_gateway_masked_total\{route="default\/logged",type="EmployeeId"\} 2/);
  });
});

describe("invalid masking", () => {
  const targets = [{ provider: { name: "up" } }];
  for (const [name, guard, more, message] of [
    [
      "a pattern that RE2 can't parse",
      { mask: { custom: [{ name: "A", pattern: "(a)\\1" }] } },
      {},
      /spec\.guard\.mask\.custom\[0\]\.pattern/,
    ],
    [
      "a pattern that matches everywhere",
      { mask: { custom: [{ name: "A", pattern: "x*" }] } },
      {},
      /matches the empty text/,
    ],
    ["an invalid name", { mask: { custom: [{ name: "employee id", pattern: "x" }] } }, {}, /CamelCase/],
    [
      "a mask together with files",
      { mask: {} },
      { resources: { provider: { name: "up" }, kinds: ["Files"] } },
      /can't look into files/,
    ],
  ] as const)
    it(`is refused: ${name}`, async () => {
      const upstream = await startUpstream();
      const gateway = await startGateway([
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: "sk" }),
        policy("bad", { match: { models: ["gpt-4o"] }, routing: { targets }, guard, ...more }),
      ]);
      try {
        assert.match(gateway.printed.join("\n"), message);
      } finally {
        await gateway.close();
        await upstream.close();
      }
    });
});
