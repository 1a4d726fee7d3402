/**
 * Nothing that a client's API documents is lost silently: each parameter changes what the provider gets, is named
 * as left out, or is refused.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Json } from "../../harness/strict/json.ts";
import type { Format } from "./documented.ts";
import { sent, targets } from "./translated.ts";

const image = "data:image/png;base64,iVBORw0KGgo=";
const pdf = "data:application/pdf;base64,JVBERi0=";
const schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const fn = { name: "weather", description: "Weather.", parameters: schema };
const chatTools = [{ type: "function", function: fn }];
const claudeTools = [{ name: "weather", description: "Weather.", input_schema: schema }];
const ownTools = [{ type: "function", ...fn }];
const user = (content: unknown): Json => ({ role: "user", content });
const call = { id: "call_12345", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } };

interface Case {
  /** Without what is under test. */
  base: Json;
  /** What is put in its place. */
  with: Json;
}

/** A parameter that is added to a plain request. */
const added = (plain: Json, more: Json): Case => ({ base: plain, with: { ...plain, ...more } });
const chat: Json = { messages: [user("Hi")] };
const withTools: Json = { ...chat, tools: chatTools };
const claude: Json = { messages: [user("Hi")], max_tokens: 9_000 };
const response: Json = { input: "Hi" };
const answered = (message: Json, result: unknown): Json => ({
  messages: [
    user("Hi"),
    { role: "assistant", content: null, tool_calls: [call], ...message },
    { role: "tool", tool_call_id: call.id, content: result },
  ],
  tools: chatTools,
});
const claudeAnswered = (result: Json): Json => ({
  ...claude,
  tools: claudeTools,
  messages: [
    user("Hi"),
    { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Bern" } }] },
    user([{ type: "tool_result", tool_use_id: "toolu_1", content: "wet", ...result }]),
  ],
});

const cases: Record<Format, Record<string, Case>> = {
  "openai.chat": {
    max_tokens: added(chat, { max_tokens: 77 }),
    max_completion_tokens: added(chat, { max_completion_tokens: 77 }),
    temperature: added(chat, { temperature: 0.3 }),
    top_p: added(chat, { top_p: 0.3 }),
    n: added(chat, { n: 2 }),
    stop: added(chat, { stop: "END" }),
    "several stops": added(chat, { stop: ["END", "FIN"] }),
    seed: added(chat, { seed: 7 }),
    presence_penalty: added(chat, { presence_penalty: 0.5 }),
    frequency_penalty: added(chat, { frequency_penalty: 0.5 }),
    logit_bias: added(chat, { logit_bias: { 50256: -100 } }),
    logprobs: added(chat, { logprobs: true }),
    top_logprobs: { base: { ...chat, logprobs: true }, with: { ...chat, logprobs: true, top_logprobs: 3 } },
    tools: added(chat, { tools: chatTools }),
    "a strict tool": added(withTools, { tools: [{ type: "function", function: { ...fn, strict: true } }] }),
    "a description of a tool": {
      base: { ...chat, tools: [{ type: "function", function: { name: "weather", parameters: schema } }] },
      with: withTools,
    },
    "tool_choice none": added(withTools, { tool_choice: "none" }),
    "tool_choice required": added(withTools, { tool_choice: "required" }),
    "tool_choice of a function": added(withTools, { tool_choice: { type: "function", function: { name: "weather" } } }),
    response_format: added(chat, { response_format: { type: "json_object" } }),
    "a schema": added(chat, {
      response_format: { type: "json_schema", json_schema: { name: "city", schema, strict: true } },
    }),
    reasoning_effort: added(chat, { reasoning_effort: "high" }),
    verbosity: added(chat, { verbosity: "low" }),
    user: added(chat, { user: "ann" }),
    safety_identifier: added(chat, { safety_identifier: "ann" }),
    metadata: added(chat, { metadata: { team: "a" } }),
    store: added(chat, { store: true }),
    service_tier: added(chat, { service_tier: "flex" }),
    prediction: added(chat, { prediction: { type: "content", content: "x" } }),
    prompt_cache_key: added(chat, { prompt_cache_key: "k" }),
    audio: added(chat, { audio: { voice: "ash", format: "wav" }, modalities: ["text", "audio"] }),
    web_search_options: added(chat, { web_search_options: { search_context_size: "low" } }),
    "an image": {
      base: { messages: [user([{ type: "text", text: "a" }])] },
      with: {
        messages: [
          user([
            { type: "text", text: "a" },
            { type: "image_url", image_url: { url: image } },
          ]),
        ],
      },
    },
    "the detail of an image": {
      base: { messages: [user([{ type: "image_url", image_url: { url: image } }])] },
      with: { messages: [user([{ type: "image_url", image_url: { url: image, detail: "low" } }])] },
    },
    "a file": {
      base: { messages: [user([{ type: "text", text: "a" }])] },
      with: {
        messages: [
          user([
            { type: "text", text: "a" },
            { type: "file", file: { file_data: pdf, filename: "a.pdf" } },
          ]),
        ],
      },
    },
    "the name of a file": {
      base: { messages: [user([{ type: "file", file: { file_data: pdf } }])] },
      with: { messages: [user([{ type: "file", file: { file_data: pdf, filename: "report.pdf" } }])] },
    },
    "a recording": {
      base: { messages: [user([{ type: "text", text: "a" }])] },
      with: {
        messages: [
          user([
            { type: "text", text: "a" },
            { type: "input_audio", input_audio: { data: "AA==", format: "wav" } },
          ]),
        ],
      },
    },
    "several texts": {
      base: { messages: [user([{ type: "text", text: "a" }])] },
      with: {
        messages: [
          user([
            { type: "text", text: "a" },
            { type: "text", text: "b" },
          ]),
        ],
      },
    },
    "the name of a user": { base: chat, with: { messages: [{ ...user("Hi"), name: "ann" }] } },
    "the name of a system message": {
      base: { messages: [{ role: "system", content: "s" }, user("Hi")] },
      with: { messages: [{ role: "system", content: "s", name: "rules" }, user("Hi")] },
    },
    "the name of an assistant": {
      base: { messages: [user("Hi"), { role: "assistant", content: "b" }, user("c")] },
      with: { messages: [user("Hi"), { role: "assistant", content: "b", name: "bob" }, user("c")] },
    },
    "a developer's message": { base: chat, with: { messages: [{ role: "developer", content: "d" }, user("Hi")] } },
    "a refusal": {
      base: { messages: [user("Hi"), user("c")] },
      with: { messages: [user("Hi"), { role: "assistant", content: null, refusal: "no" }, user("c")] },
    },
    "a refusal's part": {
      base: { messages: [user("Hi"), user("c")] },
      with: { messages: [user("Hi"), { role: "assistant", content: [{ type: "refusal", refusal: "no" }] }, user("c")] },
    },
    "text next to calls": { base: answered({}, "wet"), with: answered({ content: "Let me see." }, "wet") },
    "a result in parts": {
      base: answered({}, "wet"),
      with: answered({}, [
        { type: "text", text: "wet" },
        { type: "text", text: "cold" },
      ]),
    },
    "cache_control of a part": {
      base: { messages: [user([{ type: "text", text: "a" }])] },
      with: { messages: [user([{ type: "text", text: "a", cache_control: { type: "ephemeral" } }])] },
    },
    "an unknown parameter": added(chat, { top_a: 0.3 }),
  },
  "anthropic.messages": {
    max_tokens: added(claude, { max_tokens: 77 }),
    temperature: added(claude, { temperature: 0.3 }),
    top_p: added(claude, { top_p: 0.3 }),
    top_k: added(claude, { top_k: 3 }),
    stop_sequences: added(claude, { stop_sequences: ["END"] }),
    system: added(claude, { system: "s" }),
    "a system in blocks": added(claude, {
      system: [
        { type: "text", text: "s" },
        { type: "text", text: "t" },
      ],
    }),
    "cache_control of the system": added(
      { ...claude, system: [{ type: "text", text: "s" }] },
      { system: [{ type: "text", text: "s", cache_control: { type: "ephemeral", ttl: "1h" } }] },
    ),
    "cache_control of a tool": added(
      { ...claude, tools: claudeTools },
      { tools: [{ ...claudeTools[0], cache_control: { type: "ephemeral" } }] },
    ),
    "cache_control of a result": {
      base: claudeAnswered({}),
      with: claudeAnswered({ cache_control: { type: "ephemeral" } }),
    },
    metadata: added(claude, { metadata: { user_id: "ann" } }),
    service_tier: added(claude, { service_tier: "standard_only" }),
    tools: added(claude, { tools: claudeTools }),
    "a strict tool": added({ ...claude, tools: claudeTools }, { tools: [{ ...claudeTools[0], strict: true }] }),
    "input_examples of a tool": added(
      { ...claude, tools: claudeTools },
      { tools: [{ ...claudeTools[0], input_examples: [{ city: "Bern" }] }] },
    ),
    "defer_loading of a tool": added(
      { ...claude, tools: claudeTools },
      { tools: [{ ...claudeTools[0], defer_loading: true }] },
    ),
    "tool_choice any": added({ ...claude, tools: claudeTools }, { tool_choice: { type: "any" } }),
    "tool_choice tool": added({ ...claude, tools: claudeTools }, { tool_choice: { type: "tool", name: "weather" } }),
    "tool_choice none": added({ ...claude, tools: claudeTools }, { tool_choice: { type: "none" } }),
    thinking: added(claude, { thinking: { type: "enabled", budget_tokens: 3_000 } }),
    "adaptive thinking": added(claude, { thinking: { type: "adaptive" } }),
    effort: added(claude, { output_config: { effort: "low" } }),
    "output_config.format": added(claude, { output_config: { format: { type: "json_schema", schema } } }),
    container: added(claude, { container: "c" }),
    context_management: added(claude, { context_management: { edits: [{ type: "clear_tool_uses_20250919" }] } }),
    mcp_servers: added(claude, { mcp_servers: [{ type: "url", url: "https://x.test", name: "x" }] }),
    inference_geo: added(claude, { inference_geo: "us" }),
    speed: added(claude, { speed: "fast" }),
    "a hosted tool": added(claude, { tools: [{ type: "code_execution_20250825", name: "code_execution" }] }),
    "web search": added(claude, { tools: [{ type: "web_search_20250305", name: "web_search" }] }),
    "an image": {
      base: { ...claude, messages: [user([{ type: "text", text: "a" }])] },
      with: {
        ...claude,
        messages: [
          user([
            { type: "text", text: "a" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
          ]),
        ],
      },
    },
    "an image at an address": {
      base: { ...claude, messages: [user([{ type: "text", text: "a" }])] },
      with: {
        ...claude,
        messages: [
          user([
            { type: "text", text: "a" },
            { type: "image", source: { type: "url", url: "https://x.test/a.png" } },
          ]),
        ],
      },
    },
    "a document": {
      base: { ...claude, messages: [user([{ type: "text", text: "a" }])] },
      with: {
        ...claude,
        messages: [
          user([
            { type: "text", text: "a" },
            { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } },
          ]),
        ],
      },
    },
    "the context of a document": {
      base: {
        ...claude,
        messages: [
          user([{ type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } }]),
        ],
      },
      with: {
        ...claude,
        messages: [
          user([
            {
              type: "document",
              context: "from 1990",
              source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" },
            },
          ]),
        ],
      },
    },
    "citations of a document": {
      base: {
        ...claude,
        messages: [
          user([{ type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } }]),
        ],
      },
      with: {
        ...claude,
        messages: [
          user([
            {
              type: "document",
              citations: { enabled: true },
              source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" },
            },
          ]),
        ],
      },
    },
    "a search result": {
      base: { ...claude, messages: [user([{ type: "text", text: "a" }])] },
      with: {
        ...claude,
        messages: [
          user([
            { type: "text", text: "a" },
            { type: "search_result", source: "https://x.test", title: "T", content: [{ type: "text", text: "found" }] },
          ]),
        ],
      },
    },
    "a failed tool": {
      base: claudeAnswered({ content: "boom" }),
      with: claudeAnswered({ content: "boom", is_error: true }),
    },
    "an image in a result": {
      base: claudeAnswered({}),
      with: claudeAnswered({
        content: [
          { type: "text", text: "wet" },
          { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
        ],
      }),
    },
    "a document in a result": {
      base: claudeAnswered({}),
      with: claudeAnswered({
        content: [
          { type: "text", text: "wet" },
          { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } },
        ],
      }),
    },
    "a prefill": { base: claude, with: { ...claude, messages: [user("Hi"), { role: "assistant", content: "The" }] } },
    "a system message in mid-conversation": {
      base: claude,
      with: { ...claude, messages: [user("Hi"), { role: "system", content: "now" }] },
    },
    "an unknown parameter": added(claude, { top_a: 0.3 }),
  },
  "openai.responses": {
    instructions: added(response, { instructions: "s" }),
    max_output_tokens: added(response, { max_output_tokens: 77 }),
    temperature: added(response, { temperature: 0.3 }),
    top_p: added(response, { top_p: 0.3 }),
    top_logprobs: added(response, { top_logprobs: 3 }),
    tools: added(response, { tools: ownTools }),
    "a strict tool": added({ ...response, tools: ownTools }, { tools: [{ ...ownTools[0], strict: true }] }),
    "tool_choice required": added({ ...response, tools: ownTools }, { tool_choice: "required" }),
    "tool_choice none": added({ ...response, tools: ownTools }, { tool_choice: "none" }),
    "a format": added(response, { text: { format: { type: "json_schema", name: "city", schema, strict: true } } }),
    verbosity: added(response, { text: { verbosity: "low" } }),
    effort: added(response, { reasoning: { effort: "high" } }),
    user: added(response, { user: "ann" }),
    safety_identifier: added(response, { safety_identifier: "ann" }),
    metadata: added(response, { metadata: { team: "a" } }),
    service_tier: added(response, { service_tier: "flex" }),
    prompt_cache_key: added(response, { prompt_cache_key: "k" }),
    store: added(response, { store: true }),
    truncation: added(response, { truncation: "auto" }),
    background: added(response, { background: true }),
    previous_response_id: added(response, { previous_response_id: "resp_1" }),
    conversation: added(response, { conversation: "conv_1" }),
    prompt: added(response, { prompt: { id: "pmpt_1" } }),
    context_management: added(response, { context_management: [{ type: "compaction" }] }),
    "a hosted tool": added(response, { tools: [{ type: "file_search", vector_store_ids: ["vs"] }] }),
    "a tool of MCP": added(response, { tools: [{ type: "mcp", server_label: "x", server_url: "https://x.test" }] }),
    "a developer's message": {
      base: { input: [user("Hi")] },
      with: { input: [{ role: "developer", content: "d" }, user("Hi")] },
    },
    "an image": {
      base: { input: [user([{ type: "input_text", text: "a" }])] },
      with: {
        input: [
          user([
            { type: "input_text", text: "a" },
            { type: "input_image", image_url: image, detail: "auto" },
          ]),
        ],
      },
    },
    "a file": {
      base: { input: [user([{ type: "input_text", text: "a" }])] },
      with: {
        input: [
          user([
            { type: "input_text", text: "a" },
            { type: "input_file", file_data: pdf, filename: "a.pdf" },
          ]),
        ],
      },
    },
    "a refusal": {
      base: { input: [user("Hi"), user("c")] },
      with: {
        input: [
          user("Hi"),
          { type: "message", role: "assistant", content: [{ type: "refusal", refusal: "no" }] },
          user("c"),
        ],
      },
    },
    "an image in a result": {
      base: {
        input: [
          user("Hi"),
          { type: "function_call", call_id: "c1", name: "weather", arguments: "{}" },
          { type: "function_call_output", call_id: "c1", output: "wet" },
        ],
        tools: ownTools,
      },
      with: {
        input: [
          user("Hi"),
          { type: "function_call", call_id: "c1", name: "weather", arguments: "{}" },
          {
            type: "function_call_output",
            call_id: "c1",
            output: [
              { type: "input_text", text: "wet" },
              { type: "input_image", image_url: image },
            ],
          },
        ],
        tools: ownTools,
      },
    },
    "an unknown parameter": added(response, { top_a: 0.3 }),
  },
};

/** What makes no difference to a model, or is what the provider does anyway. */
const harmless: ReadonlySet<string> = new Set([
  // The file itself arrives.
  "openai.chat the name of a file",
]);

/** A chat is in their own format, where a member may have no value. */
const keepsNulls: ReadonlySet<string> = new Set(["OpenAI", "AzureOpenAI", "OpenAICompatible"]);

describe("nothing is lost silently", () => {
  for (const [format, table] of Object.entries(cases) as [Format, Record<string, Case>][])
    for (const [title, { base, with: more }] of Object.entries(table))
      it(`${title}, of ${format}`, () => {
        const silent = targets.filter((target) => {
          const [before, after] = [sent(target, format, base), sent(target, format, more)];
          if (before === null || after === null) return false;
          const named = after.named.length > before.named.length;
          return before.body === after.body && !named && !harmless.has(`${format} ${title}`);
        });
        assert.deepEqual(
          silent.map((target) => target.slice(0, 2).join(" ")),
          [],
        );
      });

  it("nor named where the value asks for nothing", () => {
    const idle = {
      ...{ n: 1, logprobs: false, top_logprobs: 0, logit_bias: {}, presence_penalty: 0, frequency_penalty: 0 },
      ...{ metadata: {}, service_tier: "auto", store: false, modalities: ["text"], stream_options: null },
    };
    for (const target of targets)
      for (const [name, value] of Object.entries(idle))
        assert.deepEqual(sent(target, "openai.chat", { ...chat, [name]: value })?.named, [], `${target[0]} ${name}`);
  });

  it("nor refused where the members have no value", () => {
    const problems: string[] = [];
    for (const [format, table] of Object.entries(cases) as [Format, Record<string, Case>][])
      for (const [title, { base, with: more }] of Object.entries(table)) {
        const names = Object.keys(more).filter((name) => !(name in base));
        const nulls = { ...base, ...Object.fromEntries(names.map((name) => [name, null])) };
        for (const target of targets) {
          if (format === "openai.chat" && keepsNulls.has(target[0])) continue;
          const [before, after] = [sent(target, format, base), sent(target, format, nulls)];
          if (before === null) continue;
          if (after === null || after.body !== before.body || after.named.length > before.named.length)
            problems.push(`${format} ${title} ${target.join(" ")}`);
        }
      }
    assert.deepEqual(problems, []);
  });
});
