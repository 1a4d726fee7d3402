/** Further members that the clients' APIs document, deep within a request: none is lost silently. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Json } from "../../harness/strict/json.ts";
import type { Format } from "./documented.ts";
import { sent, targets } from "./translated.ts";

interface Case {
  base: Json;
  with: Json;
}

const added = (base: Json, more: Json): Case => ({ base, with: { ...base, ...more } });
const user = (content: unknown): Json => ({ role: "user", content });
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const png = "iVBORw0KGgo=";
const pdf = "JVBERi0=";
const location = { type: "approximate", approximate: { country: "CH" } };

const chat: Json = { messages: [user("Hi")] };
const fn = { name: "weather", description: "Weather.", parameters: schema };
const chatTool = { type: "function", function: fn };
const format = { name: "city", schema, strict: true };
const searching = { ...chat, web_search_options: {} };
const call = { id: "call_12345", type: "function", function: { name: "weather", arguments: "{}" } };
const after = (turn: Json): Json => ({
  messages: [user("Hi"), { role: "assistant", content: "b", ...turn }, user("c")],
});

const response: Json = { input: "Hi" };
const ownTool = { type: "function", ...fn };
const items = (...between: Json[]): Json => ({ input: [user("Hi"), ...between, user("c")] });
const search = { type: "web_search" };

const claude: Json = { messages: [user("Hi")], max_tokens: 9_000 };
const claudeTool = { name: "weather", description: "Weather.", input_schema: schema };
const block = (more: Json): Json => ({ ...claude, messages: [user([{ type: "text", text: "a" }, more])] });
const plain = { ...claude, messages: [user([{ type: "text", text: "a" }])] };
const document = { type: "document", source: { type: "base64", media_type: "application/pdf", data: pdf } };
const said = (...blocks: Json[]): Json => ({
  ...claude,
  messages: [user("Hi"), { role: "assistant", content: [{ type: "text", text: "b" }, ...blocks] }, user("c")],
});
const resulting = (content: unknown, more: Json = {}): Json => ({
  ...claude,
  tools: [claudeTool],
  messages: [
    user("Hi"),
    { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "weather", input: {} }] },
    user([{ type: "tool_result", tool_use_id: "toolu_1", content, ...more }]),
  ],
});
const webSearch = { type: "web_search_20250305", name: "web_search" };

const cases: Record<Format, Record<string, Case>> = {
  "openai.chat": {
    prompt_cache_retention: added(chat, { prompt_cache_retention: "24h" }),
    "description of a schema": added(
      { ...chat, response_format: { type: "json_schema", json_schema: format } },
      { response_format: { type: "json_schema", json_schema: { ...format, description: "A city." } } },
    ),
    "a tool of text": added(chat, { tools: [{ type: "custom", custom: { name: "patch", description: "Patch." } }] }),
    "a grammar of a tool of text": added(
      { ...chat, tools: [{ type: "custom", custom: { name: "patch", description: "Patch." } }] },
      {
        tools: [
          {
            type: "custom",
            custom: {
              name: "patch",
              description: "Patch.",
              format: { type: "grammar", grammar: { syntax: "regex", definition: "a+" } },
            },
          },
        ],
      },
    ),
    allowed_tools: added(
      { ...chat, tools: [chatTool, { type: "function", function: { ...fn, name: "clock" } }] },
      {
        tool_choice: {
          type: "allowed_tools",
          allowed_tools: { mode: "auto", tools: [{ type: "function", function: { name: "clock" } }] },
        },
      },
    ),
    functions: added(chat, { functions: [fn] }),
    "function_call of functions": added({ ...chat, functions: [fn] }, { function_call: { name: "weather" } }),
    "user_location of a search": added(searching, { web_search_options: { user_location: location } }),
    "search_context_size of a search": added(searching, { web_search_options: { search_context_size: "high" } }),
    "an earlier recording": { base: after({}), with: after({ audio: { id: "audio_1" } }) },
    "an earlier refusal": { base: after({ content: null }), with: after({ content: null, refusal: "no" }) },
    "earlier reasoning": { base: after({}), with: after({ reasoning_content: "hm" }) },
    "a file by its id": {
      base: chat,
      with: {
        messages: [
          user([
            { type: "text", text: "Hi" },
            { type: "file", file: { file_id: "file-1" } },
          ]),
        ],
      },
    },
    "a moderation": added(chat, { moderation: { model: "omni-moderation-latest" } }),
    min_p: added(chat, { min_p: 0.1 }),
    repetition_penalty: added(chat, { repetition_penalty: 1.1 }),
    chat_template_kwargs: added(chat, { chat_template_kwargs: { enable_thinking: false } }),
    extra_body: added(chat, { extra_body: { x: 1 } }),
    transforms: added(chat, { transforms: ["middle-out"] }),
    plugins: added(chat, { plugins: [{ id: "web" }] }),
    guided_json: added(chat, { guided_json: schema }),
    logit_bias: added(chat, { logit_bias: { 50256: -100 } }),
    response_schema: added(chat, { response_schema: schema }),
    "an argument of a call": {
      base: {
        messages: [
          user("Hi"),
          { role: "assistant", content: null, tool_calls: [call] },
          { role: "tool", tool_call_id: call.id, content: "wet" },
        ],
        tools: [chatTool],
      },
      with: {
        messages: [
          user("Hi"),
          {
            role: "assistant",
            content: null,
            tool_calls: [{ ...call, function: { name: "weather", arguments: '{"city":"Bern"}' } }],
          },
          { role: "tool", tool_call_id: call.id, content: "wet" },
        ],
        tools: [chatTool],
      },
    },
  },
  "openai.responses": {
    include: added(response, { include: ["message.output_text.logprobs"] }),
    instructions: added(response, { instructions: "Be brief." }),
    max_output_tokens: added(response, { max_output_tokens: 77 }),
    max_tool_calls: added(response, { max_tool_calls: 2 }),
    metadata: added(response, { metadata: { team: "a" } }),
    prompt_cache_retention: added(response, { prompt_cache_retention: "24h" }),
    "summary of reasoning": added(
      { ...response, reasoning: { effort: "low" } },
      { reasoning: { effort: "low", summary: "detailed" } },
    ),
    safety_identifier: added(response, { safety_identifier: "ann" }),
    service_tier: added(response, { service_tier: "flex" }),
    temperature: added(response, { temperature: 0.3 }),
    top_p: added(response, { top_p: 0.3 }),
    top_logprobs: added(response, { top_logprobs: 3 }),
    user: added(response, { user: "ann" }),
    "text.verbosity": added(response, { text: { verbosity: "low" } }),
    "tool_choice required": added({ ...response, tools: [ownTool] }, { tool_choice: "required" }),
    "tool_choice none": added({ ...response, tools: [ownTool] }, { tool_choice: "none" }),
    allowed_tools: added(
      { ...response, tools: [ownTool, { ...ownTool, name: "clock" }] },
      { tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "clock" }] } },
    ),
    "a strict tool": added(
      { ...response, tools: [{ ...ownTool, strict: false }] },
      { tools: [{ ...ownTool, strict: true }] },
    ),
    "defer_loading of a tool": added(
      { ...response, tools: [ownTool] },
      { tools: [{ ...ownTool, defer_loading: true }] },
    ),
    "an unknown member of a tool": added(
      { ...response, tools: [ownTool] },
      { tools: [{ ...ownTool, examples: ["x"] }] },
    ),
    "a hosted shell": added(response, { tools: [{ type: "local_shell" }] }),
    "allowed domains of a search": added(
      { ...response, tools: [search] },
      { tools: [{ ...search, filters: { allowed_domains: ["x.test"] } }] },
    ),
    "user_location of a search": added(
      { ...response, tools: [search] },
      { tools: [{ ...search, user_location: { type: "approximate", country: "CH" } }] },
    ),
    "search_context_size of a search": added(
      { ...response, tools: [search] },
      { tools: [{ ...search, search_context_size: "high" }] },
    ),
    "detail of an image": {
      base: { input: [user([{ type: "input_image", image_url: `data:image/png;base64,${png}` }])] },
      with: { input: [user([{ type: "input_image", image_url: `data:image/png;base64,${png}`, detail: "low" }])] },
    },
    "an image by its id": {
      base: { input: [user([{ type: "input_text", text: "a" }])] },
      with: {
        input: [
          user([
            { type: "input_text", text: "a" },
            { type: "input_image", file_id: "file-1" },
          ]),
        ],
      },
    },
    "a recording": {
      base: { input: [user([{ type: "input_text", text: "a" }])] },
      with: {
        input: [
          user([
            { type: "input_text", text: "a" },
            { type: "input_audio", input_audio: { data: "AA==", format: "wav" } },
          ]),
        ],
      },
    },
    "an unknown member of a part": {
      base: { input: [user([{ type: "input_text", text: "a" }])] },
      with: { input: [user([{ type: "input_text", text: "a", style: "x" }])] },
    },
    "an unknown member of a message": {
      base: { input: [user("a")] },
      with: { input: [{ ...user("a"), mood: "x" }] },
    },
    "earlier reasoning": {
      base: items(),
      with: items({ type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "hm" }] }),
    },
    "an earlier search of files": {
      base: items(),
      with: items({ type: "file_search_call", id: "fs_1", status: "completed", queries: ["q"], results: null }),
    },
    "an earlier call of MCP": {
      base: items(),
      with: items({ type: "mcp_call", id: "mcp_1", name: "x", server_label: "s", arguments: "{}", output: "o" }),
    },
    "an earlier shell call": {
      base: items(),
      with: items({
        type: "local_shell_call",
        id: "ls_1",
        call_id: "c",
        action: { type: "exec", command: ["ls"], env: {} },
        status: "completed",
      }),
    },
  },
  "anthropic.messages": {
    "display of thinking": added(
      { ...claude, thinking: { type: "adaptive" } },
      { thinking: { type: "adaptive", display: "omitted" } },
    ),
    "no thinking": added(claude, { thinking: { type: "disabled" } }),
    "an unknown member of thinking": added(
      { ...claude, thinking: { type: "adaptive" } },
      { thinking: { type: "adaptive", depth: 3 } },
    ),
    "an unknown member of output_config": added(claude, { output_config: { tone: "x" } }),
    "another member of metadata": added(claude, { metadata: { team: "a" } }),
    disable_parallel_tool_use: added(
      { ...claude, tools: [claudeTool], tool_choice: { type: "any" } },
      { tool_choice: { type: "any", disable_parallel_tool_use: true } },
    ),
    "allowed_callers of a tool": added(
      { ...claude, tools: [claudeTool] },
      { tools: [{ ...claudeTool, allowed_callers: ["code_execution_20250825"] }] },
    ),
    "an unknown member of a tool": added({ ...claude, tools: [claudeTool] }, { tools: [{ ...claudeTool, icon: "x" }] }),
    "max_uses of a search": added({ ...claude, tools: [webSearch] }, { tools: [{ ...webSearch, max_uses: 2 }] }),
    "allowed domains of a search": added(
      { ...claude, tools: [webSearch] },
      { tools: [{ ...webSearch, allowed_domains: ["x.test"] }] },
    ),
    "blocked domains of a search": added(
      { ...claude, tools: [webSearch] },
      { tools: [{ ...webSearch, blocked_domains: ["x.test"] }] },
    ),
    "user_location of a search": added(
      { ...claude, tools: [webSearch] },
      { tools: [{ ...webSearch, user_location: { type: "approximate", country: "CH" } }] },
    ),
    "a title of a document": { base: block(document), with: block({ ...document, title: "T" }) },
    "a document by its id": { base: plain, with: block({ type: "document", source: { type: "file", file_id: "f" } }) },
    "an image by its id": { base: plain, with: block({ type: "image", source: { type: "file", file_id: "f" } }) },
    "a container's upload": { base: plain, with: block({ type: "container_upload", file_id: "f" }) },
    "an unknown block": { base: plain, with: block({ type: "hologram", data: "x" }) },
    "an unknown member of a block": {
      base: plain,
      with: { ...claude, messages: [user([{ type: "text", text: "a", style: "x" }])] },
    },
    "an unknown member of a message": { base: claude, with: { ...claude, messages: [{ ...user("Hi"), mood: "x" }] } },
    "citations of an earlier answer": {
      base: said(),
      with: {
        ...claude,
        messages: [
          user("Hi"),
          {
            role: "assistant",
            content: [{ type: "text", text: "b", citations: [{ type: "char_location", cited_text: "x" }] }],
          },
          user("c"),
        ],
      },
    },
    "earlier thinking": { base: said(), with: said({ type: "thinking", thinking: "hm", signature: "c2ln" }) },
    "an earlier search": {
      base: said(),
      with: said(
        { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } },
        { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
      ),
    },
    "an image in a result": {
      base: resulting([{ type: "text", text: "wet" }]),
      with: resulting([
        { type: "text", text: "wet" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
      ]),
    },
    "a search result in a result": {
      base: resulting([{ type: "text", text: "wet" }]),
      with: resulting([
        { type: "text", text: "wet" },
        { type: "search_result", source: "https://x.test", title: "T", content: [{ type: "text", text: "found" }] },
      ]),
    },
    "a tool's failure": { base: resulting("wet"), with: resulting("wet", { is_error: true }) },
    "an unknown member of a result": { base: resulting("wet"), with: resulting("wet", { mood: "x" }) },
    "a cached system": added(
      { ...claude, system: "s" },
      { system: [{ type: "text", text: "s", cache_control: { type: "ephemeral", ttl: "1h" } }] },
    ),
    fallbacks: added(claude, { fallbacks: [{ model: "x" }] }),
    diagnostics: added(claude, { diagnostics: { previous_message_id: "m" } }),
  },
};

/** What asks a provider for nothing, or what the gateway does itself. */
const harmless: ReadonlySet<string> = new Set([
  // Reasoning goes back only to the provider that made it.
  ...["openai.chat earlier reasoning", "openai.responses earlier reasoning", "anthropic.messages earlier thinking"],
  // Counts calls of tools that OpenAI runs, and here there are none.
  "openai.responses max_tool_calls",
  // Translated answers always show the reasoning that there is.
  "openai.responses summary of reasoning",
  // Models that don't think do as they are asked.
  "anthropic.messages no thinking",
  // The gateway passes on only one call.
  "anthropic.messages disable_parallel_tool_use",
  // The file itself arrives.
  "anthropic.messages a title of a document",
  "anthropic.messages citations of an earlier answer",
]);

/** Where the whole search is left out and named, so are its details. */
const searches = ["web_search_options", "tools.web_search", "tools.web_search_20250305"];

describe("nothing deep within a request is lost silently", () => {
  for (const [api, table] of Object.entries(cases) as [Format, Record<string, Case>][])
    for (const [title, { base, with: more }] of Object.entries(table))
      it(`${title}, of ${api}`, () => {
        const silent = targets.filter((target) => {
          const [before, own] = [sent(target, api, base), sent(target, api, more)];
          if (before === null || own === null || harmless.has(`${api} ${title}`)) return false;
          if (before.named.some((name) => searches.includes(name))) return false;
          return before.body === own.body && own.named.length <= before.named.length;
        });
        assert.deepEqual(
          silent.map((target) => target.slice(0, 2).join(" ")),
          [],
        );
      });
});
