/** Forms that the clients' APIs document, and what each provider's API takes in their place. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import type { Json } from "../../harness/strict/json.ts";
import { accountOf, events, modelOf } from "./drive.ts";

const upstreams = {
  Anthropic: "claude-sonnet-4-5",
  Bedrock: "anthropic.claude-sonnet-4-5-20250929-v1:0",
  Gemini: "gemini-2.5-flash",
  Mistral: "mistral-large-latest",
  OpenAI: "gpt-4o",
  OpenAICompatible: "qwen3",
  Watsonx: "meta-llama/llama-4",
} as const;
type Type = keyof typeof upstreams;
type Format = "openai.chat" | "openai.responses" | "anthropic.messages";

const options = { projectId: "p", apiVersion: "2024-05-31" };

/** The body that is sent, or the path of what is refused. */
function sent(type: Type, format: Format, body: Json): Json | string {
  const request = dialects[format]?.decode({ model: "m", ...body });
  assert.ok(request !== undefined);
  if (isRefusal(request)) return String(request.param);
  const target = { account: accountOf({ options }), model: modelOf({ upstream: upstreams[type] }) };
  const made = translatedChat(providers[type] as Provider, request, target, {
    stream: false,
    deadlineMs: 1,
    seed: "s",
  });
  assert.ok(made !== null);
  return isRefusal(made) ? String(made.param) : (JSON.parse(made.body) as Json);
}

const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], value);

interface Row {
  format: Format;
  body: Json;
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
      OpenAI: "messages[0].content[0].file",
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
  audio: {
    format: "openai.chat",
    body: chat([{ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }]),
    expected: { Mistral: { [parts.mistral]: { type: "input_audio", input_audio: "AAAA" } } },
  },
};

describe("a documented form", () => {
  for (const [name, { format, body, expected }] of Object.entries(rows))
    for (const [type, facts] of Object.entries(expected))
      it(`reaches ${type}: ${name}`, () => {
        const made = sent(type as Type, format, body);
        if (typeof facts === "string") assert.equal(made, facts);
        else
          for (const [path, value] of Object.entries(facts))
            assert.deepEqual(at(made, path), value, `${path} in ${JSON.stringify(made)}`);
      });
});

/** Answers in forms that a provider documents → the client's answer. */
const answers: Record<string, { type: Type; format: Format; answer: Json; facts: Record<string, unknown> }> = {
  "a text with its sources, from Converse": {
    type: "Bedrock",
    format: "openai.chat",
    answer: {
      output: {
        message: {
          role: "assistant",
          content: [{ text: "a " }, { citationsContent: { content: [{ text: "cited" }], citations: [] } }],
        },
      },
      stopReason: "end_turn",
      usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
    },
    facts: { "choices.0.message.content": "a cited" },
  },
  "the call of an older server": {
    type: "OpenAICompatible",
    format: "anthropic.messages",
    answer: {
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: null, function_call: { name: "f", arguments: '{"a":1}' } },
          finish_reason: "function_call",
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    },
    facts: {
      "content.0.type": "tool_use",
      "content.0.name": "f",
      "content.0.input": { a: 1 },
      stop_reason: "tool_use",
    },
  },
};

function called(type: Type, format: Format, stream: boolean) {
  const dialect = dialects[format];
  const request = dialect?.decode({ model: "m", max_tokens: 10, messages: [{ role: "user", content: "x" }] });
  assert.ok(dialect !== undefined && request !== undefined && !isRefusal(request));
  const target = { account: accountOf({ options }), model: modelOf({ upstream: upstreams[type] }) };
  const made = translatedChat(providers[type] as Provider, request, target, { stream, deadlineMs: 1, seed: "s" });
  assert.ok(made !== null && !isRefusal(made));
  const context = { model: "m", fallbackId: "id", createdSeconds: 1, includeUsage: true, request };
  return { dialect, made, context };
}

describe("a documented answer", () => {
  for (const [name, { type, format, answer, facts }] of Object.entries(answers))
    it(`is read: ${name}`, () => {
      const { dialect, made, context } = called(type, format, false);
      const reply = made.decodeReply(answer, {});
      assert.ok("choices" in reply, JSON.stringify(reply));
      const shown = dialect.encodeReply(reply, context);
      for (const [path, value] of Object.entries(facts))
        assert.deepEqual(at(shown, path), value, `${path} in ${JSON.stringify(shown)}`);
    });

  it("is read: the streamed call of an older server", () => {
    const { dialect, made, context } = called("OpenAICompatible", "anthropic.messages", true);
    const encoder = dialect.encoder(context);
    const chunk = (delta: Json, finish_reason: string | null = null): string =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    const bytes = `${chunk({ function_call: { name: "f", arguments: "" } })}${chunk({ function_call: { arguments: '{"a":1}' } })}${chunk({}, "function_call")}data: [DONE]\n\n`;
    const text = events(made.decoder(), Buffer.from(bytes))
      .map((event) => encoder.encode(event))
      .join("");
    assert.match(text, /"type":"tool_use","id":"[^"]+","name":"f"/);
    assert.match(text, /"partial_json":"\{\\"a\\":1\}"/);
    assert.match(text, /"stop_reason":"tool_use"/);
  });
});
