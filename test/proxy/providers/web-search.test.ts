/** Web search that the model's provider runs: asked for in each API's form, and shown in each API's form. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { ChatCall, Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import { type Json, list, own } from "../../harness/strict/json.ts";
import { contextOf } from "../dialects/sdk.ts";
import type { Format } from "./documented.ts";
import { accountOf, modelOf } from "./drive.ts";
import { frame } from "./wire/bedrock.ts";

const place = { country: "CH", city: "Bern", timezone: "Europe/Zurich" };
const approximate = { type: "approximate", ...place };
const turn = [{ role: "user", content: "Hi" }];
const lookUp = { type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } };

/** The wish, in each API's form. */
const asked: Record<Format, (details?: Json) => Json> = {
  "openai.chat": (details = {}) => ({ messages: turn, web_search_options: details }),
  "openai.responses": (details = {}) => ({ input: "Hi", tools: [{ type: "web_search", ...details }] }),
  "anthropic.messages": (details = {}) => ({
    messages: turn,
    max_tokens: 900,
    tools: [{ type: "web_search_20250305", name: "web_search", ...details }],
  }),
};
const names: Record<Format, string> = {
  "openai.chat": "web_search_options",
  "openai.responses": "tools.web_search",
  "anthropic.messages": "tools.web_search_20250305",
};
const formats = Object.keys(asked) as Format[];

function callOf(type: string, upstream: string, format: Format, body: Json, stream = false): ChatCall {
  const request = dialects[format]?.decode({ model: "m", ...body });
  assert.ok(request !== undefined && !isRefusal(request), JSON.stringify(request));
  const options = { project: "p", location: "us-east5", region: "us-east-1" };
  const target = { account: accountOf({ options }), model: modelOf({ upstream }) };
  const call = translatedChat(providers[type as keyof typeof providers] as Provider, request, target, {
    stream,
    deadlineMs: 1,
    seed: "s",
  });
  assert.ok(call !== null && !isRefusal(call), JSON.stringify(call));
  return call;
}

function sent(
  type: string,
  upstream: string,
  format: Format,
  body: Json,
): { json: Json; lost: string[]; call: ChatCall } {
  const call = callOf(type, upstream, format, body);
  return {
    json: JSON.parse(call.body) as Json,
    lost: [...(dialects[format]?.dropped?.(body) ?? []), ...call.dropped],
    call,
  };
}

const searchers: Record<string, readonly [type: string, upstream: string, tool: Json]> = {
  Anthropic: ["Anthropic", "claude-sonnet-4-5", { type: "web_search_20250305", name: "web_search" }],
  "Claude on Vertex AI": ["VertexAI", "claude-sonnet-4-5", { type: "web_search_20250305", name: "web_search" }],
  "Claude on Azure": ["AzureAIFoundry", "claude-sonnet-4-5", { type: "web_search_20250305", name: "web_search" }],
  Gemini: ["Gemini", "gemini-2.5-flash", { googleSearch: {} }],
  "Nova 2": ["Bedrock", "us.amazon.nova-2-lite-v1:0", { systemTool: { name: "nova_grounding" } }],
  OpenAI: ["OpenAI", "gpt-4o", { type: "web_search" }],
  "Gemini on Vertex AI": ["VertexAI", "gemini-3-pro", { googleSearch: {} }],
};
const others: Record<string, readonly [type: string, upstream: string]> = {
  "an older Claude": ["Anthropic", "claude-3-haiku-20240307"],
  "an older Gemini": ["Gemini", "gemini-1.5-pro"],
  "Claude on Bedrock": ["Bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"],
  Cohere: ["Cohere", "command-a"],
  Mistral: ["Mistral", "mistral-large-latest"],
  watsonx: ["Watsonx", "ibm/granite-3-8b"],
  "an older model of OpenAI": ["OpenAI", "gpt-4-turbo"],
  "Azure OpenAI": ["AzureOpenAI", "gpt-4o"],
};

describe("a wish for web search", () => {
  for (const format of formats) {
    for (const [title, [type, upstream, tool]] of Object.entries(searchers))
      it(`reaches ${title} from ${format}`, () => {
        const { json, lost, call } = sent(type, upstream, format, asked[format]());
        const tools = list(json["tools"] ?? own(json["toolConfig"])["tools"]);
        const { max_uses: _one, ...sole } = own(tools[0]);
        assert.deepEqual([tools.length, sole, lost], [1, tool, []]);
        const beta = type === "VertexAI" && upstream.startsWith("claude") ? "web-search-2025-03-05" : undefined;
        assert.equal(call.headers?.["anthropic-beta"], beta);
      });
    for (const [title, [type, upstream]] of Object.entries(others))
      it(`is left out and named for ${title} from ${format}`, () => {
        const { json, lost } = sent(type, upstream, format, asked[format]());
        assert.deepEqual([json["tools"], json["web_search_options"], lost], [undefined, undefined, [names[format]]]);
      });
  }

  it("reaches OpenAI's models that search in chats", () => {
    const body = asked["anthropic.messages"]({ user_location: approximate });
    const { json, lost } = sent("OpenAI", "gpt-5-search-api", "anthropic.messages", body);
    const expected = { user_location: { type: "approximate", approximate: place } };
    assert.deepEqual([json["web_search_options"], lost], [expected, []]);
  });

  it("brings its details along, and names those that a provider lacks", () => {
    const details = {
      user_location: approximate,
      filters: { allowed_domains: ["a.test"] },
      search_context_size: "low",
    };
    const body = { ...asked["openai.responses"](details), max_tool_calls: 3 };
    const claude = sent("Anthropic", "claude-sonnet-4-5", "openai.responses", body);
    assert.deepEqual(list(claude.json["tools"]), [
      { ...own(searchers["Anthropic"]?.[2]), max_uses: 3, allowed_domains: ["a.test"], user_location: approximate },
    ]);
    assert.deepEqual(claude.lost, ["tools.web_search.search_context_size"]);
    const google = sent("Gemini", "gemini-3-pro", "anthropic.messages", asked["anthropic.messages"]({ max_uses: 8 }));
    assert.deepEqual(google.lost, ["tools.web_search_20250305.max_uses"]);
  });

  const refused: Record<string, readonly [type: string, upstream: string, format: Format, body: Json]> = {
    "allowed domains at Google": [
      "Gemini",
      "gemini-3-pro",
      "anthropic.messages",
      asked["anthropic.messages"]({ allowed_domains: ["a.test"] }),
    ],
    "blocked domains at the Gemini API": [
      "Gemini",
      "gemini-3-pro",
      "anthropic.messages",
      asked["anthropic.messages"]({ blocked_domains: ["a.test"] }),
    ],
    "functions at Google": ["Gemini", "gemini-2.5-pro", "openai.chat", { ...asked["openai.chat"](), tools: [lookUp] }],
    "an answer in JSON before Gemini 3": [
      "Gemini",
      "gemini-2.5-pro",
      "openai.chat",
      { ...asked["openai.chat"](), response_format: { type: "json_object" } },
    ],
    "a function of the tool's name": [
      "Anthropic",
      "claude-opus-4-1",
      "openai.chat",
      { ...asked["openai.chat"](), tools: [{ type: "function", function: { name: "web_search" } }] },
    ],
  };
  for (const [title, [type, upstream, format, body]] of Object.entries(refused))
    it(`is left out rather than widened: ${title}`, () => {
      const { json, lost } = sent(type, upstream, format, body);
      assert.equal(JSON.stringify(json).includes("ogleSearch") || JSON.stringify(json).includes("20250305"), false);
      assert.deepEqual(lost, [names[format]]);
    });

  it("leaves domains out at Vertex AI", () => {
    const body = asked["anthropic.messages"]({ blocked_domains: ["a.test"] });
    const { json } = sent("VertexAI", "gemini-3-pro", "anthropic.messages", body);
    assert.deepEqual(list(json["tools"]), [{ googleSearch: { excludeDomains: ["a.test"] } }]);
  });

  it("is left out where only OpenAI's own index may be searched", () => {
    const body = asked["openai.responses"]({ external_web_access: false });
    assert.deepEqual(sent("Anthropic", "claude-sonnet-4-5", "openai.responses", body).lost, ["tools.web_search"]);
  });

  for (const [format, choice] of [
    ["anthropic.messages", { type: "tool", name: "web_search" }],
    ["anthropic.messages", { type: "any" }],
    ["openai.responses", { type: "web_search" }],
    ["openai.responses", "required"],
  ] as const)
    it(`may be forced, as Claude Code does: ${JSON.stringify(choice)}`, () => {
      const body = { ...asked[format](), tool_choice: choice };
      for (const [type, upstream] of [...Object.values(searchers), ...Object.values(others)])
        assert.equal(JSON.stringify(sent(type, upstream, format, body).json).match(/tool_?choice/i), null);
    });
});

const url = "https://example.com/a";
const page = { type: "web_search_result", url, title: "A", encrypted_content: "x", page_age: null };
const claudeBlocks: Json[] = [
  { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "bern" } },
  { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [page] },
  { type: "text", text: "It rains." },
];
const claudeUsage = { input_tokens: 9, output_tokens: 3, server_tool_use: { web_search_requests: 1 } };

const claudeWhole: Json = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  content: claudeBlocks,
  stop_reason: "end_turn",
  usage: claudeUsage,
};
const claudeStream: Json[] = [
  { type: "message_start", message: { id: "msg_1", usage: { input_tokens: 9, output_tokens: 0 } } },
  { type: "content_block_start", index: 0, content_block: { ...claudeBlocks[0], input: {} } },
  { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: '{"query":' } },
  { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: '"bern"}' } },
  { type: "content_block_stop", index: 0 },
  { type: "content_block_start", index: 1, content_block: claudeBlocks[1] },
  { type: "content_block_stop", index: 1 },
  { type: "content_block_start", index: 2, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 2, delta: { type: "text_delta", text: "It rains." } },
  { type: "content_block_stop", index: 2 },
  { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: claudeUsage },
  { type: "message_stop" },
];
const geminiAnswer = (text: string, more: Json): Json => ({
  responseId: "r1",
  modelVersion: "gemini-3-pro",
  candidates: [{ content: { role: "model", parts: [{ text }] }, ...more }],
  usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 3, totalTokenCount: 12 },
});
const geminiEnd = {
  finishReason: "STOP",
  groundingMetadata: { webSearchQueries: ["bern"], groundingChunks: [{ web: { uri: url, title: "A" } }] },
};

const answers: Record<string, { target: readonly [string, string]; whole: Json; stream: Json[] }> = {
  Claude: { target: ["Anthropic", "claude-sonnet-4-5"], whole: claudeWhole, stream: claudeStream },
  Gemini: {
    target: ["Gemini", "gemini-3-pro"],
    whole: geminiAnswer("It rains.", geminiEnd),
    stream: [geminiAnswer("It ", {}), geminiAnswer("rains.", geminiEnd), geminiAnswer("", geminiEnd)],
  },
};

const searchCall = {
  type: "web_search_call",
  status: "completed",
  action: { type: "search", query: "bern", sources: [{ type: "url", url }] },
};
const withoutId = ({ id: _id, ...rest }: Json): Json => rest;

function wholeAnswer(target: readonly [string, string], format: Format, reply: Json): Json {
  const call = callOf(target[0], target[1], format, asked[format]());
  const decoded = call.decodeReply(reply, {});
  assert.ok("choices" in decoded, JSON.stringify(decoded));
  return JSON.parse(JSON.stringify(dialects[format]?.encodeReply(decoded, contextOf()))) as Json;
}

function streamed(target: readonly [string, string], format: Format, frames: readonly Json[]): Json[] {
  const decoder = callOf(target[0], target[1], format, asked[format](), true).decoder();
  const bytes = Buffer.from(frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join(""));
  const encoder = dialects[format]?.encoder(contextOf());
  const text = [...decoder.push(bytes), ...decoder.end()].map((event) => encoder?.encode(event) ?? "").join("");
  return text.split("\n").flatMap((line) => (line.startsWith("data: {") ? [JSON.parse(line.slice(6)) as Json] : []));
}

describe("a search that was made", () => {
  for (const [title, { target, whole, stream }] of Object.entries(answers)) {
    it(`by ${title} is an item of Responses, whole and streamed`, () => {
      const body = wholeAnswer(target, "openai.responses", whole);
      assert.deepEqual(
        list(body["output"])
          .filter((item) => item["type"] === "web_search_call")
          .map(withoutId),
        [searchCall],
      );
      const events = streamed(target, "openai.responses", stream);
      const output = list(own(events.at(-1)?.["response"])["output"]);
      assert.deepEqual(output.filter((item) => item["type"] === "web_search_call").map(withoutId), [searchCall]);
      const types = events.map((event) => String(event["type"])).filter((type) => type.includes("web_search"));
      assert.deepEqual(types, [
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
      ]);
      const added = events.filter((event) => event["type"] === "response.output_item.added");
      assert.deepEqual(
        added.map((event) => event["output_index"]),
        [0, 1],
      );
    });

    it(`by ${title} is two blocks of Messages, whole and streamed`, () => {
      const body = wholeAnswer(target, "anthropic.messages", whole);
      const [call, found] = list(body["content"]);
      assert.deepEqual(
        [call?.["type"], call?.["input"], call?.["id"]],
        ["server_tool_use", { query: "bern" }, found?.["tool_use_id"]],
      );
      assert.deepEqual(
        list(found?.["content"]).map(({ url: at }) => at),
        [url],
      );
      assert.deepEqual(own(body["usage"])["server_tool_use"], { web_search_requests: 1 });
      const events = streamed(target, "anthropic.messages", stream);
      const begun = events
        .filter((event) => event["type"] === "content_block_start")
        .map((event) => own(event["content_block"]));
      assert.deepEqual(
        begun.filter(({ type }) => type !== "text").map(({ type }) => type),
        ["server_tool_use", "web_search_tool_result"],
      );
      const input = events.map((event) => own(event["delta"])["partial_json"] ?? "").join("");
      assert.deepEqual(JSON.parse(input), { query: "bern" });
      assert.equal(
        begun.find(({ type }) => type === "server_tool_use")?.["id"],
        begun.find(({ type }) => type === "web_search_tool_result")?.["tool_use_id"],
      );
      assert.deepEqual(own(events.at(-2)?.["usage"])["server_tool_use"], { web_search_requests: 1 });
    });

    it(`by ${title} is nothing but text and citations in a chat`, () => {
      const message = own(list(wholeAnswer(target, "openai.chat", whole)["choices"])[0]?.["message"]);
      assert.deepEqual(message, { role: "assistant", content: "It rains.", refusal: null });
    });
  }

  it("comes back without harm, to any provider", () => {
    const content = list(
      wholeAnswer(["Gemini", "gemini-3-pro"], "anthropic.messages", answers["Gemini"]?.whole ?? {})["content"],
    );
    const messages = [...turn, { role: "assistant", content }, { role: "user", content: "And now?" }];
    const edits = (providers.Anthropic as Provider).passthroughEdits?.(
      "anthropic.messages",
      accountOf({}),
      modelOf({}),
      { messages },
    );
    assert.deepEqual(list(list(own({ ...edits })["messages"])[1]?.["content"]), [{ type: "text", text: "It rains." }]);
    const { lost } = sent("Mistral", "mistral-large-latest", "anthropic.messages", { messages, max_tokens: 9 });
    assert.deepEqual(lost, []);
    const output = list(
      wholeAnswer(["Gemini", "gemini-3-pro"], "openai.responses", answers["Gemini"]?.whole ?? {})["output"],
    );
    const input = [...output, { role: "user", content: "And now?" }];
    const mended = (providers.OpenAI as Provider).passthroughEdits?.("openai.responses", accountOf({}), modelOf({}), {
      input,
    });
    assert.equal(JSON.stringify(mended).includes("web_search_call"), false);
    assert.deepEqual(sent("Mistral", "mistral-large-latest", "openai.responses", { input }).lost, []);
  });

  it("by Nova is neither a call nor reasoning", () => {
    const body = {
      output: {
        message: {
          role: "assistant",
          content: [
            { reasoningContent: { reasoningText: { text: "[REDACTED]" } } },
            { toolUse: { toolUseId: "t1", name: "nova_grounding", type: "server_tool_use", input: { query: "bern" } } },
            { toolResult: { toolUseId: "t1", content: [], status: "success", type: "nova_grounding_result" } },
            { text: "It rains." },
          ],
        },
      },
      stopReason: "end_turn",
      usage: { inputTokens: 9, outputTokens: 3, totalTokens: 12 },
    };
    const target = ["Bedrock", "us.amazon.nova-2-lite-v1:0"] as const;
    const content = list(wholeAnswer(target, "anthropic.messages", body)["content"]);
    assert.deepEqual(
      content.map(({ type, input }) => input ?? type),
      [{ query: "bern" }, "web_search_tool_result", "text"],
    );
    const frames: [string, Json][] = [
      ["messageStart", { role: "assistant" }],
      [
        "contentBlockStart",
        {
          contentBlockIndex: 0,
          start: { toolUse: { toolUseId: "t1", name: "nova_grounding", type: "server_tool_use" } },
        },
      ],
      ["contentBlockDelta", { contentBlockIndex: 0, delta: { toolUse: { input: '{"query":"bern"}' } } }],
      ["contentBlockStop", { contentBlockIndex: 0 }],
      ["contentBlockDelta", { contentBlockIndex: 1, delta: { text: "It rains." } }],
      ["contentBlockStop", { contentBlockIndex: 1 }],
      ["messageStop", { stopReason: "end_turn" }],
      ["metadata", { usage: body.usage }],
    ];
    const decoder = callOf(target[0], target[1], "openai.chat", asked["openai.chat"](), true).decoder();
    const events = decoder.push(Buffer.concat(frames.map(([name, value]) => frame(name, value))));
    const usage = events.find((event) => event.kind === "usage");
    assert.equal(usage?.kind === "usage" ? usage.usage.units?.webSearch : null, 1);
    assert.equal(JSON.stringify(events).includes("tool_calls"), false);
    assert.equal(events.at(-1)?.kind, "end");
  });

  it("is charged by query from Gemini 3 on, and by prompt before", () => {
    const body = geminiAnswer("x", { ...geminiEnd, groundingMetadata: { webSearchQueries: ["a", "b"] } });
    for (const [modelVersion, searches] of [
      ["gemini-3-pro", 2],
      ["gemini-2.5-pro", 1],
    ] as const) {
      const call = callOf("Gemini", modelVersion, "openai.chat", asked["openai.chat"]());
      const reply = call.decodeReply({ ...body, modelVersion }, {});
      assert.equal("usage" in reply ? reply.usage?.units?.webSearch : null, searches);
    }
  });
});
