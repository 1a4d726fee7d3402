/** Features of the three chat APIs: a body without the feature, and one with it. */
import type { Json } from "../../harness/strict/json.ts";
import type { Format } from "./documented.ts";

interface Pair {
  base: Json;
  with: Json;
}

const png = "iVBORw0KGgo=";
const pdf = "JVBERi0=";
const schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const fn = { name: "weather", description: "Weather.", parameters: schema };
const user = (content: unknown): Json => ({ role: "user", content });
const mark = { cache_control: { type: "ephemeral" } };

const chat: Json = { messages: [user("Hi")] };
const chatTools = [{ type: "function", function: fn }];
const chatParts = (...parts: Json[]): Json => ({ messages: [user([{ type: "text", text: "a" }, ...parts])] });

const claude: Json = { messages: [user("Hi")], max_tokens: 9_000 };
const claudeTools = [{ name: "weather", description: "Weather.", input_schema: schema }];
const claudeParts = (...parts: Json[]): Json => ({ ...claude, ...chatParts(...parts) });

const response: Json = { input: "Hi" };
const ownTools = [{ type: "function", ...fn }];
const inputParts = (...parts: Json[]): Json => ({ input: [user([{ type: "input_text", text: "a" }, ...parts])] });

const added = (base: Json, more: Json): Pair => ({ base, with: { ...base, ...more } });
const parts = (of: (...parts: Json[]) => Json, part: Json): Pair => ({ base: of(), with: of(part) });

export const features: Record<Format, Record<string, Pair>> = {
  "openai.chat": {
    tools: added(chat, { tools: chatTools }),
    "one call at a time": added({ ...chat, tools: chatTools }, { parallel_tool_calls: false }),
    "forced tool": added(
      { ...chat, tools: chatTools },
      { tool_choice: { type: "function", function: { name: "weather" } } },
    ),
    "JSON mode": added(chat, { response_format: { type: "json_object" } }),
    "JSON schema": added(chat, {
      response_format: { type: "json_schema", json_schema: { name: "c", schema, strict: true } },
    }),
    reasoning: added(chat, { reasoning_effort: "high" }),
    "image, data": parts(chatParts, { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } }),
    "image, address": parts(chatParts, { type: "image_url", image_url: { url: "https://x.test/a.png" } }),
    PDF: parts(chatParts, {
      type: "file",
      file: { file_data: `data:application/pdf;base64,${pdf}`, filename: "a.pdf" },
    }),
    recording: parts(chatParts, { type: "input_audio", input_audio: { data: "AA==", format: "wav" } }),
    "web search": added(chat, { web_search_options: {} }),
    "cache marks": {
      base: { messages: [user("a")] },
      with: { messages: [user([{ type: "text", text: "a", ...mark }])] },
    },
    "several answers": added(chat, { n: 2 }),
    logprobs: added(chat, { logprobs: true, top_logprobs: 2 }),
    stop: added(chat, { stop: ["END"] }),
    seed: added(chat, { seed: 7 }),
  },
  "openai.responses": {
    tools: added(response, { tools: ownTools }),
    "one call at a time": added({ ...response, tools: ownTools }, { parallel_tool_calls: false }),
    "forced tool": added({ ...response, tools: ownTools }, { tool_choice: { type: "function", name: "weather" } }),
    "freeform tool": added(response, { tools: [{ type: "custom", name: "patch", description: "Patch." }] }),
    "JSON schema": added(response, { text: { format: { type: "json_schema", name: "c", schema, strict: true } } }),
    reasoning: added(response, { reasoning: { effort: "high" } }),
    "image, data": parts(inputParts, { type: "input_image", image_url: `data:image/png;base64,${png}` }),
    "image, address": parts(inputParts, { type: "input_image", image_url: "https://x.test/a.png" }),
    PDF: parts(inputParts, { type: "input_file", file_data: `data:application/pdf;base64,${pdf}`, filename: "a.pdf" }),
    "PDF, address": parts(inputParts, { type: "input_file", file_url: "https://x.test/a.pdf" }),
    "web search": added(response, { tools: [{ type: "web_search" }] }),
    "file search": added(response, { tools: [{ type: "file_search", vector_store_ids: ["vs"] }] }),
    background: added(response, { background: true }),
    previous_response_id: added(response, { previous_response_id: "resp_1" }),
  },
  "anthropic.messages": {
    tools: added(claude, { tools: claudeTools }),
    "one call at a time": added(
      { ...claude, tools: claudeTools },
      { tool_choice: { type: "auto", disable_parallel_tool_use: true } },
    ),
    "forced tool": added({ ...claude, tools: claudeTools }, { tool_choice: { type: "tool", name: "weather" } }),
    "JSON schema": added(claude, { output_config: { format: { type: "json_schema", schema } } }),
    thinking: added(claude, { thinking: { type: "enabled", budget_tokens: 3_000 } }),
    effort: added(claude, { output_config: { effort: "low" } }),
    "image, data": parts(claudeParts, {
      type: "image",
      source: { type: "base64", media_type: "image/png", data: png },
    }),
    "image, address": parts(claudeParts, { type: "image", source: { type: "url", url: "https://x.test/a.png" } }),
    PDF: parts(claudeParts, { type: "document", source: { type: "base64", media_type: "application/pdf", data: pdf } }),
    citations: {
      base: claudeParts({ type: "document", source: { type: "base64", media_type: "application/pdf", data: pdf } }),
      with: claudeParts({
        type: "document",
        citations: { enabled: true },
        source: { type: "base64", media_type: "application/pdf", data: pdf },
      }),
    },
    "web search": added(claude, { tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 1 }] }),
    "code execution": added(claude, { tools: [{ type: "code_execution_20250825", name: "code_execution" }] }),
    "cache marks": {
      base: { ...claude, messages: [user("a")] },
      with: { ...claude, messages: [user([{ type: "text", text: "a", ...mark }])] },
    },
    top_k: added(claude, { top_k: 3 }),
    stop: added(claude, { stop_sequences: ["END"] }),
  },
};
