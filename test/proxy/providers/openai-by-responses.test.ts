/** Chats that OpenAI takes only as Responses: models without chat completions, reasoning with tools, web search, files. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { ChatCall, Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { answerOf } from "../../harness/strict/answers.ts";
import { type Json, list, own } from "../../harness/strict/json.ts";
import { complaintsOf, isResponsesPath } from "../../harness/strict/provider.ts";
import { json, startUpstream, type Upstream } from "../../harness/upstream.ts";
import { contextOf } from "../dialects/sdk.ts";
import { at, type Format } from "./documented.ts";
import { accountOf, modelOf } from "./drive.ts";

const turn = [{ role: "user", content: "Hi" }];
const schema = { type: "object", properties: { city: { type: "string" } } };
const chatTool = { type: "function", function: { name: "weather", parameters: schema } };
const claudeTool = { name: "weather", input_schema: schema };
const chat = (more: Json = {}): Json => ({ messages: turn, ...more });
const messages = (more: Json = {}): Json => ({ messages: turn, max_tokens: 900, ...more });

interface Target {
  type: "OpenAI" | "AzureOpenAI" | "AzureAIFoundry";
  upstream: string;
  options?: Record<string, string>;
}

function callOf({ type, upstream, options = {} }: Target, format: Format, body: Json, stream = false): ChatCall {
  const request = dialects[format]?.decode({ model: "m", ...body });
  assert.ok(request !== undefined && !isRefusal(request), JSON.stringify(request));
  const target = { account: accountOf({ options }), model: modelOf({ upstream }) };
  const call = translatedChat(providers[type] as Provider, request, target, { stream, deadlineMs: 1, seed: "s" });
  assert.ok(call !== null && !isRefusal(call), JSON.stringify(call));
  return call;
}

const openAi = (upstream: string): Target => ({ type: "OpenAI", upstream });
const sentBy = (target: Target, format: Format, body: Json): Json =>
  JSON.parse(callOf(target, format, body).body) as Json;

describe("the API that a chat is sent to", () => {
  const search = { type: "web_search_20250305", name: "web_search" };
  const rows: [title: string, upstream: string, body: Json, responses: boolean][] = [
    ["a model that has only Responses", "gpt-5-codex", messages(), true],
    ["another", "o3-pro", messages(), true],
    ["functions with reasoning", "gpt-5.6", messages({ tools: [claudeTool] }), true],
    ["functions with an effort", "gpt-5.4", messages({ tools: [claudeTool], output_config: { effort: "high" } }), true],
    [
      "functions without reasoning",
      "gpt-5.6",
      messages({ tools: [claudeTool], thinking: { type: "disabled" } }),
      false,
    ],
    ["no functions", "gpt-5.6", messages(), false],
    ["an older model", "gpt-5", messages({ tools: [claudeTool] }), false],
    ["a model for chats", "gpt-5.6-chat-latest", messages({ tools: [claudeTool] }), false],
    ["web search", "gpt-4o", messages({ tools: [search] }), true],
    ["web search with functions", "gpt-4.1", messages({ tools: [search, claudeTool] }), true],
    [
      "web search without a list that the API lacks",
      "gpt-4o",
      messages({ tools: [{ ...search, blocked_domains: ["a.test"] }] }),
      false,
    ],
    [
      "a file at an address",
      "gpt-4o",
      messages({
        messages: [
          { role: "user", content: [{ type: "document", source: { type: "url", url: "https://x.test/a.pdf" } }] },
        ],
      }),
      true,
    ],
  ];
  for (const [title, upstream, body, responses] of rows)
    it(`is ${responses ? "Responses" : "chat completions"}: ${title}`, () => {
      const { path } = callOf(openAi(upstream), "anthropic.messages", body);
      assert.equal(isResponsesPath(path), responses, path);
    });

  it("is the same at Azure, where it has Responses", () => {
    const body = messages({ tools: [claudeTool] });
    const paths = [
      callOf({ type: "AzureOpenAI", upstream: "gpt-5.6" }, "anthropic.messages", body).path,
      callOf(
        { type: "AzureOpenAI", upstream: "gpt-5.6", options: { surface: "Deployments", apiVersion: "2024-10-21" } },
        "anthropic.messages",
        body,
      ).path,
      callOf({ type: "AzureAIFoundry", upstream: "gpt-5.6" }, "anthropic.messages", body).path,
    ];
    assert.deepEqual(paths.map(isResponsesPath), [true, false, true]);
  });
});

describe("a chat as a Response", () => {
  const model = openAi("gpt-5-pro");
  const image = "data:image/png;base64,AA==";
  const rows: Record<string, { format: Format; body: Json; expected: Json; dropped?: string[] }> = {
    "the plain parameters": {
      format: "openai.chat",
      body: chat({
        max_completion_tokens: 900,
        metadata: { a: "b" },
        user: "u",
        service_tier: "flex",
        prompt_cache_key: "k",
        verbosity: "low",
      }),
      expected: {
        max_output_tokens: 900,
        "metadata.a": "b",
        user: "u",
        service_tier: "flex",
        prompt_cache_key: "k",
        "text.verbosity": "low",
        store: false,
      },
    },
    "a small limit": {
      format: "openai.chat",
      body: chat({ max_tokens: 1 }),
      expected: { max_output_tokens: 16, max_tokens: undefined },
    },
    "an effort": {
      format: "openai.chat",
      body: chat({ reasoning_effort: "low" }),
      expected: { "reasoning.effort": "high", "include.0": "reasoning.encrypted_content" },
    },
    "what only chats have": {
      format: "openai.chat",
      body: chat({ seed: 1, presence_penalty: 1, logit_bias: { 1: 1 }, store: true, n: 1 }),
      expected: { seed: undefined, store: false, n: undefined },
      dropped: ["seed", "presence_penalty", "logit_bias", "store"],
    },
    "a schema": {
      format: "openai.chat",
      body: chat({ response_format: { type: "json_schema", json_schema: { name: "x", schema, strict: true } } }),
      expected: { "text.format": { type: "json_schema", name: "x", schema, strict: true } },
    },
    "tools and a choice": {
      format: "openai.chat",
      body: chat({
        tools: [chatTool],
        tool_choice: { type: "function", function: { name: "weather" } },
        parallel_tool_calls: false,
      }),
      expected: {
        "tools.0": { type: "function", name: "weather", parameters: schema, strict: false },
        tool_choice: { type: "function", name: "weather" },
        parallel_tool_calls: false,
      },
    },
    "parts of a user": {
      format: "openai.chat",
      body: chat({
        messages: [
          {
            role: "user",
            name: "ann",
            content: [
              { type: "text", text: "a" },
              { type: "image_url", image_url: { url: image, detail: "low" } },
              { type: "file", file: { file_data: "data:application/pdf;base64,AA==", filename: "a.pdf" } },
            ],
          },
        ],
      }),
      expected: {
        "input.0.content": [
          { type: "input_text", text: "a" },
          { type: "input_image", image_url: image, detail: "low" },
          { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,AA==" },
        ],
      },
      dropped: ["messages.name"],
    },
    "an assistant's turn": {
      format: "openai.chat",
      body: chat({
        messages: [
          ...turn,
          {
            role: "assistant",
            content: "b",
            tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: "" } }],
          },
          { role: "tool", tool_call_id: "c1", content: [{ type: "text", text: "r" }] },
          { role: "assistant", content: null, refusal: "no" },
          { role: "developer", content: "d" },
        ],
      }),
      expected: {
        "input.1": { type: "message", role: "assistant", content: [{ type: "output_text", text: "b" }] },
        "input.2": { type: "function_call", call_id: "c1", name: "weather", arguments: "{}" },
        "input.3": { type: "function_call_output", call_id: "c1", output: "r" },
        "input.4": { type: "message", role: "assistant", content: [{ type: "refusal", refusal: "no" }] },
        "input.5": { type: "message", role: "developer", content: [{ type: "input_text", text: "d" }] },
      },
    },
  };
  for (const [title, { format, body, expected, dropped = [] }] of Object.entries(rows))
    it(`takes ${title}`, () => {
      const call = callOf(model, format, body);
      const sent = JSON.parse(call.body) as Json;
      for (const [path, value] of Object.entries(expected)) assert.deepEqual(at(sent, path), value, path);
      assert.deepEqual(call.dropped, dropped);
    });

  it("searches the web with the caller's details", () => {
    const details = { user_location: { type: "approximate", city: "Bern" }, allowed_domains: ["a.test"], max_uses: 2 };
    const body = messages({ tools: [{ type: "web_search_20250305", name: "web_search", ...details }] });
    const sent = sentBy(openAi("gpt-4o"), "anthropic.messages", body);
    assert.deepEqual(list(sent["tools"]), [
      {
        type: "web_search",
        user_location: { type: "approximate", city: "Bern" },
        filters: { allowed_domains: ["a.test"] },
      },
    ]);
    assert.deepEqual([sent["max_tool_calls"], sent["include"]], [2, ["web_search_call.action.sources"]]);
  });
});

const url = "https://example.com/a";
const output: Json[] = [
  { id: "rs_0a", type: "reasoning", summary: [{ type: "summary_text", text: "Hm." }], encrypted_content: "enc-1" },
  {
    id: "ws_0a",
    type: "web_search_call",
    status: "completed",
    action: { type: "search", query: "bern", sources: [{ type: "url", url }] },
  },
  {
    id: "msg_0a",
    type: "message",
    role: "assistant",
    content: [
      {
        type: "output_text",
        text: "It rains.",
        annotations: [{ type: "url_citation", url, title: "A", start_index: 0, end_index: 9 }],
      },
    ],
  },
  { id: "rs_0b", type: "reasoning", summary: [], encrypted_content: "enc-2" },
  { id: "fc_0a", type: "function_call", call_id: "call_1", name: "weather", arguments: '{"city":"Bern"}' },
];
const usage = { input_tokens: 9, output_tokens: 5, total_tokens: 14, output_tokens_details: { reasoning_tokens: 2 } };
const response = (more: Json = {}): Json => ({
  id: "resp_1",
  created_at: 5,
  model: "gpt-5.6",
  status: "completed",
  output,
  usage,
  ...more,
});
const stream: Json[] = [
  { type: "response.created", response: response({ status: "in_progress", output: [] }) },
  { type: "response.output_item.added", output_index: 0, item: { ...output[0], summary: [], encrypted_content: "" } },
  { type: "response.reasoning_summary_part.added", output_index: 0, summary_index: 0 },
  { type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 0, delta: "Hm." },
  { type: "response.output_item.done", output_index: 0, item: output[0] },
  { type: "response.output_item.added", output_index: 1, item: { ...output[1], status: "in_progress" } },
  { type: "response.output_item.done", output_index: 1, item: output[1] },
  { type: "response.output_item.added", output_index: 2, item: { ...output[2], content: [] } },
  { type: "response.content_part.added", output_index: 2, content_index: 0, part: { type: "output_text", text: "" } },
  { type: "response.output_text.delta", output_index: 2, content_index: 0, delta: "It " },
  { type: "response.output_text.delta", output_index: 2, content_index: 0, delta: "rains." },
  {
    type: "response.output_text.annotation.added",
    output_index: 2,
    annotation: { type: "url_citation", url, title: "A", start_index: 0, end_index: 9 },
  },
  { type: "response.output_item.done", output_index: 2, item: output[2] },
  { type: "response.a_new_event", output_index: 3 },
  { type: "response.output_item.done", output_index: 3, item: output[3] },
  { type: "response.output_item.added", output_index: 4, item: { ...output[4], arguments: "" } },
  { type: "response.function_call_arguments.delta", output_index: 4, delta: '{"city":' },
  { type: "response.function_call_arguments.delta", output_index: 4, delta: '"Bern"}' },
  { type: "response.output_item.done", output_index: 4, item: output[4] },
  { type: "response.completed", response: response() },
];

const streamBody = messages({ tools: [claudeTool] });
function streamed(events: readonly Json[], format: Format): Json[] {
  const decoder = callOf(openAi("gpt-5.6"), "anthropic.messages", streamBody, true).decoder();
  const bytes = Buffer.from(
    events.map((event) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`).join(""),
  );
  const encoder = dialects[format]?.encoder(contextOf());
  const text = [...decoder.push(bytes), ...decoder.end()].map((event) => encoder?.encode(event) ?? "").join("");
  return text.split("\n").flatMap((line) => (line.startsWith("data: {") ? [JSON.parse(line.slice(6)) as Json] : []));
}
function whole(body: Json, format: Format): Json {
  const decoded = callOf(openAi("gpt-5.6"), "anthropic.messages", streamBody).decodeReply(body, {});
  assert.ok("choices" in decoded, JSON.stringify(decoded));
  return JSON.parse(JSON.stringify(dialects[format]?.encodeReply(decoded, contextOf()))) as Json;
}

describe("a Response as the answer to a chat", () => {
  const kinds = ["server_tool_use", "web_search_tool_result", "thinking", "text", "thinking", "tool_use"];

  it("is a message of Anthropic's with reasoning in its place", () => {
    const body = whole(response(), "anthropic.messages");
    assert.deepEqual(
      list(body["content"]).map(({ type }) => type),
      kinds,
    );
    const [, , first, text, , call] = list(body["content"]);
    assert.deepEqual(
      [first?.["thinking"], text?.["text"], call?.["input"], call?.["id"]],
      ["Hm.", "It rains.", { city: "Bern" }, "call_1"],
    );
    assert.deepEqual(
      list(text?.["citations"]).map((citation) => citation["url"]),
      [url],
    );
    assert.equal(body["stop_reason"], "tool_use");
  });

  it("is the same streamed, searches where they happened", () => {
    const events = streamed(stream, "anthropic.messages");
    const begun = events
      .filter(({ type }) => type === "content_block_start")
      .map((event) => own(event["content_block"])["type"]);
    assert.deepEqual(begun, ["thinking", "server_tool_use", "web_search_tool_result", "text", "thinking", "tool_use"]);
    const signatures = events
      .map((event) => own(event["delta"])["signature"])
      .filter((signature) => signature !== undefined);
    const expected = list(whole(response(), "anthropic.messages")["content"]).flatMap(
      ({ signature }) => signature ?? [],
    );
    assert.deepEqual(signatures, expected);
    assert.equal(own(events.at(-2)?.["delta"])["stop_reason"], "tool_use");
  });

  it("is a chat completion, whole and streamed", () => {
    const choice = list(whole(response(), "openai.chat")["choices"])[0];
    const message = own(choice?.["message"]);
    assert.deepEqual([message["content"], choice?.["finish_reason"]], ["It rains.", "tool_calls"]);
    const chunks = streamed(stream, "openai.chat").flatMap((chunk) => list(chunk["choices"]));
    const args = chunks
      .flatMap(({ delta }) => list(own(delta)["tool_calls"]))
      .map((call) => own(call["function"])["arguments"] ?? "");
    assert.equal(chunks.map(({ delta }) => own(delta)["content"] ?? "").join(""), "It rains.");
    assert.equal(args.join(""), '{"city":"Bern"}');
    assert.equal(chunks.at(-1)?.["finish_reason"], "tool_calls");
  });

  const ends: [title: string, more: Json, reason: string][] = [
    ["its limit", { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }, "length"],
    ["a filter", { status: "incomplete", incomplete_details: { reason: "content_filter" } }, "content_filter"],
    ["a refusal", { output: [{ type: "message", content: [{ type: "refusal", refusal: "no" }] }] }, "stop"],
  ];
  for (const [title, more, reason] of ends)
    it(`says that it ended with ${title}`, () => {
      const body = response({ output: [output[2]], ...more });
      assert.equal(list(whole(body, "openai.chat")["choices"])[0]?.["finish_reason"], reason);
      const type = more["status"] === undefined ? "response.completed" : "response.incomplete";
      const last = streamed([stream[0] ?? {}, { type, response: body }], "openai.chat").flatMap((chunk) =>
        list(chunk["choices"]),
      );
      assert.equal(last.at(-1)?.["finish_reason"], reason);
    });

  it("is a failure with the provider's own code", () => {
    const error = { code: "rate_limit_exceeded", message: "Slow down." };
    const call = callOf(openAi("gpt-5.6"), "anthropic.messages", streamBody, true);
    const failed = call.decodeReply(response({ status: "failed", error, output: [] }), {});
    assert.equal("class" in failed ? failed.class : null, "RateLimited");
    for (const event of [
      { type: "response.failed", response: response({ status: "failed", error, output: [] }) },
      { type: "error", ...error },
    ]) {
      const events = call.decoder().push(Buffer.from(`data: ${JSON.stringify(event)}\n\n`));
      const last = events.at(-1);
      assert.equal(last?.kind === "error" ? last.error.class : null, "RateLimited");
    }
    const cut = streamed(stream.slice(0, 12), "openai.chat");
    assert.equal(JSON.stringify(cut).includes('finish_reason":"stop'), false);
  });

  it("is read back by the account and model that reasoned, and by nobody else", () => {
    const content = list(whole(response(), "anthropic.messages")["content"]);
    const history = {
      ...streamBody,
      messages: [
        ...turn,
        { role: "assistant", content },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "wet" }] },
      ],
    };
    const items = (upstream: string) =>
      list(sentBy(openAi(upstream), "anthropic.messages", history)["input"]).map(
        (item) => item["encrypted_content"] ?? item["type"],
      );
    assert.deepEqual(items("gpt-5.6"), [
      "message",
      "enc-1",
      "message",
      "enc-2",
      "function_call",
      "function_call_output",
    ]);
    assert.deepEqual(items("gpt-5.5"), ["message", "message", "function_call", "function_call_output"]);
    const edits = (providers.Anthropic as Provider).passthroughEdits?.(
      "anthropic.messages",
      accountOf({}),
      modelOf({}),
      history,
    );
    assert.deepEqual(
      list(list(own({ ...edits })["messages"])[1]?.["content"]).map(({ type }) => type),
      ["text", "tool_use"],
    );
  });
});

describe("a chat completion that OpenAI would refuse", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const clear = "slc_by_responses_0001";

  before(async () => {
    upstream = await startUpstream((request, response) => {
      const complaints = complaintsOf("OpenAI", request);
      if (complaints.length > 0)
        return json(response, 400, { error: { message: complaints.join("; "), type: "invalid_request_error" } });
      const answer = answerOf("OpenAI", { text: "Hi!", calls: [] }, "s", isResponsesPath(request.path));
      return json(response, 200, answer);
    });
    const models = ["gpt-5.6", "gpt-4o"].map((name) => ({ name }));
    gateway = await startGateway([
      secret("openai-credentials", { apiKey: "sk-1" }),
      provider("openai", "", { type: "OpenAI", endpoint: `${upstream.url}/v1`, models }),
      policy("all", { match: { models: ["gpt-*"] }, routing: { targets: [{ provider: { name: "openai" } }] } }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  const rows: [title: string, body: Json, path: string][] = [
    ["functions and reasoning", { model: "gpt-5.6", tools: [chatTool] }, "/v1/responses"],
    ["web search", { model: "gpt-4o", web_search_options: {} }, "/v1/responses"],
    ["nothing special", { model: "gpt-4o", tools: [chatTool] }, "/v1/chat/completions"],
    [
      "functions without reasoning",
      { model: "gpt-5.6", tools: [chatTool], reasoning_effort: "none" },
      "/v1/chat/completions",
    ],
  ];
  for (const [title, body, path] of rows)
    it(`is answered: ${title}`, async () => {
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ messages: turn, ...body }),
      });
      const answer = own(await response.json());
      assert.equal(response.status, 200, JSON.stringify(answer));
      assert.equal(upstream.requests.at(-1)?.path, path);
      assert.equal(own(list(answer["choices"])[0]?.["message"])["content"], "Hi!");
    });
});
