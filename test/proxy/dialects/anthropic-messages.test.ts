import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dialect } from "../../../proxy/dialects/anthropic-messages/index.ts";
import { type ChatReply, type ChatRequest, isRefusal, type StreamEvent } from "../../../proxy/dialects/canonical.ts";
import { surfaces } from "../../../proxy/dialects/surfaces.ts";
import { failure } from "../../../proxy/failure.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc, { runs } from "../../harness/property.ts";
import { anthropic, contextOf, encodeAll, streams, usage } from "./sdk.ts";

const user = { role: "user", content: "Hi" };
const body = (more: JsonObject = {}): JsonObject => ({ model: "m", max_tokens: 9, messages: [user], ...more });
const turns = (...messages: unknown[]): JsonObject => ({ model: "m", messages });
const png = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } };
const pngPart = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };

const decoded: Record<string, [JsonObject, Partial<ChatRequest>]> = {
  max_tokens: [body(), { max_completion_tokens: 9, messages: [{ role: "user", content: "Hi" }] }],
  "a system text": [
    body({ system: "Be brief." }),
    {
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
      ],
    },
  ],
  "system blocks": [
    body({
      system: [
        { type: "text", text: "A", cache_control: { type: "ephemeral" } },
        { type: "text", text: "B" },
      ],
    }),
    {
      messages: [
        {
          role: "system",
          content: [
            { type: "text", text: "A", cache_control: { type: "ephemeral" } },
            { type: "text", text: "B" },
          ],
        },
        { role: "user", content: "Hi" },
      ],
    },
  ],
  "a system message between": [
    turns(user, { role: "system", content: "New rule." }),
    {
      messages: [
        { role: "user", content: "Hi" },
        { role: "system", content: "New rule." },
      ],
    },
  ],
  "one text block": [
    turns({ role: "user", content: [{ type: "text", text: "Hi" }] }),
    { messages: [{ role: "user", content: "Hi" }] },
  ],
  "images by data and by URL": [
    turns({
      role: "user",
      content: [
        { type: "text", text: "See" },
        png,
        { type: "image", source: { type: "url", url: "https://x.test/a.png" } },
      ],
    }),
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "See" },
            pngPart,
            { type: "image_url", image_url: { url: "https://x.test/a.png" } },
          ],
        },
      ],
    } as Partial<ChatRequest>,
  ],
  documents: [
    turns({
      role: "user",
      content: [
        { type: "document", title: "a.pdf", source: { type: "base64", media_type: "application/pdf", data: "AA==" } },
        { type: "document", source: { type: "text", media_type: "text/plain", data: "words" } },
      ],
    }),
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AA==" } },
            { type: "text", text: "words" },
          ],
        },
      ],
    },
  ],
  "tool use, with signed thinking": [
    turns({
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm", signature: "s" },
        { type: "redacted_thinking", data: "d" },
        { type: "text", text: "Look" },
        { type: "text", text: "ing" },
        { type: "tool_use", id: "t1", name: "look", input: { at: 1 } },
      ],
    }),
    {
      messages: [
        {
          role: "assistant",
          content: "Looking",
          tool_calls: [{ id: "t1", type: "function", function: { name: "look", arguments: '{"at":1}' } }],
          thinking_blocks: [
            { type: "thinking", thinking: "hm", signature: "s" },
            { type: "redacted_thinking", data: "d" },
          ],
        },
      ],
    },
  ],
  "thinking without signature, which another provider gave": [
    turns({
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm", signature: "" },
        { type: "text", text: "x" },
      ],
    }),
    { messages: [{ role: "assistant", content: "x", reasoning_content: "hm" }] },
  ],
  "tool use without text": [
    turns({ role: "assistant", content: [{ type: "tool_use", id: "t1", name: "look", input: {} }] }),
    {
      messages: [
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "t1", type: "function", function: { name: "look", arguments: "{}" } }],
        },
      ],
    },
  ],
  "tool results come before the rest of the turn": [
    turns({
      role: "user",
      content: [
        { type: "text", text: "Here." },
        {
          type: "tool_result",
          tool_use_id: "t1",
          content: [{ type: "text", text: "a" }, png, { type: "text", text: "b" }],
        },
        { type: "tool_result", tool_use_id: "t2", content: "c" },
        { type: "tool_result", tool_use_id: "t3", is_error: true },
      ],
    }),
    {
      messages: [
        {
          role: "tool",
          tool_call_id: "t1",
          content: [{ type: "text", text: "a" }, pngPart, { type: "text", text: "b" }],
        },
        { role: "tool", tool_call_id: "t2", content: "c" },
        { role: "tool", tool_call_id: "t3", content: "Error", is_error: true },
        { role: "user", content: "Here." },
      ],
    } as Partial<ChatRequest>,
  ],
  "only tool results": [
    turns({ role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: "" }] }),
    { messages: [{ role: "tool", tool_call_id: "t1", content: "" }] },
  ],
  tools: [
    body({
      tools: [
        { name: "f", description: "d", input_schema: { type: "object" }, strict: true, cache_control: {} },
        { type: "custom", name: "g" },
      ],
    }),
    {
      tools: [
        {
          type: "function",
          function: { name: "f", description: "d", parameters: { type: "object" }, strict: true },
          cache_control: {},
        },
        { type: "function", function: { name: "g" } },
      ],
    },
  ],
  "tool_choice auto": [
    body({ tool_choice: { type: "auto", disable_parallel_tool_use: true } }),
    { tool_choice: "auto", parallel_tool_calls: false },
  ],
  "tool_choice any": [body({ tool_choice: { type: "any" } }), { tool_choice: "required" }],
  "tool_choice none": [body({ tool_choice: { type: "none" } }), { tool_choice: "none" }],
  "a named tool": [
    body({ tool_choice: { type: "tool", name: "f" } }),
    { tool_choice: { type: "function", function: { name: "f" } } },
  ],
  "sampling, stop and user": [
    body({ temperature: 0.5, top_p: 0.9, stop_sequences: ["a", "b"], stream: true, metadata: { user_id: "u" } }),
    { temperature: 0.5, top_p: 0.9, stop: ["a", "b"], stream: true, user: "u" },
  ],
  "adaptive thinking": [body({ thinking: { type: "adaptive" } }), { reasoning_effort: "high" }],
  "adaptive thinking with an effort": [
    body({ thinking: { type: "adaptive" }, output_config: { effort: "low" } }),
    { reasoning_effort: "low" },
  ],
  "a small thinking budget": [
    body({ thinking: { type: "enabled", budget_tokens: 1024 } }),
    { reasoning_effort: "low" },
  ],
  "a middling thinking budget": [
    body({ thinking: { type: "enabled", budget_tokens: 2048 } }),
    { reasoning_effort: "medium" },
  ],
  "a large thinking budget": [
    body({ thinking: { type: "enabled", budget_tokens: 31999 } }),
    { reasoning_effort: "high" },
  ],
  "thinking turned off": [
    body({ thinking: { type: "disabled" }, output_config: { effort: "high" } }),
    { reasoning_effort: "none" },
  ],
  "a schema": [
    body({ output_config: { format: { type: "json_schema", schema: { type: "object" } } } }),
    {
      response_format: {
        type: "json_schema",
        json_schema: { name: "output", schema: { type: "object" }, strict: true },
      },
    },
  ],
};

const refused: Record<string, [JsonObject, string, string?]> = {
  "no messages": [{ model: "m" }, "messages", "missing_required_parameter"],
  "an empty list of messages": [turns(), "messages"],
  "an unknown role": [turns(user, { role: "tool", content: "" }), "messages[1].role"],
  "a role named like an object's own": [turns({ role: "constructor", content: "" }), "messages[0].role"],
  "content that is null": [turns({ role: "user", content: null }), "messages[0].content"],
  "an unknown block": [
    turns({ role: "user", content: [{ type: "container_upload" }] }),
    "messages[0].content[0].type",
    "unsupported_parameter",
  ],
  "an uploaded image of the assistant": [
    turns({ role: "assistant", content: [{ type: "image", source: { type: "file", file_id: "f" } }] }),
    "messages[0].content[0].source.type",
    "unsupported_parameter",
  ],
  "an image in the system prompt": [body({ system: [png] }), "system[0].type"],
  "an uploaded image": [
    turns({ role: "user", content: [{ type: "image", source: { type: "file", file_id: "f" } }] }),
    "messages[0].content[0].source.type",
    "unsupported_parameter",
  ],
  "an uploaded document": [
    turns({ role: "user", content: [{ type: "document", source: { type: "file", file_id: "f" } }] }),
    "messages[0].content[0].source.type",
    "unsupported_parameter",
  ],
  "a result without its call": [
    turns({ role: "user", content: [{ type: "tool_result" }] }),
    "messages[0].content[0].tool_use_id",
    "missing_required_parameter",
  ],
  "an unknown tool choice": [body({ tool_choice: { type: "some" } }), "tool_choice.type"],
  "MCP servers": [body({ mcp_servers: [] }), "mcp_servers", "unsupported_parameter"],
  "a place of processing": [body({ inference_geo: "us" }), "inference_geo", "unsupported_parameter"],
};

describe("decoding a Messages body", () => {
  for (const [name, [given, expected]] of Object.entries(decoded)) {
    test(`takes ${name}`, () => {
      const found = dialect.decode(given);
      assert.ok(!isRefusal(found), JSON.stringify(found));
      const { model: _model, messages, max_completion_tokens, ...rest } = found;
      const { messages: expectedMessages, max_completion_tokens: limit, ...expectedRest } = expected;
      if (expectedMessages) assert.deepEqual(messages, expectedMessages);
      if (limit) assert.equal(max_completion_tokens, limit);
      assert.deepEqual(JSON.parse(JSON.stringify(rest)), expectedRest);
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
    assert.deepEqual(dialect.dropped?.(body({ top_k: 5, context_management: {}, speed: null })), [
      "context_management",
    ]);
  });

  test("never throws, whatever the JSON", () => {
    const block = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          type: fc.constantFrom("text", "image", "document", "tool_use", "tool_result", "thinking"),
          text: fc.jsonValue(),
          source: fc.jsonValue(),
          content: fc.jsonValue(),
          id: fc.jsonValue(),
        },
        { requiredKeys: ["type"] },
      ),
    );
    const message = fc.record({
      role: fc.constantFrom("user", "assistant", "system"),
      content: fc.oneof(fc.jsonValue(), fc.array(block)),
    });
    const loose = fc.record(
      {
        model: fc.constant("m"),
        messages: fc.oneof(fc.array(message), fc.jsonValue()),
        system: fc.jsonValue(),
        tools: fc.jsonValue(),
        tool_choice: fc.jsonValue(),
        thinking: fc.jsonValue(),
        output_config: fc.jsonValue(),
        metadata: fc.jsonValue(),
      },
      { requiredKeys: ["model"] },
    );
    fc.assert(
      fc.property(loose, (given) => assert.equal(typeof dialect.decode(given as JsonObject), "object")),
      { numRuns: runs(500) },
    );
  });
});

const reply = (
  message: Partial<ChatReply["choices"][0]["message"]>,
  finish: Partial<ChatReply["choices"][0]> = {},
): ChatReply => ({
  id: "up-1",
  created: 1,
  model: "upstream",
  choices: [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason: "stop", ...finish }],
  usage,
});
const wireUsage = {
  input_tokens: 12,
  cache_creation_input_tokens: 3,
  cache_read_input_tokens: 5,
  output_tokens: 7,
  output_tokens_details: { thinking_tokens: 2 },
};

describe("Messages written for the official SDK", () => {
  const create = (answer: JsonObject) =>
    anthropic(answer).messages.create({ model: "alias", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] });
  const follow = (text: string) =>
    anthropic(text).messages.stream({ model: "alias", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] });

  test("a whole answer with reasoning, text and tools", async () => {
    const read = await create(
      dialect.encodeReply(
        reply(
          {
            content: "Look",
            reasoning_content: "hm",
            tool_calls: [
              { id: "a", type: "function", function: { name: "f", arguments: '{"x":1}' } },
              { id: "b", type: "function", function: { name: "g", arguments: "" } },
              { id: "c", type: "function", function: { name: "h", arguments: '{"cut' } },
            ],
          },
          { finish_reason: "tool_calls" },
        ),
        contextOf(),
      ),
    );
    assert.deepEqual(read.content, [
      { type: "thinking", thinking: "hm", signature: "" },
      { type: "text", text: "Look" },
      { type: "tool_use", id: "a", name: "f", input: { x: 1 } },
      { type: "tool_use", id: "b", name: "g", input: {} },
      { type: "tool_use", id: "c", name: "h", input: { INVALID_JSON: '{"cut' } },
    ]);
    assert.deepEqual(
      [read.id, read.model, read.stop_reason, read.role, read.type],
      ["up-1", "alias", "tool_use", "assistant", "message"],
    );
    assert.deepEqual(read.usage, wireUsage);
    assert.deepEqual(dialect.usageOf(read as unknown as JsonObject), usage);
  });

  for (const [reason, native, refusal, expected] of [
    ["stop", undefined, null, "end_turn"],
    ["stop", "stop_sequence", null, "stop_sequence"],
    ["stop", "STOP", null, "end_turn"],
    ["stop", undefined, "No.", "refusal"],
    ["length", undefined, null, "max_tokens"],
    ["length", "model_context_window_exceeded", null, "model_context_window_exceeded"],
    ["tool_calls", undefined, null, "tool_use"],
    ["function_call", undefined, null, "tool_use"],
    ["content_filter", undefined, null, "refusal"],
  ] as const) {
    test(`${native ?? reason}${refusal ? " with a refusal" : ""} is ${expected}, whole and streamed`, async () => {
      const finish = { finish_reason: reason, ...(native ? { native_finish_reason: native } : {}) };
      const whole = dialect.encodeReply(reply({ content: refusal ? null : "x", refusal }, finish), contextOf());
      assert.equal(whole["stop_reason"], expected);
      const streamed = await follow(
        encodeAll(dialect, [
          { kind: "delta", choice: 0, delta: refusal ? { refusal } : { content: "x" } },
          { kind: "finish", choice: 0, reason, ...(native ? { native } : {}) },
          { kind: "end" },
        ]),
      ).finalMessage();
      assert.equal(streamed.stop_reason, expected);
      assert.deepEqual(streamed.content, [{ type: "text", text: refusal ?? "x" }]);
    });
  }

  const contents: Record<keyof typeof streams, unknown[]> = {
    plain: [{ type: "text", text: "Grüß Gott 🎉" }],
    tools: [
      { type: "text", text: "Let me see." },
      { type: "tool_use", id: "call_a", name: "weather", input: { city: "Bern" } },
    ],
    parallelTools: [
      { type: "tool_use", id: "call_a", name: "weather", input: { city: "Bern" } },
      { type: "tool_use", id: "call_b", name: "time", input: { zone: "CET" } },
    ],
    reasoning: [
      { type: "thinking", thinking: "Hmm, six times seven.", signature: "sig" },
      { type: "text", text: "42" },
    ],
  };
  for (const [name, expected] of Object.entries(contents) as [keyof typeof streams, unknown[]][]) {
    test(`a stream: ${name}`, async () => {
      const read = await follow(encodeAll(dialect, streams[name])).finalMessage();
      assert.deepEqual(JSON.parse(JSON.stringify(read.content)), expected);
      assert.equal(read.model, "alias");
      assert.deepEqual(
        [read.usage.input_tokens, read.usage.output_tokens, read.usage.cache_read_input_tokens],
        [12, 7, 5],
      );
    });
  }

  test("an error in the stream raises", async () => {
    const text =
      encodeAll(dialect, streams.plain.slice(0, 4)) +
      surfaces.anthropic.streamError(failure("upstream_error", "It broke."), "req-1");
    await assert.rejects(follow(text).finalMessage(), /It broke/);
  });

  test("blocks never overlap and come in index order, whatever the order of deltas", () => {
    const delta = fc.oneof(
      fc.string().map((content) => ({ content })),
      fc.string().map((reasoning_content) => ({ reasoning_content })),
      fc
        .record({
          index: fc.nat(3),
          id: fc.constantFrom("a", "b"),
          args: fc.constantFrom("", "{", '{"a":1}', '"a":1}'),
        })
        .map((one) => ({
          tool_calls: [{ index: one.index, id: `${one.id}${one.index}`, function: { name: "f", arguments: one.args } }],
        })),
    );
    fc.assert(
      fc.property(fc.array(delta, { maxLength: 20 }), (all) => {
        const events: StreamEvent[] = [
          ...all.map((one) => ({ kind: "delta" as const, choice: 0, delta: one })),
          { kind: "end" },
        ];
        let open: number | null = null;
        let next = 0;
        const seen: string[] = [];
        for (const frame of encodeAll(dialect, events).split("\n\n").slice(0, -1)) {
          const event = JSON.parse(frame.slice(frame.indexOf("data: ") + 6)) as { type: string; index: number };
          assert.ok(frame.startsWith(`event: ${event.type}\n`));
          seen.push(event.type);
          if (event.type === "content_block_start") {
            assert.equal(open, null);
            assert.equal(event.index, next++);
            open = event.index;
          }
          if (event.type === "content_block_delta") assert.equal(event.index, open);
          if (event.type === "content_block_stop") {
            assert.equal(event.index, open);
            open = null;
          }
        }
        assert.equal(open, null);
        assert.deepEqual([seen[0], seen.at(-2), seen.at(-1)], ["message_start", "message_delta", "message_stop"]);
      }),
    );
  });

  test("the arguments of a single tool call are streamed as they arrive", () => {
    const encoder = dialect.encoder(contextOf());
    encoder.encode({
      kind: "delta",
      choice: 0,
      delta: { tool_calls: [{ index: 0, id: "a", function: { name: "f" } }] },
    });
    const out = encoder.encode({
      kind: "delta",
      choice: 0,
      delta: { tool_calls: [{ index: 0, function: { arguments: '{"a"' } }] },
    });
    assert.match(out, /input_json_delta/);
  });
});
