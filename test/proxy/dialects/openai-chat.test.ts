import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialect } from "../../../proxy/dialects/openai-chat/index.ts";
import { surfaces } from "../../../proxy/dialects/surfaces.ts";
import { failure } from "../../../proxy/failure.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc, { runs } from "../../harness/property.ts";
import { contextOf, encodeAll, openai, streams, usage } from "./sdk.ts";

const user = { role: "user", content: "Hi" };
const body = (more: JsonObject = {}): JsonObject => ({ model: "m", messages: [user], ...more });
const says = (...messages: unknown[]): JsonObject => ({ model: "m", messages });

const refused: Record<string, [JsonObject, string, string?]> = {
  "no messages": [{ model: "m" }, "messages", "missing_required_parameter"],
  "no model": [{ messages: [user] }, "model", "missing_required_parameter"],
  "a model that is no string": [body({ model: 1 }), "model"],
  "messages that are no list": [body({ messages: "Hi" }), "messages"],
  "an empty list of messages": [body({ messages: [] }), "messages"],
  "a message that is no object": [says(user, 1), "messages[1]"],
  "an unknown role": [says(user, user, { role: "bot", content: "" }), "messages[2].role"],
  "a function message without a name": [
    says(user, { role: "function", content: "" }),
    "messages[1].name",
    "missing_required_parameter",
  ],
  "content that is a number": [says({ role: "user", content: 1 }), "messages[0].content"],
  "a user without content": [says({ role: "user" }), "messages[0].content", "missing_required_parameter"],
  "an unknown part": [says({ role: "user", content: [{ type: "video" }] }), "messages[0].content[0].type"],
  "a part named like an object's own": [
    says({ role: "user", content: [{ type: "constructor" }] }),
    "messages[0].content[0].type",
  ],
  "an image without url": [
    says({ role: "user", content: [{ type: "image_url", image_url: {} }] }),
    "messages[0].content[0].image_url.url",
    "missing_required_parameter",
  ],
  "a tool message without its call": [
    says({ role: "tool", content: "x" }),
    "messages[0].tool_call_id",
    "missing_required_parameter",
  ],
  "arguments that are no text": [
    says({ role: "assistant", tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: {} } }] }),
    "messages[0].tool_calls[0].function.arguments",
  ],
  "a custom tool call": [
    says({ role: "assistant", tool_calls: [{ id: "a", type: "custom", custom: {} }] }),
    "messages[0].tool_calls[0].custom.name",
    "missing_required_parameter",
  ],
  "a custom tool without name": [
    body({ tools: [{ type: "custom", custom: {} }] }),
    "tools[0].custom.name",
    "missing_required_parameter",
  ],
  "a tool without name": [
    body({ tools: [{ type: "function", function: {} }] }),
    "tools[0].function.name",
    "missing_required_parameter",
  ],
  "allowed_tools without a list": [
    body({ tool_choice: { type: "allowed_tools" } }),
    "tool_choice.allowed_tools",
    "missing_required_parameter",
  ],
  "an unknown tool choice": [body({ tool_choice: "any" }), "tool_choice"],
  "a schema without name": [
    body({ response_format: { type: "json_schema", json_schema: {} } }),
    "response_format.json_schema.name",
    "missing_required_parameter",
  ],
  "an unknown response format": [body({ response_format: { type: "xml" } }), "response_format.type"],
  "a legacy function without a name": [body({ functions: [{}] }), "functions[0].name", "missing_required_parameter"],
  "a legacy choice that is unknown": [body({ functions: [{ name: "f" }], function_call: "any" }), "function_call"],
  "a legacy call without arguments": [
    body({ messages: [{ role: "assistant", content: null, function_call: { name: "f" } }] }),
    "messages[0].function_call.arguments",
    "missing_required_parameter",
  ],
  "modalities of numbers": [body({ modalities: [1] }), "modalities"],
  "pictures that aren't a list": [
    body({ messages: [{ role: "assistant", content: "x", images: "y" }] }),
    "messages[0].images",
  ],
  "a stop of numbers": [body({ stop: [1] }), "stop"],
  "n of zero": [body({ n: 0 }), "n"],
};

describe("decoding a chat completions body", () => {
  for (const [name, [given, param, code]] of Object.entries(refused)) {
    test(`refuses ${name}`, () => {
      const found = dialect.decode(given);
      assert.ok(isRefusal(found));
      assert.deepEqual([found.param, found.code], [param, code ?? "invalid_value"]);
    });
  }

  test("takes a whole conversation, unknown members included", () => {
    const given = body({
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "What is it?" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AA==", detail: "low" } },
          ],
        },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "a", type: "function", function: { name: "look", arguments: "" } }],
        },
        { role: "tool", tool_call_id: "a", content: "a cat" },
      ],
      tools: [{ type: "function", function: { name: "look", parameters: { type: "object" } } }],
      tool_choice: { type: "function", function: { name: "look" } },
      response_format: { type: "json_schema", json_schema: { name: "cat", schema: {}, strict: true } },
      temperature: null,
      modalities: ["text"],
      x_unknown: 1,
    });
    assert.equal(dialect.decode(given), given);
  });

  test("never throws, whatever the JSON", () => {
    const loose = fc.record(
      {
        model: fc.jsonValue(),
        messages: fc.oneof(
          fc.jsonValue(),
          fc.array(
            fc.record({
              role: fc.constantFrom("user", "assistant", "tool"),
              content: fc.jsonValue(),
              tool_calls: fc.jsonValue(),
            }),
          ),
        ),
        tools: fc.jsonValue(),
        tool_choice: fc.jsonValue(),
        response_format: fc.jsonValue(),
        stop: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(loose, (given) => assert.equal(typeof dialect.decode(given as JsonObject), "object")),
      { numRuns: runs(500) },
    );
  });
});

describe("chat completions written for the official SDK", () => {
  test("a whole answer", async () => {
    const reply = dialect.encodeReply(
      {
        id: "up-1",
        created: 5,
        model: "upstream",
        choices: [
          {
            index: 0,
            message: { role: "assistant", content: "Hello", reasoning_content: "hm" },
            finish_reason: "length",
            native_finish_reason: "max_tokens",
          },
        ],
        usage,
        extra: { system_fingerprint: "fp" },
      },
      contextOf(),
    );
    const read = await openai(reply).chat.completions.create({
      model: "alias",
      messages: [{ role: "user", content: "Hi" }],
    });
    assert.equal(read.model, "alias");
    assert.equal(read.choices[0]?.message.content, "Hello");
    assert.equal(read.system_fingerprint, "fp");
    assert.deepEqual(read.usage, {
      prompt_tokens: 20,
      completion_tokens: 7,
      total_tokens: 27,
      prompt_tokens_details: { cached_tokens: 5, cache_write_tokens: 3 },
      completion_tokens_details: { reasoning_tokens: 2 },
    });
    assert.deepEqual(dialect.usageOf(reply), usage);
    assert.equal((reply["choices"] as JsonObject[])[0]?.["native_finish_reason"], "max_tokens");
  });

  const accumulate = (text: string) =>
    openai(text).chat.completions.stream({ model: "alias", messages: [{ role: "user", content: "Hi" }] });

  test("a plain stream", async () => {
    const read = await accumulate(encodeAll(dialect, streams.plain)).finalChatCompletion();
    assert.equal(read.choices[0]?.message.content, "Grüß Gott 🎉");
    assert.equal(read.choices[0]?.finish_reason, "stop");
    assert.deepEqual([read.id, read.model, read.created], ["up-1", "alias", 1_700_000_000]);
    assert.equal(read.usage?.total_tokens, 27);
  });

  for (const [name, events, calls] of [
    ["tools", streams.tools, [["call_a", "weather", '{"city":"Bern"}']]],
    [
      "parallel tools",
      streams.parallelTools,
      [
        ["call_a", "weather", '{"city":"Bern"}'],
        ["call_b", "time", '{"zone":"CET"}'],
      ],
    ],
  ] as const) {
    test(`a stream with ${name}`, async () => {
      const read = await accumulate(encodeAll(dialect, events)).finalChatCompletion();
      const found = read.choices[0]?.message.tool_calls?.map((call) =>
        call.type === "function" ? [call.id, call.function.name, call.function.arguments] : [],
      );
      assert.deepEqual(found, calls);
      assert.equal(read.choices[0]?.finish_reason, "tool_calls");
    });
  }

  test("the first chunk of each choice has the role, and the chunks of one stream share id, time and model", () => {
    const text = encodeAll(
      dialect,
      [
        { kind: "start", id: null, model: null },
        { kind: "delta", choice: 1, delta: { content: "b" } },
        { kind: "delta", choice: 0, delta: { content: "a" }, logprobs: { content: [] } },
        { kind: "finish", choice: 1, reason: "stop" },
        { kind: "finish", choice: 0, reason: "stop" },
        { kind: "end" },
      ],
      contextOf({ includeUsage: false }),
    );
    const chunks = text
      .split("\n\n")
      .filter((frame) => frame.startsWith("data: {"))
      .map((frame) => JSON.parse(frame.slice(6)) as JsonObject);
    assert.equal(
      new Set(chunks.map((chunk) => JSON.stringify([chunk["id"], chunk["created"], chunk["model"]]))).size,
      1,
    );
    assert.equal(chunks[0]?.["id"], "req-1");
    assert.deepEqual(
      chunks.map((chunk) => (chunk["choices"] as { delta: JsonObject }[])[0]?.delta["role"] ?? null),
      ["assistant", null, "assistant", null, null, null],
    );
    assert.ok(!text.includes("usage"));
    assert.ok(text.endsWith("data: [DONE]\n\n"));
  });

  test("usage is null on every chunk but the last if the client asked for it", () => {
    const frames = encodeAll(dialect, streams.plain)
      .split("\n\n")
      .filter((frame) => frame.startsWith("data: {"));
    const last = frames.pop();
    assert.ok(frames.every((frame) => frame.endsWith('"usage":null}')));
    assert.match(last ?? "", /"choices":\[\],"usage":\{"prompt_tokens":20/);
  });

  test("an error in the stream raises", async () => {
    const text =
      encodeAll(dialect, streams.plain.slice(0, 4)) +
      surfaces.openai.streamError(failure("upstream_error", "It broke."), "req-1");
    await assert.rejects(accumulate(text).finalChatCompletion(), /It broke/);
  });
});
