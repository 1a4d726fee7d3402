import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ChatReply, type ChatRequest, isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialect } from "../../../proxy/dialects/openai-responses/index.ts";
import { packThinking, unpackThinking } from "../../../proxy/dialects/openai-responses/thinking.ts";
import { surfaces } from "../../../proxy/dialects/surfaces.ts";
import { failure } from "../../../proxy/failure.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc, { runs } from "../../harness/property.ts";
import { contextOf, encodeAll, openai, streams, usage } from "./sdk.ts";

const body = (more: JsonObject = {}): JsonObject => ({ model: "m", input: "Hi", ...more });
const items = (...input: unknown[]): JsonObject => ({ model: "m", input });
const user = { role: "user", content: "Hi" };
const call = { type: "function_call", id: "fc_1", call_id: "c1", name: "look", arguments: '{"a":1}' };
const toolCall = { id: "c1", type: "function", function: { name: "look", arguments: '{"a":1}' } };
const signed = [{ type: "thinking", thinking: "hm", signature: "s" }];

const decoded: Record<string, [JsonObject, Partial<ChatRequest>]> = {
  "a text": [body(), { messages: [{ role: "user", content: "Hi" }] }],
  instructions: [
    body({ instructions: "Be brief." }),
    {
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
      ],
    },
  ],
  "messages with and without type": [
    items(
      { role: "developer", content: "A" },
      { type: "message", role: "user", content: [{ type: "input_text", text: "B" }] },
    ),
    {
      messages: [
        { role: "developer", content: "A" },
        { role: "user", content: "B" },
      ],
    },
  ],
  "images and files": [
    items({
      role: "user",
      content: [
        { type: "input_text", text: "See" },
        { type: "input_image", image_url: "https://x.test/a.png", detail: "low" },
        { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,AA==" },
      ],
    }),
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "See" },
            { type: "image_url", image_url: { url: "https://x.test/a.png", detail: "low" } },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AA==" } },
          ],
        },
      ],
    },
  ],
  "an assistant's words, calls and results": [
    items(
      user,
      {
        type: "message",
        id: "msg_1",
        status: "completed",
        role: "assistant",
        content: [
          { type: "output_text", text: "Loo", annotations: [] },
          { type: "output_text", text: "king", annotations: [] },
        ],
      },
      call,
      { ...call, call_id: "c2" },
      { type: "function_call_output", call_id: "c1", output: "x" },
      { type: "function_call_output", call_id: "c2", output: [{ type: "input_text", text: "y" }] },
    ),
    {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Looking", tool_calls: [toolCall, { ...toolCall, id: "c2" }] },
        { role: "tool", tool_call_id: "c1", content: "x" },
        { role: "tool", tool_call_id: "c2", content: "y" },
      ],
    } as Partial<ChatRequest>,
  ],
  "calls alone": [
    items(user, call),
    {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: null, tool_calls: [toolCall] },
      ],
    } as Partial<ChatRequest>,
  ],
  "images in results follow all results": [
    items(
      {
        type: "function_call_output",
        call_id: "c1",
        output: [{ type: "input_image", image_url: "data:image/png;base64,AA==" }],
      },
      { type: "function_call_output", call_id: "c2", output: "y" },
    ),
    {
      messages: [
        { role: "tool", tool_call_id: "c1", content: "" },
        { role: "tool", tool_call_id: "c2", content: "y" },
        { role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] },
      ],
    },
  ],
  "a refusal of the assistant": [
    items(user, { role: "assistant", content: [{ type: "refusal", refusal: "No." }] }),
    {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "", refusal: "No." },
      ],
    },
  ],
  "two answers of the assistant in a row": [
    items(user, { role: "assistant", content: "a" }, { role: "assistant", content: "b" }),
    {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "a" },
        { role: "assistant", content: "b" },
      ],
    },
  ],
  "reasoning before what it led to": [
    items(user, { type: "reasoning", id: "rs", summary: [{ type: "summary_text", text: "hm" }] }, call),
    {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: null, reasoning_content: "hm", tool_calls: [toolCall] },
      ],
    } as Partial<ChatRequest>,
  ],
  "signed reasoning that the gateway packed": [
    items(user, { type: "reasoning", id: "rs", summary: [], encrypted_content: packThinking(signed) }, call),
    {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: null, thinking_blocks: signed, tool_calls: [toolCall] },
      ],
    } as Partial<ChatRequest>,
  ],
  "reasoning that OpenAI encrypted, which is left out": [
    items(
      user,
      { type: "reasoning", id: "rs", summary: [], encrypted_content: "gAAAA" },
      { role: "assistant", content: "x" },
    ),
    {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "x" },
      ],
    },
  ],
  tools: [
    body({
      tools: [{ type: "function", name: "f", description: "d", parameters: { type: "object" }, strict: true }],
      tool_choice: "required",
      parallel_tool_calls: false,
    }),
    {
      tools: [
        { type: "function", function: { name: "f", description: "d", parameters: { type: "object" }, strict: true } },
      ],
      tool_choice: "required",
      parallel_tool_calls: false,
    },
  ],
  "a named tool": [
    body({ tool_choice: { type: "function", name: "f" } }),
    { tool_choice: { type: "function", function: { name: "f" } } },
  ],
  "a text format": [body({ text: { format: { type: "text" } } }), {}],
  "a JSON object": [
    body({ text: { format: { type: "json_object" }, verbosity: "low" } }),
    { response_format: { type: "json_object" }, verbosity: "low" },
  ],
  "a schema": [
    body({ text: { format: { type: "json_schema", name: "n", schema: { type: "object" }, strict: true } } }),
    { response_format: { type: "json_schema", json_schema: { name: "n", schema: { type: "object" }, strict: true } } },
  ],
  "limits, sampling and reasoning": [
    body({
      max_output_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      reasoning: { effort: "low", summary: "auto" },
      user: "u",
      stream: true,
      store: false,
      metadata: { a: "b" },
    }),
    {
      max_completion_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      reasoning_effort: "low",
      user: "u",
      stream: true,
      metadata: { a: "b" },
    },
  ],
  "log probabilities": [body({ top_logprobs: 3 }), { logprobs: true, top_logprobs: 3 }],
};

const refused: Record<string, [JsonObject, string, string?]> = {
  "no input": [{ model: "m" }, "input", "missing_required_parameter"],
  "an empty input": [items(), "input"],
  "an unknown role": [items({ role: "tool", content: "x" }), "input[0].role"],
  "an unknown part": [items({ role: "user", content: [{ type: "constructor" }] }), "input[0].content[0].type"],
  "an uploaded image": [
    items({ role: "user", content: [{ type: "input_image", file_id: "f" }] }),
    "input[0].content[0].file_id",
    "unsupported_parameter",
  ],
  "a file by its id": [
    items({ role: "user", content: [{ type: "input_file", file_id: "file-1" }] }),
    "input[0].content[0].file_id",
    "unsupported_parameter",
  ],
  "a reference to an earlier item": [
    items(user, { type: "item_reference", id: "x" }),
    "input[1].type",
    "unsupported_parameter",
  ],
  "a call without name": [
    items({ type: "function_call", call_id: "c", arguments: "" }),
    "input[0].name",
    "missing_required_parameter",
  ],
  "the choice of a built-in tool": [
    body({ tool_choice: { type: "file_search" } }),
    "tool_choice.type",
    "unsupported_parameter",
  ],
  "an earlier response": [body({ previous_response_id: "resp_1" }), "previous_response_id", "unsupported_parameter"],
  "a conversation": [body({ conversation: "c" }), "conversation", "unsupported_parameter"],
  "a stored prompt": [body({ prompt: { id: "p" } }), "prompt", "unsupported_parameter"],
  "the background": [body({ background: true }), "background", "unsupported_parameter"],
  "a schema without name": [
    body({ text: { format: { type: "json_schema", schema: {} } } }),
    "text.format.name",
    "missing_required_parameter",
  ],
};

describe("decoding a Responses body", () => {
  for (const [name, [given, expected]] of Object.entries(decoded)) {
    test(`takes ${name}`, () => {
      const found = dialect.decode(given);
      assert.ok(!isRefusal(found), JSON.stringify(found));
      const { model: _model, messages, ...rest } = found;
      const { messages: expectedMessages, ...expectedRest } = expected;
      if (expectedMessages) assert.deepEqual(messages, expectedMessages);
      assert.deepEqual(rest, expectedRest);
    });
  }

  for (const [name, [given, param, code]] of Object.entries(refused)) {
    test(`refuses ${name}`, () => {
      const found = dialect.decode(given);
      assert.ok(isRefusal(found));
      assert.deepEqual([found.param, found.code], [param, code ?? "invalid_value"]);
    });
  }

  test("names the parameters that it drops", () => {
    assert.deepEqual(dialect.dropped?.(body({ truncation: "auto", moderation: {}, store: false })), [
      "truncation",
      "moderation",
    ]);
    assert.deepEqual(dialect.dropped?.(body({ truncation: "disabled", text: {} })), []);
  });

  test("never throws, whatever the JSON", () => {
    const item = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          type: fc.constantFrom("message", "function_call", "function_call_output", "reasoning"),
          role: fc.constantFrom("user", "assistant"),
          content: fc.jsonValue(),
          output: fc.jsonValue(),
          summary: fc.jsonValue(),
          call_id: fc.string(),
          name: fc.string(),
          arguments: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    );
    const loose = fc.record(
      {
        model: fc.constant("m"),
        input: fc.oneof(fc.array(item), fc.jsonValue()),
        tools: fc.jsonValue(),
        tool_choice: fc.jsonValue(),
        text: fc.jsonValue(),
        reasoning: fc.jsonValue(),
        include: fc.jsonValue(),
      },
      { requiredKeys: ["model"] },
    );
    fc.assert(
      fc.property(loose, (given) => assert.equal(typeof dialect.decode(given as JsonObject), "object")),
      { numRuns: runs(500) },
    );
    fc.assert(fc.property(fc.string(), (text) => assert.ok(Array.isArray(unpackThinking(`sluice.thinking.${text}`)))));
  });
});

const reply = (
  message: Partial<ChatReply["choices"][0]["message"]>,
  finish: Partial<ChatReply["choices"][0]> = {},
): ChatReply => ({
  id: "up-1",
  created: 5,
  model: "upstream",
  choices: [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason: "stop", ...finish }],
  usage,
});

describe("Responses written for the official SDK", () => {
  const create = (answer: JsonObject) => openai(answer).responses.create({ model: "alias", input: "Hi" });
  const follow = (text: string) => openai(text).responses.stream({ model: "alias", input: "Hi" });

  test("a whole answer with reasoning, text and a call", async () => {
    const answer = dialect.encodeReply(
      reply(
        {
          content: "Look",
          thinking_blocks: signed,
          tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: '{"x":1}' } }],
        },
        { finish_reason: "tool_calls", logprobs: { content: [{ token: "Look", logprob: -1 }] } },
      ),
      contextOf({
        request: {
          model: "alias",
          messages: [],
          tools: [{ type: "function", function: { name: "f" } }],
          tool_choice: { type: "function", function: { name: "f" } },
        },
      }),
    );
    const read = await create(answer);
    assert.equal(read.output_text, "Look");
    assert.deepEqual([read.id, read.model, read.status, read.created_at], ["up-1", "alias", "completed", 5]);
    assert.deepEqual(
      read.output.map((item) => item.type),
      ["reasoning", "message", "function_call"],
    );
    assert.deepEqual(read.tool_choice, { type: "function", name: "f" });
    assert.equal(read.usage?.total_tokens, 27);
    assert.deepEqual(dialect.usageOf(answer), usage);
    // The next request's input holds what the SDK returned.
    const next = dialect.decode({
      model: "m",
      input: [
        user,
        ...(read.output as unknown as JsonObject[]),
        { type: "function_call_output", call_id: "a", output: "y" },
      ],
    });
    assert.ok(!isRefusal(next));
    assert.deepEqual(next.messages[1]?.thinking_blocks, signed);
    assert.equal(next.messages[1]?.content, "Look");
    assert.equal(next.messages[1]?.tool_calls?.[0]?.id, "a");
  });

  for (const [reason, status, why] of [
    ["stop", "completed", null],
    ["tool_calls", "completed", null],
    ["length", "incomplete", "max_output_tokens"],
    ["content_filter", "incomplete", "content_filter"],
  ] as const) {
    test(`${reason} is ${status}, whole and streamed`, async () => {
      const whole = dialect.encodeReply(reply({ content: "x" }, { finish_reason: reason }), contextOf());
      const streamed = await follow(
        encodeAll(dialect, [
          { kind: "delta", choice: 0, delta: { content: "x" } },
          { kind: "finish", choice: 0, reason },
          { kind: "end" },
        ]),
      ).finalResponse();
      assert.deepEqual([whole["status"], whole["incomplete_details"]], [status, why === null ? null : { reason: why }]);
      assert.deepEqual(
        [streamed.status, streamed.incomplete_details?.reason ?? null, streamed.output_text],
        [status, why, "x"],
      );
    });
  }

  test("a plain stream", async () => {
    const read = await follow(encodeAll(dialect, streams.plain)).finalResponse();
    assert.equal(read.output_text, "Grüß Gott 🎉");
    assert.deepEqual([read.id, read.model, read.status, read.usage?.input_tokens], ["up-1", "alias", "completed", 20]);
  });

  for (const [name, calls] of [
    ["tools", [["call_a", "weather", '{"city":"Bern"}']]],
    [
      "parallelTools",
      [
        ["call_a", "weather", '{"city":"Bern"}'],
        ["call_b", "time", '{"zone":"CET"}'],
      ],
    ],
  ] as const) {
    test(`a stream: ${name}`, async () => {
      const seen: string[] = [];
      const stream = follow(encodeAll(dialect, streams[name]));
      stream.on("response.function_call_arguments.delta", (event) => seen.push(event.delta));
      const read = await stream.finalResponse();
      assert.deepEqual(
        read.output.flatMap((item) =>
          item.type === "function_call" ? [[item.call_id, item.name, item.arguments]] : [],
        ),
        calls,
      );
      assert.equal(seen.join(""), calls.map(([, , text]) => text).join(""));
    });
  }

  test("a stream: reasoning", async () => {
    const read = await follow(encodeAll(dialect, streams.reasoning)).finalResponse();
    const [first, second] = read.output;
    assert.ok(first?.type === "reasoning" && second?.type === "message");
    assert.deepEqual(first.summary, [{ type: "summary_text", text: "Hmm, six times seven." }]);
    assert.deepEqual(unpackThinking(first.encrypted_content), [
      { type: "thinking", thinking: "Hmm, six times seven.", signature: "sig" },
    ]);
    assert.equal(read.output_text, "42");
  });

  test("a stream: a refusal", async () => {
    const read = await follow(
      encodeAll(dialect, [
        { kind: "delta", choice: 0, delta: { refusal: "No." } },
        { kind: "finish", choice: 0, reason: "stop" },
        { kind: "end" },
      ]),
    ).finalResponse();
    const [item] = read.output;
    assert.ok(item?.type === "message");
    assert.deepEqual(
      item.content.map((part) => (part.type === "refusal" ? part.refusal : part.type)),
      ["No."],
    );
  });

  test("events are named and numbered without a gap, and there is no end marker", () => {
    const frames = encodeAll(dialect, streams.tools).split("\n\n").slice(0, -1);
    for (const [index, frame] of frames.entries()) {
      const event = JSON.parse(frame.slice(frame.indexOf("data: ") + 6)) as { type: string; sequence_number: number };
      assert.equal(event.sequence_number, index);
      assert.ok(frame.startsWith(`event: ${event.type}\n`));
    }
    assert.deepEqual(
      frames.map((frame) => frame.slice(7, frame.indexOf("\n"))),
      [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
      ],
    );
  });

  test("an error in the stream raises", async () => {
    const text =
      encodeAll(dialect, streams.plain.slice(0, 3)) +
      surfaces.openai.streamError(failure("upstream_error", "It broke."), "req-1");
    await assert.rejects(follow(text).finalResponse(), /It broke/);
  });
});
