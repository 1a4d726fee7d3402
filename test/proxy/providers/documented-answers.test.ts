/** Answers in forms that a provider's API documents, and what the client's API shows of them. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import type { Json } from "../../harness/strict/json.ts";
import { at, type Format, options, type Type, upstreams } from "./documented.ts";
import { accountOf, events, modelOf } from "./drive.ts";
import { frame } from "./wire/bedrock.ts";

const address = "https://x.test/a.pdf";

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
  "places that Converse cites": {
    type: "Bedrock",
    format: "anthropic.messages",
    answer: {
      output: {
        message: {
          role: "assistant",
          content: [
            { text: "a " },
            {
              citationsContent: {
                content: [{ text: "cited" }],
                citations: [
                  {
                    title: "T",
                    sourceContent: [{ text: "source" }],
                    location: { documentPage: { documentIndex: 0, start: 1, end: 2 } },
                  },
                ],
              },
            },
            { text: "." },
          ],
        },
      },
      stopReason: "end_turn",
      usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
    },
    facts: {
      content: [
        { type: "text", text: "a " },
        {
          type: "text",
          text: "cited",
          citations: [
            {
              type: "page_location",
              cited_text: "source",
              document_index: 0,
              document_title: "T",
              start_page_number: 1,
              end_page_number: 2,
            },
          ],
        },
        { type: "text", text: "." },
      ],
    },
  },
  "a web page that Converse cites": {
    type: "Bedrock",
    format: "openai.chat",
    answer: {
      output: {
        message: {
          role: "assistant",
          content: [
            {
              citationsContent: {
                content: [{ text: "so" }],
                citations: [{ title: "A", location: { web: { url: address, domain: "x.test" } } }],
              },
            },
          ],
        },
      },
      stopReason: "end_turn",
      serviceTier: { type: "flex" },
      usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
    },
    facts: {
      "choices.0.message.annotations": [
        { type: "url_citation", url_citation: { start_index: 0, end_index: 2, title: "A", url: address } },
      ],
      service_tier: "flex",
    },
  },
  "a web page that Gemini cites, in Messages": {
    type: "Gemini",
    format: "anthropic.messages",
    answer: {
      candidates: [
        {
          content: { role: "model", parts: [{ text: "It is so." }] },
          finishReason: "STOP",
          groundingMetadata: {
            groundingChunks: [{ web: { uri: address, title: "A" } }],
            groundingSupports: [{ segment: { startIndex: 6, endIndex: 8 }, groundingChunkIndices: [0] }],
          },
        },
      ],
    },
    facts: {
      content: [
        { type: "text", text: "It is " },
        {
          type: "text",
          text: "so",
          citations: [
            { type: "web_search_result_location", url: address, title: "A", cited_text: "", encrypted_index: "" },
          ],
        },
        { type: "text", text: "." },
      ],
    },
  },
  "a picture of Gemini's, in Messages": {
    type: "Gemini",
    format: "anthropic.messages",
    answer: {
      candidates: [
        {
          content: { role: "model", parts: [{ inlineData: { mimeType: "image/png", data: "iVBO" } }] },
          finishReason: "STOP",
        },
      ],
    },
    facts: { content: [{ type: "image", source: { type: "base64", media_type: "image/png", data: "iVBO" } }] },
  },
  "a picture of Gemini's, in Responses": {
    type: "Gemini",
    format: "openai.responses",
    answer: {
      responseId: "r",
      candidates: [
        {
          content: { role: "model", parts: [{ inlineData: { mimeType: "image/png", data: "iVBO" } }] },
          finishReason: "STOP",
        },
      ],
    },
    facts: { output: [{ id: "ig_r_0", type: "image_generation_call", status: "completed", result: "iVBO" }] },
  },
  "the stop that ended an answer of vLLM": {
    type: "OpenAICompatible",
    format: "anthropic.messages",
    answer: {
      choices: [{ index: 0, message: { role: "assistant", content: "a" }, finish_reason: "stop", stop_reason: "END" }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    },
    facts: { stop_reason: "stop_sequence", stop_sequence: "END" },
  },
  "a stop of vLLM that is a token": {
    type: "OpenAICompatible",
    format: "anthropic.messages",
    answer: {
      choices: [{ index: 0, message: { role: "assistant", content: "a" }, finish_reason: "stop", stop_reason: 2 }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    },
    facts: { stop_reason: "end_turn", stop_sequence: null },
  },
  "the stop that ended an answer of Claude on Bedrock": {
    type: "Bedrock",
    format: "anthropic.messages",
    answer: {
      output: { message: { role: "assistant", content: [{ text: "a" }] } },
      stopReason: "stop_sequence",
      additionalModelResponseFields: { stop_sequence: "END" },
      usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
    },
    facts: { stop_reason: "stop_sequence", stop_sequence: "END" },
  },
  "tokens of sound": {
    type: "Gemini",
    format: "openai.chat",
    answer: {
      candidates: [{ content: { role: "model", parts: [{ text: "a" }] }, finishReason: "STOP" }],
      usageMetadata: {
        promptTokenCount: 9,
        candidatesTokenCount: 1,
        totalTokenCount: 10,
        promptTokensDetails: [{ modality: "AUDIO", tokenCount: 7 }],
      },
    },
    facts: { "usage.prompt_tokens_details.audio_tokens": 7 },
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
  const given = format === "openai.responses" ? { input: "x" } : { messages: [{ role: "user", content: "x" }] };
  const request = dialect?.decode({
    model: "m",
    ...(format === "anthropic.messages" ? { max_tokens: 10 } : {}),
    ...given,
  });
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

  const pictures = [
    { content: { role: "model", parts: [{ text: "Here:" }] } },
    {
      content: { role: "model", parts: [{ inlineData: { mimeType: "image/png", data: "iVBO" } }] },
      finishReason: "STOP",
    },
  ]
    .map((candidate) => `data: ${JSON.stringify({ candidates: [candidate] })}\n\n`)
    .join("");
  const streams: Record<string, { format: Format; expected: RegExp[] }> = {
    "in Messages": {
      format: "anthropic.messages",
      expected: [
        /"index":1,"content_block":\{"type":"image","source":\{"type":"base64","media_type":"image\/png","data":"iVBO"\}\}/,
        /"content_block_stop","index":1/,
      ],
    },
    "in Responses": {
      format: "openai.responses",
      expected: [
        /event: response\.image_generation_call\.in_progress\n/,
        /event: response\.image_generation_call\.completed\n/,
        /"output_index":1,"item":\{"id":"ig_id_1","type":"image_generation_call","status":"completed","result":"iVBO"\}/,
      ],
    },
  };
  for (const [name, { format, expected }] of Object.entries(streams))
    it(`is read: a streamed picture, ${name}`, () => {
      const { dialect, made, context } = called("Gemini", format, true);
      const encoder = dialect.encoder(context);
      const text = events(made.decoder(), Buffer.from(pictures))
        .map((event) => encoder.encode(event))
        .join("");
      for (const pattern of expected) assert.match(text, pattern);
    });

  it("is read: what Converse cites in a stream, in Messages", () => {
    const { dialect, made, context } = called("Bedrock", "anthropic.messages", true);
    const encoder = dialect.encoder(context);
    const block = (contentBlockIndex: number, ...deltas: Json[]) => [
      ...deltas.map((delta) => frame("contentBlockDelta", { contentBlockIndex, delta })),
      frame("contentBlockStop", { contentBlockIndex }),
    ];
    const citation = {
      title: "T",
      sourceContent: [{ text: "source" }],
      location: { documentChar: { documentIndex: 1, start: 2, end: 8 } },
    };
    const frames = [
      frame("messageStart", { role: "assistant" }),
      ...block(0, { text: "It is " }),
      ...block(1, { text: "so" }, { citation }),
      frame("messageStop", { stopReason: "end_turn" }),
      frame("metadata", { usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } }),
    ];
    const text = events(made.decoder(), Buffer.concat(frames))
      .map((event) => encoder.encode(event))
      .join("");
    assert.match(
      text,
      /"citations_delta","citation":\{"type":"char_location","cited_text":"source","document_index":1,"document_title":"T","start_char_index":2,"end_char_index":8\}/,
    );
  });

  it("is read: the stop that ended a stream, in Messages", () => {
    const ends: [Type, Buffer][] = [
      [
        "OpenAICompatible",
        Buffer.from(
          `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "a" }, finish_reason: "stop", stop_reason: "END" }] })}\n\ndata: [DONE]\n\n`,
        ),
      ],
      [
        "Bedrock",
        Buffer.concat([
          frame("messageStart", { role: "assistant" }),
          frame("contentBlockDelta", { contentBlockIndex: 0, delta: { text: "a" } }),
          frame("messageStop", {
            stopReason: "stop_sequence",
            additionalModelResponseFields: { stop_sequence: "END" },
          }),
          frame("metadata", { usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } }),
        ]),
      ],
    ];
    for (const [type, bytes] of ends) {
      const { dialect, made, context } = called(type, "anthropic.messages", true);
      const encoder = dialect.encoder(context);
      const text = events(made.decoder(), bytes)
        .map((event) => encoder.encode(event))
        .join("");
      assert.match(text, /"delta":\{"stop_reason":"stop_sequence","stop_sequence":"END"\}/, type);
    }
  });

  it("is read: log probabilities in a Responses stream", () => {
    const { dialect, made, context } = called("OpenAICompatible", "openai.responses", true);
    const encoder = dialect.encoder(context);
    const entry = { token: "a", logprob: -1, bytes: [97], top_logprobs: [] };
    const chunk = { choices: [{ index: 0, delta: { content: "a" }, logprobs: { content: [entry] } }] };
    const end = { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
    const bytes = [chunk, end].map((body) => `data: ${JSON.stringify(body)}\n\n`).join("");
    const named = events(made.decoder(), Buffer.from(`${bytes}data: [DONE]\n\n`))
      .map((event) => encoder.encode(event))
      .join("")
      .split("\n")
      .filter((line) => line.startsWith("data: "))
      .map((line) => JSON.parse(line.slice(6)) as Json);
    const of = (type: string): unknown => named.find((event) => event["type"] === type);
    assert.deepEqual(at(of("response.output_text.delta"), "logprobs"), [entry]);
    assert.deepEqual(at(of("response.output_text.done"), "logprobs"), [entry]);
    assert.deepEqual(at(of("response.completed"), "response.output.0.content.0.logprobs"), [entry]);
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
