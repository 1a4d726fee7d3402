import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ChatRequest, isRefusal } from "../../../proxy/dialects/canonical.ts";
import { failures } from "../../../proxy/failure.ts";
import { capabilities } from "../../../proxy/providers/anthropic/capabilities.ts";
import { provider } from "../../../proxy/providers/anthropic/index.ts";
import { toolId } from "../../../proxy/providers/anthropic/turns.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc, { runs } from "../../harness/property.ts";
import { accepted, call, hello, type Setting } from "./drive.ts";

type Request = Partial<ChatRequest>;
const text = (value: string): JsonObject => ({ type: "text", text: value });
const user = (...content: JsonObject[]): JsonObject => ({ role: "user", content });
const assistant = (...content: JsonObject[]): JsonObject => ({ role: "assistant", content });
const tool = {
  type: "function",
  function: {
    name: "look",
    description: "Looks.",
    parameters: { type: "object", properties: { at: { type: "string" } } },
  },
} as const;
const toolCall = (id: string, args = "{}") => ({
  id,
  type: "function" as const,
  function: { name: "look", arguments: args },
});
const schema = { type: "object", properties: { a: { type: "number" } }, required: ["a"], additionalProperties: false };
const jsonSchema = { type: "json_schema", json_schema: { name: "answer", schema, strict: true } } as const;
const signed = { type: "thinking", thinking: "Hm.", signature: "c2ln" };
const redacted = { type: "redacted_thinking", data: "b3BhcXVl" };
const budget: Setting = { options: { thinking: "Budget" } };

/** Request → members of the body that it affects (undefined: must be absent), dropped parameters, settings. */
const mapped: Record<string, [Request, JsonObject, string[]?, Setting?]> = {
  "the model's upstream name, and 4096 tokens where nobody says": [
    {},
    { model: "model-1", max_tokens: 4096, messages: [user(text("Hi"))], stream: undefined },
  ],
  "the model's own limit of tokens": [{}, { max_tokens: 999 }, [], { maxOutputTokens: 999 }],
  "max_tokens, and its successor before it": [
    { max_tokens: 1, max_completion_tokens: 2 },
    { max_tokens: 2 },
    [],
    { maxOutputTokens: 999 },
  ],
  stream: [
    { stream: true, stream_options: { include_usage: true } },
    { stream: true, stream_options: undefined },
    [],
    { stream: true },
  ],
  "system and developer messages of any place, blank ones left out": [
    {
      messages: [
        { role: "system", content: "A" },
        hello,
        { role: "developer", content: [{ type: "text", text: "B" }] },
        { role: "system", content: " \n" },
      ],
    },
    { system: [text("A"), text("B")], messages: [user(text("Hi"))] },
  ],
  "no system prompt": [{}, { system: undefined }],
  "messages of one role in a row become one turn": [
    {
      messages: [
        hello,
        { role: "user", content: [{ type: "text", text: "you" }] },
        { role: "assistant", content: "A" },
        { role: "assistant", content: "B" },
        hello,
      ],
    },
    { messages: [user(text("Hi"), text("you")), assistant(text("A"), text("B")), user(text("Hi"))] },
  ],
  "empty messages are left out": [
    { messages: [hello, { role: "assistant", content: "" }, { role: "user", content: " " }] },
    { messages: [user(text("Hi"))] },
  ],
  "a conversation that the assistant begins": [
    { messages: [{ role: "assistant", content: "Welcome." }, hello] },
    { messages: [user(text("(start of the conversation)")), assistant(text("Welcome.")), user(text("Hi"))] },
  ],
  "a system prompt alone": [
    { messages: [{ role: "system", content: "Greet." }] },
    { system: [text("Greet.")], messages: [user(text("(start of the conversation)"))] },
  ],
  "an answer to go on with loses its trailing space": [
    { messages: [hello, { role: "assistant", content: "The answer is " }] },
    { messages: [user(text("Hi")), assistant(text("The answer is"))] },
  ],
  "a name of a speaker is dropped": [
    { messages: [{ ...hello, name: "ann" }] },
    { messages: [user(text("Hi"))] },
    ["messages.name"],
  ],
  "images by data and by address": [
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: "data:image/PNG;base64,AA==", detail: "high" } },
            { type: "image_url", image_url: { url: "https://x.test/a.webp", detail: "auto" } },
            { type: "image_url", image_url: { url: "data:image/jpg;base64,AA==" } },
          ],
        },
      ],
    },
    {
      messages: [
        user(
          { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } },
          { type: "image", source: { type: "url", url: "https://x.test/a.webp" } },
          { type: "image", source: { type: "base64", media_type: "image/jpeg", data: "AA==" } },
        ),
      ],
    },
    ["image_url.detail"],
  ],
  "PDFs, as files and as images": [
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AA==" } },
            { type: "image_url", image_url: { url: "data:application/pdf;base64,AA==" } },
          ],
        },
      ],
    },
    {
      messages: [
        user(
          { type: "document", source: { type: "base64", media_type: "application/pdf", data: "AA==" }, title: "a.pdf" },
          { type: "document", source: { type: "base64", media_type: "application/pdf", data: "AA==" } },
        ),
      ],
    },
  ],
  "parallel tool calls, their results in one turn before what the user adds": [
    {
      messages: [
        hello,
        {
          role: "assistant",
          content: null,
          tool_calls: [toolCall("call_1", '{"refused":true}'), toolCall("call_2", "")],
        },
        { role: "tool", tool_call_id: "call_1", content: "one" },
        { role: "user", content: "And?" },
        { role: "tool", tool_call_id: "call_2", content: "" },
      ],
      tools: [tool],
    },
    {
      messages: [
        user(text("Hi")),
        assistant(
          { type: "tool_use", id: "call_1", name: "look", input: { refused: true } },
          { type: "tool_use", id: "call_2", name: "look", input: {} },
        ),
        user(
          { type: "tool_result", tool_use_id: "call_1", content: [text("one")] },
          { type: "tool_result", tool_use_id: "call_2" },
          text("And?"),
        ),
      ],
    },
  ],
  "an image that a tool gave": [
    {
      messages: [
        hello,
        { role: "assistant", tool_calls: [toolCall("call_1")] },
        {
          role: "tool",
          tool_call_id: "call_1",
          content: [{ type: "image_url", image_url: { url: "https://x.test/a.png" } }],
        },
      ],
    },
    {
      messages: [
        user(text("Hi")),
        assistant({ type: "tool_use", id: "call_1", name: "look", input: {} }),
        user({
          type: "tool_result",
          tool_use_id: "call_1",
          content: [{ type: "image", source: { type: "url", url: "https://x.test/a.png" } }],
        }),
      ],
    },
  ],
  "signed reasoning goes first; what bears no signature stays behind": [
    {
      messages: [
        hello,
        {
          role: "assistant",
          content: "A",
          reasoning_content: "Hm.",
          thinking_blocks: [signed, redacted, { type: "thinking", thinking: "x", signature: "" }],
        },
        hello,
      ],
    },
    { messages: [user(text("Hi")), assistant(signed, redacted, text("A")), user(text("Hi"))] },
  ],
  "a refusal of the assistant": [
    { messages: [hello, { role: "assistant", content: null, refusal: "I won't." }, hello] },
    { messages: [user(text("Hi")), assistant(text("I won't.")), user(text("Hi"))] },
  ],
  "a strict tool": [
    { tools: [{ ...tool, function: { ...tool.function, strict: true } }] },
    {
      tools: [{ name: "look", description: "Looks.", input_schema: tool.function.parameters, strict: true }],
      tool_choice: undefined,
    },
  ],
  "a strict tool for a model without structured outputs": [
    { tools: [{ ...tool, function: { ...tool.function, strict: true } }] },
    { tools: [{ name: "look", description: "Looks.", input_schema: tool.function.parameters }] },
    ["tools.strict"],
    { options: { structuredOutputs: "Refuse" } },
  ],
  "a tool without parameters": [
    { tools: [{ type: "function", function: { name: "now" } }] },
    { tools: [{ name: "now", input_schema: { type: "object", properties: {} } }] },
  ],
  "tool_choice auto": [{ tools: [tool], tool_choice: "auto" }, { tool_choice: { type: "auto" } }],
  "tool_choice required": [{ tools: [tool], tool_choice: "required" }, { tool_choice: { type: "any" } }],
  "tool_choice none, which takes no parallel flag": [
    { tools: [tool], tool_choice: "none", parallel_tool_calls: false },
    { tool_choice: { type: "none" } },
  ],
  "a named tool, one at a time": [
    { tools: [tool], tool_choice: { type: "function", function: { name: "look" } }, parallel_tool_calls: false },
    { tool_choice: { type: "tool", name: "look", disable_parallel_tool_use: true } },
  ],
  "one tool at a time": [
    { tools: [tool], parallel_tool_calls: false },
    { tool_choice: { type: "auto", disable_parallel_tool_use: true } },
  ],
  "as many tools as it likes": [{ tools: [tool], parallel_tool_calls: true }, { tool_choice: undefined }],
  "a choice without tools": [
    { tools: [], tool_choice: "auto", parallel_tool_calls: false },
    { tools: undefined, tool_choice: undefined },
  ],
  "one stop sequence": [{ stop: "END" }, { stop_sequences: ["END"] }],
  "several stop sequences": [{ stop: ["A", "", "B"] }, { stop_sequences: ["A", "B"] }],
  "sampling parameters": [
    { temperature: 0.5, top_p: 0.9, top_k: 4 },
    { temperature: 0.5, top_p: 0.9, top_k: 4 },
  ],
  "sampling parameters for a model that refuses them": [
    { temperature: 0.5, top_p: 0.9, top_k: 4 },
    { temperature: undefined, top_p: undefined, top_k: undefined },
    ["temperature", "top_p", "top_k"],
    { options: { sampling: "Drop" } },
  ],
  "a JSON schema": [{ response_format: jsonSchema }, { output_config: { format: { type: "json_schema", schema } } }],
  "plain text": [{ response_format: { type: "text" } }, { output_config: undefined }],
  "a user": [{ user: "u1" }, { metadata: { user_id: "u1" } }],
  "a user's successor": [{ user: "u1", safety_identifier: "s1" }, { metadata: { user_id: "s1" } }],
  "what tunes and labels is dropped": [
    {
      seed: 1,
      presence_penalty: 1,
      frequency_penalty: -1,
      store: true,
      service_tier: "flex",
      metadata: { a: "b" },
      top_logprobs: 2,
      verbosity: "low",
    },
    { seed: undefined, store: undefined, metadata: undefined },
    ["seed", "presence_penalty", "frequency_penalty", "store", "service_tier", "metadata", "top_logprobs", "verbosity"],
  ],
  "what asks for nothing is not": [
    {
      n: 1,
      logprobs: false,
      logit_bias: {},
      presence_penalty: 0,
      service_tier: "auto",
      store: false,
      metadata: {},
      modalities: ["text"],
      seed: null,
      stop: null,
    },
    { metadata: undefined, stop_sequences: undefined },
  ],
  "effort with adaptive thinking": [
    { reasoning_effort: "xhigh" },
    { thinking: { type: "adaptive" }, output_config: { effort: "xhigh" } },
  ],
  "minimal effort": [{ reasoning_effort: "minimal" }, { output_config: { effort: "low" } }],
  "no effort": [
    { reasoning_effort: "none", temperature: 0.2 },
    { thinking: { type: "disabled" }, output_config: undefined, temperature: 0.2 },
  ],
  "effort with a schema": [
    { reasoning_effort: "low", response_format: jsonSchema },
    { output_config: { effort: "low", format: { type: "json_schema", schema } } },
  ],
  "effort with a forced tool, which thinking doesn't go with": [
    { reasoning_effort: "high", tools: [tool], tool_choice: "required" },
    { thinking: undefined, output_config: { effort: "high" }, tool_choice: { type: "any" } },
  ],
  "sampling that thinking doesn't go with": [
    { reasoning_effort: "high", temperature: 0.2, top_p: 0.5, top_k: 3 },
    { temperature: undefined, top_p: undefined, top_k: undefined },
    ["temperature", "top_p", "top_k"],
  ],
  "sampling that thinking goes with": [
    { reasoning_effort: "high", temperature: 1, top_p: 0.97 },
    { temperature: 1, top_p: 0.97 },
  ],
  "a budget of thinking": [
    { reasoning_effort: "high", max_tokens: 20_000 },
    { thinking: { type: "enabled", budget_tokens: 4096 }, output_config: undefined },
    [],
    budget,
  ],
  "the largest budget": [
    { reasoning_effort: "max", max_tokens: 64_000 },
    { thinking: { type: "enabled", budget_tokens: 16_384 } },
    [],
    budget,
  ],
  "a budget that leaves room for the answer": [
    { reasoning_effort: "max", max_tokens: 3000 },
    { thinking: { type: "enabled", budget_tokens: 1500 } },
    [],
    budget,
  ],
  "the smallest budget just below max_tokens": [
    { reasoning_effort: "low", max_tokens: 1025 },
    { thinking: { type: "enabled", budget_tokens: 1024 } },
    [],
    budget,
  ],
  "no room for a budget": [
    { reasoning_effort: "low", max_tokens: 1024 },
    { thinking: undefined },
    ["reasoning_effort"],
    budget,
  ],
  "no budget asked": [{ reasoning_effort: "none" }, { thinking: undefined }, [], budget],
  "a budget with a forced tool": [
    { reasoning_effort: "low", tools: [tool], tool_choice: "required" },
    { thinking: undefined },
    ["reasoning_effort"],
    budget,
  ],
  "a budget for a tool turn without its signed reasoning": [
    {
      reasoning_effort: "low",
      messages: [
        hello,
        { role: "assistant", tool_calls: [toolCall("c")] },
        { role: "tool", tool_call_id: "c", content: "1" },
      ],
    },
    { thinking: undefined },
    ["reasoning_effort"],
    budget,
  ],
  "a budget for a tool turn with it": [
    {
      reasoning_effort: "low",
      messages: [
        hello,
        { role: "assistant", tool_calls: [toolCall("c")], thinking_blocks: [signed] },
        { role: "tool", tool_call_id: "c", content: "1" },
      ],
    },
    { thinking: { type: "enabled", budget_tokens: 1024 } },
    [],
    budget,
  ],
};

describe("a chat request becomes a Messages body", () => {
  for (const [name, [request, members, dropped = [], setting = {}]] of Object.entries(mapped)) {
    test(name, () => {
      const made = accepted(provider, request, setting);
      for (const [member, value] of Object.entries(members)) assert.deepEqual(made.json[member], value, member);
      assert.deepEqual(made.dropped, dropped);
    });
  }
});

const part = (one: JsonObject): Request => ({ messages: [{ role: "user", content: [one] }] }) as unknown as Request;

/** Request → parameter that the error names. */
const refusedRequests: Record<string, [Request, string, Setting?]> = {
  "two choices": [{ n: 2 }, "n"],
  "log probabilities": [{ logprobs: true }, "logprobs"],
  "biased tokens": [{ logit_bias: { "1": 5 } }, "logit_bias"],
  "a prediction": [{ prediction: { type: "content", content: "x" } }, "prediction"],
  "audio out": [{ modalities: ["text", "audio"] }, "modalities"],
  "a hot temperature": [{ temperature: 1.2 }, "temperature"],
  "a schema for a model that has none": [
    { response_format: jsonSchema },
    "response_format",
    { options: { structuredOutputs: "Refuse" } },
  ],
  "a schema that is missing": [
    { response_format: { type: "json_schema", json_schema: { name: "a" } } },
    "response_format.json_schema.schema",
  ],
  "audio in": [part({ type: "input_audio", input_audio: { data: "", format: "wav" } }), "messages[0].content[0].type"],
  "a file by id": [part({ type: "file", file: { file_id: "f" } }), "messages[0].content[0].file"],
  "an image of a kind that Claude can't see": [
    part({ type: "image_url", image_url: { url: "data:image/tiff;base64,AA==" } }),
    "messages[0].content[0].image_url.url",
  ],
  "an image from elsewhere than the web": [
    part({ type: "image_url", image_url: { url: "file:///etc/passwd" } }),
    "messages[0].content[0].image_url.url",
  ],
  "an image in the assistant's words": [
    {
      messages: [
        hello,
        { role: "assistant", content: [{ type: "image_url", image_url: { url: "https://x.test/a.png" } }] },
      ],
    },
    "messages[1].content[0].type",
  ],
  "arguments that are no JSON": [
    { messages: [hello, { role: "assistant", tool_calls: [toolCall("a", "{")] }] },
    "messages[1].tool_calls[0].function.arguments",
  ],
  "arguments that are no object": [
    { messages: [hello, { role: "assistant", tool_calls: [toolCall("a", "[1]")] }] },
    "messages[1].tool_calls[0].function.arguments",
  ],
  "a forced tool that isn't there": [{ tool_choice: "required" }, "tool_choice"],
  "an effort that nobody knows": [{ reasoning_effort: "herculean" }, "reasoning_effort"],
  "a stop at white space": [{ stop: ["\n"] }, "stop"],
  "a legacy function message": [
    { messages: [hello, { role: "function", name: "f", content: "1" }] },
    "messages[1].role",
  ],
};

describe("what Messages can't express is refused before any call", () => {
  for (const [name, [request, param, setting]] of Object.entries(refusedRequests)) {
    test(name, () => {
      const made = call(provider, request, setting);
      assert.ok(isRefusal(made));
      assert.equal(made.param, param);
      assert.equal(failures[made.code].status, 400);
    });
  }

  test("and the capabilities say so", () => {
    const given: Record<string, Request> = {
      n: { n: 2 },
      logprobs: { logprobs: true },
      logit_bias: { logit_bias: { "1": 1 } },
      input_audio: part({ type: "input_audio", input_audio: { data: "", format: "wav" } }),
      seed: { seed: 1 },
      store: { store: true },
      metadata: { metadata: { a: "b" } },
      presence_penalty: { presence_penalty: 1 },
      frequency_penalty: { frequency_penalty: 1 },
      service_tier: { service_tier: "priority" },
    };
    for (const [name, support] of Object.entries(capabilities.parameters)) {
      const request = given[name];
      assert.equal(request !== undefined, support === "refused" || support === "dropped", name);
      if (request === undefined) continue;
      const made = call(provider, request);
      assert.equal(isRefusal(made) ? "refused" : made.dropped.includes(name) ? "dropped" : "mapped", support, name);
    }
  });
});

describe("ids of tool calls", () => {
  const conversation = (...ids: string[]): Request => ({
    messages: [
      hello,
      ...ids.flatMap((id) => [
        { role: "assistant" as const, tool_calls: [toolCall(id)] },
        { role: "tool" as const, tool_call_id: id, content: "done" },
      ]),
    ],
  });
  const pairs = (request: Request): [unknown, unknown][] => {
    const turns = accepted(provider, request).json["messages"] as { content: JsonObject[] }[];
    const blocks = turns.flatMap((turn) => turn.content);
    const results = blocks.filter((block) => block["type"] === "tool_result").map((block) => block["tool_use_id"]);
    return blocks.filter((block) => block["type"] === "tool_use").map((block, index) => [block["id"], results[index]]);
  };

  test("of another provider are kept if they are valid", () => {
    assert.deepEqual(pairs(conversation("chatcmpl-tool-1", "toolu_01A")), [
      ["chatcmpl-tool-1", "chatcmpl-tool-1"],
      ["toolu_01A", "toolu_01A"],
    ]);
  });

  test("are replaced by valid ones, the same for call and result and in every request", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (id) => {
        const [[use, result] = []] = pairs(conversation(id));
        assert.match(String(use), /^[A-Za-z0-9_-]{1,64}$/);
        assert.equal(result, use);
        assert.equal(use, toolId(id));
      }),
      { numRuns: runs(100) },
    );
  });

  test("that a server used twice become unique", () => {
    const [first, second] = pairs(conversation("call_0_0", "call_0_0"));
    assert.deepEqual(first, ["call_0_0", "call_0_0"]);
    assert.equal(second?.[0], second?.[1]);
    assert.notEqual(second?.[0], "call_0_0");
  });
});
