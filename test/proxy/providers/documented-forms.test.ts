/** Forms that the clients' APIs document, and what each provider's API takes in their place. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import type { Json } from "../../harness/strict/json.ts";
import { at, type Format, options, type Type, upstreams } from "./documented.ts";
import { accountOf, modelOf } from "./drive.ts";

/** The body that is sent, or the path of what is refused. */
function sent(type: Type, format: Format, body: Json, upstream: string = upstreams[type]): Json | string {
  const request = dialects[format]?.decode({ model: "m", ...body });
  assert.ok(request !== undefined);
  if (isRefusal(request)) return String(request.param);
  const target = { account: accountOf({ options }), model: modelOf({ upstream }) };
  const made = translatedChat(providers[type] as Provider, request, target, {
    stream: false,
    deadlineMs: 1,
    seed: "s",
  });
  assert.ok(made !== null);
  return isRefusal(made) ? String(made.param) : (JSON.parse(made.body) as Json);
}

interface Row {
  format: Format;
  body: Json;
  /** In place of the usual model. */
  upstream?: string;
  /** Provider → path in the body that is sent → value; or what is refused. */
  expected: Partial<Record<Type, Record<string, unknown> | string>>;
}

const chat = (content: unknown, more: Json = {}): Json => ({ messages: [{ role: "user", content }], ...more });
const input = (content: unknown, more: Json = {}): Json => ({ input: [{ role: "user", content }], ...more });
const messages = (content: unknown, more: Json = {}): Json => ({ ...chat(content, more), max_tokens: 9_000 });
const address = "https://x.test/a.pdf";
const csv = { type: "file", file: { file_data: "data:text/csv;base64,YSxi", filename: "a.csv" } };
const parts = {
  gemini: "contents.0.parts.0",
  anthropic: "messages.0.content.0",
  mistral: "messages.0.content.0",
};

const rows: Record<string, Row> = {
  "a text file": {
    format: "openai.chat",
    body: chat([csv]),
    expected: {
      Anthropic: {
        [parts.anthropic]: {
          type: "document",
          source: { type: "text", media_type: "text/plain", data: "a,b" },
          title: "a.csv",
        },
      },
      Gemini: { [parts.gemini]: { inlineData: { mimeType: "text/csv", data: "YSxi" } } },
      Bedrock: { "messages.0.content.0.document.format": "csv" },
      Mistral: { [parts.mistral]: { type: "document_url", document_url: csv.file.file_data, document_name: "a.csv" } },
    },
  },
  "effort, for a model that has only budgets": {
    format: "anthropic.messages",
    body: messages("x", { output_config: { effort: "low" } }),
    expected: { Bedrock: { additionalModelRequestFields: undefined } },
  },
  "effort, for a model that has it": {
    format: "anthropic.messages",
    body: messages("x", { output_config: { effort: "low" } }),
    upstream: "anthropic.claude-opus-4-6-v1",
    expected: { Bedrock: { "additionalModelRequestFields.output_config.effort": "low" } },
  },
  "a file by its address, in Responses": {
    format: "openai.responses",
    body: input([{ type: "input_file", file_url: address }]),
    expected: {
      Anthropic: { [parts.anthropic]: { type: "document", source: { type: "url", url: address } } },
      Gemini: { [parts.gemini]: { fileData: { fileUri: address, mimeType: "application/pdf" } } },
      Mistral: { [parts.mistral]: { type: "document_url", document_url: address } },
      OpenAICompatible: "messages[0].content[0].file",
      Bedrock: "messages[0].content[0].file",
    },
  },
  "a file of the provider's, by its address": {
    format: "openai.responses",
    body: input([{ type: "input_file", file_url: "https://generativelanguage.googleapis.com/v1beta/files/x" }]),
    expected: { Gemini: "messages[0].content[0].file" },
  },
  "a document by its address, in Messages": {
    format: "anthropic.messages",
    body: messages([{ type: "document", title: "T", source: { type: "url", url: address } }]),
    expected: {
      Gemini: { [parts.gemini]: { fileData: { fileUri: address, mimeType: "application/pdf" } } },
      OpenAI: { "input.0.content.0": { type: "input_file", file_url: address } },
      OpenAICompatible: "messages[0].content[0].file",
    },
  },
  "a document in blocks, in Messages": {
    format: "anthropic.messages",
    body: messages([
      {
        type: "document",
        source: {
          type: "content",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" },
          ],
        },
      },
    ]),
    expected: {
      OpenAI: { "messages.0.content": "a\nb" },
      Bedrock: { "messages.0.content.0": { text: "a\nb" } },
    },
  },
  "structured output in the form of its beta": {
    format: "anthropic.messages",
    body: messages("x", { output_format: { type: "json_schema", schema: { type: "object" } } }),
    expected: {
      OpenAI: {
        response_format: {
          type: "json_schema",
          json_schema: { name: "output", schema: { type: "object" }, strict: true },
        },
      },
      Gemini: { "generationConfig.responseMimeType": "application/json" },
    },
  },
  "Claude's thinking in a chat": {
    format: "openai.chat",
    body: chat("x", { thinking: { type: "enabled", budget_tokens: 3_000 }, max_tokens: 9_000 }),
    expected: {
      Anthropic: { thinking: { type: "enabled", budget_tokens: 3_000 } },
      Bedrock: { "additionalModelRequestFields.thinking": { type: "enabled", budget_tokens: 3_000 } },
      Gemini: { "generationConfig.thinkingConfig.thinkingBudget": 3_000 },
      Mistral: { reasoning_effort: "medium", thinking: undefined },
    },
  },
  "Claude's thinking switched off in a chat": {
    format: "openai.chat",
    body: chat("x", { thinking: { type: "disabled" } }),
    expected: {
      Anthropic: { thinking: { type: "disabled" } },
      Gemini: { "generationConfig.thinkingConfig.thinkingBudget": 0 },
    },
  },
  "another server's thinking": {
    format: "openai.chat",
    body: chat("x", { thinking: { type: "auto" } }),
    expected: { Anthropic: { thinking: undefined, reasoning_effort: undefined } },
  },
  "an effort along with Claude's thinking": {
    format: "openai.chat",
    body: chat("x", { reasoning_effort: "low", thinking: { type: "enabled", budget_tokens: 8_000 } }),
    expected: { Mistral: { reasoning_effort: "low" } },
  },
  "settings of tools without tools, as Codex sends them": {
    format: "openai.responses",
    body: input("x", { tools: [], tool_choice: "auto", parallel_tool_calls: false }),
    expected: {
      OpenAICompatible: { tool_choice: undefined, parallel_tool_calls: undefined },
      Mistral: { tool_choice: undefined, parallel_tool_calls: undefined },
    },
  },
  "the schema of a tool as Claude Code writes it": {
    format: "anthropic.messages",
    upstream: "us.amazon.nova-pro-v1:0",
    body: messages("x", {
      tools: [
        {
          name: "f",
          input_schema: { $schema: "https://x.test", type: "object", properties: {}, additionalProperties: false },
        },
      ],
    }),
    expected: { Bedrock: { "toolConfig.tools.0.toolSpec.inputSchema.json": { type: "object", properties: {} } } },
  },
  "a refusal and a text": {
    format: "openai.chat",
    body: {
      messages: [
        { role: "user", content: "a" },
        {
          role: "assistant",
          content: [
            { type: "text", text: "b" },
            { type: "refusal", refusal: "no" },
          ],
        },
        { role: "user", content: "c" },
      ],
    },
    expected: {
      Mistral: {
        "messages.1.content": [
          { type: "text", text: "b" },
          { type: "text", text: "no" },
        ],
      },
      Watsonx: {
        "messages.1.content": [
          { type: "text", text: "b" },
          { type: "text", text: "no" },
        ],
      },
    },
  },
  "a call without arguments": {
    format: "openai.chat",
    body: {
      messages: [
        { role: "user", content: "a" },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "abcdefgh1", type: "function", function: { name: "f", arguments: "" } }],
        },
        { role: "tool", tool_call_id: "abcdefgh1", content: "r" },
      ],
    },
    expected: { Mistral: { "messages.1.tool_calls.0.function.arguments": "{}" } },
  },
  "an effort of newer Claude models": {
    format: "openai.chat",
    upstream: "us.anthropic.claude-opus-4-8-v1",
    body: chat("x", { reasoning_effort: "high", max_completion_tokens: 64 }),
    expected: {
      Bedrock: {
        "additionalModelRequestFields.thinking.type": "adaptive",
        "additionalModelRequestFields.output_config": { effort: "high" },
        outputConfig: undefined,
      },
    },
  },
  "a mark for the cache on a whole Messages body": {
    format: "anthropic.messages",
    body: messages("x", { cache_control: { type: "ephemeral" } }),
    expected: {
      Bedrock: { "messages.0.content": [{ text: "x" }, { cachePoint: { type: "default" } }] },
      Anthropic: { [`${parts.anthropic}.cache_control`]: { type: "ephemeral" } },
      OpenAI: { "messages.0.content": "x" },
    },
  },
  "a tier of Anthropic's": {
    format: "anthropic.messages",
    body: messages("x", { service_tier: "standard_only" }),
    expected: {
      OpenAI: { service_tier: "default" },
      Gemini: { serviceTier: "standard" },
      Cohere: { service_tier: undefined },
    },
  },
  "a tier of OpenAI's": {
    format: "openai.chat",
    body: chat("x", { service_tier: "flex" }),
    expected: { Gemini: { serviceTier: "flex" }, Bedrock: { serviceTier: { type: "flex" } } },
  },
  "stops, which Claude names in the answer": {
    format: "anthropic.messages",
    body: messages("x", { stop_sequences: ["END"] }),
    expected: { Bedrock: { additionalModelResponseFieldPaths: ["/stop_sequence"] } },
  },
  "an effort that watsonx doesn't know": {
    format: "openai.chat",
    body: chat("x", { reasoning_effort: "xhigh" }),
    expected: { Watsonx: { reasoning_effort: "high" } },
  },
  "a video": {
    format: "openai.chat",
    body: chat([{ type: "video_url", video_url: { url: "data:video/mp4;base64,AAAA" } }]),
    expected: {
      Gemini: { [parts.gemini]: { inlineData: { mimeType: "video/mp4", data: "AAAA" } } },
      Bedrock: { "messages.0.content.0": { video: { format: "mp4", source: { bytes: "AAAA" } } } },
      Anthropic: "messages[0].content[0].file",
    },
  },
  "a video by its address": {
    format: "openai.chat",
    body: chat([{ type: "video_url", video_url: { url: "https://www.youtube.com/watch?v=x" } }]),
    expected: {
      Gemini: { [parts.gemini]: { fileData: { fileUri: "https://www.youtube.com/watch?v=x", mimeType: "video/*" } } },
    },
  },
  "instructions in several texts": {
    format: "openai.chat",
    body: {
      messages: [
        {
          role: "system",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" },
          ],
        },
        { role: "user", content: "x" },
      ],
    },
    expected: { Gemini: { "systemInstruction.parts": [{ text: "a" }, { text: "b" }] } },
  },
  "a call and its result": {
    format: "openai.chat",
    upstream: "gemini-2.5-pro",
    body: {
      messages: [
        { role: "user", content: "a" },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "call_1", content: "r" },
      ],
    },
    expected: {
      Gemini: { "contents.1.parts": [{ functionCall: { id: "call_1", name: "f", args: {} } }] },
      VertexAI: {
        "contents.1.parts": [{ functionCall: { name: "f", args: {} } }],
        "contents.2.parts": [{ functionResponse: { name: "f", response: { output: "r" } } }],
      },
    },
  },
  "an effort of Nova 2": {
    format: "openai.chat",
    upstream: "us.amazon.nova-2-lite-v1:0",
    body: chat("x", { reasoning_effort: "xhigh" }),
    expected: {
      Bedrock: {
        "additionalModelRequestFields.reasoningConfig": { type: "enabled", maxReasoningEffort: "high" },
      },
    },
  },
  "the largest effort of Nova 2 with a limit, which it refuses": {
    format: "openai.chat",
    upstream: "us.amazon.nova-2-lite-v1:0",
    body: chat("x", { reasoning_effort: "high", max_tokens: 9, top_k: 20 }),
    expected: {
      Bedrock: {
        additionalModelRequestFields: {
          reasoningConfig: { type: "enabled", maxReasoningEffort: "medium" },
          inferenceConfig: { topK: 20 },
        },
      },
    },
  },
  "an effort of OpenAI's open models": {
    format: "openai.chat",
    upstream: "openai.gpt-oss-120b-1:0",
    body: chat("x", { reasoning_effort: "minimal" }),
    expected: { Bedrock: { additionalModelRequestFields: { reasoning_effort: "low" } } },
  },
  "labels of a call": {
    format: "openai.chat",
    body: chat("x", { metadata: { team: "a", bad: "ä" }, user: "u-1" }),
    expected: { Bedrock: { requestMetadata: { team: "a", user_id: "u-1" } } },
  },
  "reasoning among the parts of an assistant's content": {
    format: "openai.chat",
    body: {
      messages: [
        { role: "user", content: "a" },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: "s" },
            { type: "redacted_thinking", data: "d" },
            { type: "text", text: "b" },
          ],
        },
        { role: "user", content: "c" },
      ],
    },
    expected: {
      Anthropic: {
        "messages.1.content": [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "redacted_thinking", data: "d" },
          { type: "text", text: "b" },
        ],
      },
      Bedrock: {
        "messages.1.content.0": { reasoningContent: { reasoningText: { text: "hm", signature: "s" } } },
        "messages.1.content.1": { reasoningContent: { redactedContent: "d" } },
      },
      Gemini: { "contents.1.parts": [{ text: "b" }] },
    },
  },
  "a cache mark within a function": {
    format: "openai.chat",
    body: chat("x", {
      tools: [{ type: "function", function: { name: "f", cache_control: { type: "ephemeral" } } }],
    }),
    expected: {
      Anthropic: { "tools.0.cache_control": { type: "ephemeral" } },
      Bedrock: { "toolConfig.tools.1": { cachePoint: { type: "default" } } },
    },
  },
  "the resolution of a picture": {
    format: "openai.chat",
    upstream: "gemini-3-pro-preview",
    body: chat([{ type: "image_url", image_url: { url: "data:image/png;base64,iVBO", detail: "low" } }]),
    expected: { Gemini: { [`${parts.gemini}.mediaResolution`]: { level: "MEDIA_RESOLUTION_LOW" } } },
  },
  "an answer with pictures": {
    format: "openai.chat",
    upstream: "gemini-2.5-flash-image",
    body: chat("x", { modalities: ["image", "text"], image_config: { aspect_ratio: "16:9" } }),
    expected: {
      Gemini: {
        "generationConfig.responseModalities": ["IMAGE", "TEXT"],
        "generationConfig.imageConfig": { aspectRatio: "16:9" },
      },
      Anthropic: "modalities",
      Mistral: "modalities",
      Cohere: "modalities",
      Watsonx: "modalities",
    },
  },
  "an answer with sound": {
    format: "openai.chat",
    body: chat("x", { modalities: ["text", "audio"] }),
    expected: { Gemini: "modalities", Bedrock: "modalities" },
  },
  "Google's own settings": {
    format: "openai.chat",
    body: chat("x", { extra_body: { google: { thinking_config: { thinking_budget: 100, include_thoughts: true } } } }),
    expected: { Gemini: { "generationConfig.thinkingConfig": { thinkingBudget: 100, includeThoughts: true } } },
  },
  "a schema for models that take only the older form": {
    format: "openai.chat",
    upstream: "gemini-2.0-flash",
    body: chat("x", {
      tools: [
        {
          type: "function",
          function: { name: "f", parameters: { type: "object", properties: { a: { type: "string" } } } },
        },
      ],
    }),
    expected: {
      Gemini: {
        "tools.0.functionDeclarations.0.parameters": { type: "OBJECT", properties: { a: { type: "STRING" } } },
      },
    },
  },
  "a picture of the model's, in Responses": {
    format: "openai.responses",
    upstream: "gemini-3-pro-image",
    body: {
      input: [
        { role: "user", content: "draw" },
        { type: "image_generation_call", id: "ig_x_0", status: "completed", result: "/9j/AA" },
        { role: "user", content: "again" },
      ],
    },
    expected: {
      Gemini: {
        "contents.1": {
          role: "model",
          parts: [
            {
              inlineData: { mimeType: "image/jpeg", data: "/9j/AA" },
              thoughtSignature: "skip_thought_signature_validator",
            },
          ],
        },
      },
      Mistral: { "messages.length": 2 },
    },
  },
  "a picture of the model's, in Messages": {
    format: "anthropic.messages",
    body: {
      max_tokens: 9,
      messages: [
        { role: "user", content: "draw" },
        {
          role: "assistant",
          content: [
            { type: "text", text: "Here:" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBO" } },
          ],
        },
        { role: "user", content: "again" },
      ],
    },
    expected: {
      Gemini: { "contents.1.parts": [{ text: "Here:" }, { inlineData: { mimeType: "image/png", data: "iVBO" } }] },
      OpenAI: { "messages.1": { role: "assistant", content: "Here:" } },
    },
  },
  "a document to cite": {
    format: "anthropic.messages",
    body: messages([
      {
        type: "document",
        title: "T",
        context: "C",
        citations: { enabled: true },
        source: { type: "base64", media_type: "application/pdf", data: "JVBE" },
      },
    ]),
    expected: {
      Bedrock: {
        "messages.0.content.0.document": {
          format: "pdf",
          name: "document-1",
          source: { bytes: "JVBE" },
          citations: { enabled: true },
          context: "C",
        },
      },
      Anthropic: {
        [parts.anthropic]: {
          type: "document",
          source: { type: "base64", media_type: "application/pdf", data: "JVBE" },
          title: "T",
          context: "C",
          citations: { enabled: true },
        },
      },
    },
  },
  "a turn to be continued": {
    format: "anthropic.messages",
    body: {
      max_tokens: 9,
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: "The" },
      ],
    },
    expected: {
      Mistral: { "messages.1": { role: "assistant", content: "The", prefix: true } },
      Anthropic: { "messages.1.content": [{ type: "text", text: "The" }] },
      Gemini: { "contents.1": { role: "model", parts: [{ text: "The" }] } },
    },
  },
  "names, which only Mistral's tools have": {
    format: "openai.chat",
    body: {
      messages: [
        { role: "system", content: "s", name: "rules" },
        { role: "user", content: "a", name: "ann" },
        {
          role: "assistant",
          content: null,
          name: "bob",
          tool_calls: [{ id: "abcdefgh1", type: "function", function: { name: "f", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "abcdefgh1", content: "r", name: "f" },
      ],
    },
    expected: {
      Mistral: {
        "messages.0": { role: "system", content: "s" },
        "messages.1": { role: "user", content: "a" },
        "messages.2.name": undefined,
        "messages.3.name": "f",
      },
      Watsonx: { "messages.1.name": "ann" },
    },
  },
  "a function with members without a value": {
    format: "openai.chat",
    body: chat("x", {
      tools: [{ type: "function", function: { name: "f", description: null, parameters: null, strict: null } }],
    }),
    expected: {
      Mistral: { "tools.0.function": { name: "f", parameters: { type: "object", properties: {} } } },
      Watsonx: { "tools.0.function": { name: "f" } },
      OpenAICompatible: { "tools.0.function": { name: "f" } },
      Gemini: { "tools.0.functionDeclarations": [{ name: "f" }] },
    },
  },
  "documents to answer from": {
    format: "openai.chat",
    body: chat("x", {
      documents: [{ id: "1", data: { title: "T", text: "d" } }, "plain"],
      citation_options: { mode: "FAST" },
      safety_mode: "STRICT",
    }),
    expected: {
      Cohere: {
        documents: [{ id: "1", data: { title: "T", text: "d" } }, "plain"],
        citation_options: { mode: "FAST" },
        safety_mode: "STRICT",
      },
      Anthropic: { documents: undefined },
    },
  },
  "documents to answer from in JSON": {
    format: "openai.chat",
    body: chat("x", { documents: ["plain"], response_format: { type: "json_object" } }),
    expected: { Cohere: "response_format" },
  },
  "what Gemini blocks": {
    format: "openai.chat",
    body: chat("x", { safety_settings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_ONLY_HIGH" }] }),
    expected: {
      Gemini: { safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_ONLY_HIGH" }] },
      VertexAI: { safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_ONLY_HIGH" }] },
    },
  },
  audio: {
    format: "openai.chat",
    body: chat([{ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }]),
    expected: { Mistral: { [parts.mistral]: { type: "input_audio", input_audio: "AAAA" } } },
  },
};

describe("a documented form", () => {
  for (const [name, { format, body, upstream, expected }] of Object.entries(rows))
    for (const [type, facts] of Object.entries(expected))
      it(`reaches ${type}: ${name}`, () => {
        const made = sent(type as Type, format, body, upstream);
        if (typeof facts === "string") assert.equal(made, facts);
        else
          for (const [path, value] of Object.entries(facts))
            assert.deepEqual(at(made, path), value, `${path} in ${JSON.stringify(made)}`);
      });
});
