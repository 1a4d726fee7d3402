/** Web pages that an answer cites, whole and streamed, in the forms of OpenAI's chat and Responses. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialect as chat } from "../../../proxy/dialects/openai-chat/index.ts";
import { dialect as responses } from "../../../proxy/dialects/openai-responses/index.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import type { Json } from "../../harness/strict/json.ts";
import { contextOf } from "../dialects/sdk.ts";
import { accountOf, events, hello, modelOf } from "./drive.ts";

const url = "https://example.com/a";
const cited = (start_index: number, end_index: number): Json => ({
  type: "url_citation",
  url_citation: { start_index, end_index, title: "A", url },
});
const ofPart = (start_index: number, end_index: number): Json => ({
  type: "url_citation",
  start_index,
  end_index,
  title: "A",
  url,
});

const found = { type: "web_search_result_location", url, title: "A", encrypted_index: "x", cited_text: "y" };
const search = { type: "search_result_location", source: url, title: "A", search_result_index: 0, cited_text: "y" };
const page = {
  type: "page_location",
  document_title: "A",
  document_index: 0,
  start_page_number: 1,
  end_page_number: 2,
};
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };

const openAi = (content: string, annotations: Json[]) => {
  const chunk = (delta: Json, finish_reason: string | null = null) => ({
    choices: [{ index: 0, delta, finish_reason }],
  });
  const message = { role: "assistant", content, annotations };
  return {
    type: "OpenAICompatible" as const,
    whole: { choices: [{ index: 0, message, finish_reason: "stop" }], usage },
    stream: [
      chunk({ content: content.slice(0, 3) }),
      chunk({ content: content.slice(3) }),
      chunk({ annotations }, "stop"),
    ],
  };
};

/** Texts with their citations. */
const anthropic = (...blocks: [string, ...Json[]][]) => ({
  type: "Anthropic" as const,
  whole: {
    type: "message",
    role: "assistant",
    content: blocks.map(([text, ...citations]) => ({ type: "text", text, citations })),
    stop_reason: "end_turn",
    usage: { input_tokens: 1, output_tokens: 1 },
  },
  stream: [
    { type: "message_start", message: { id: "m", usage: { input_tokens: 1, output_tokens: 1 } } },
    ...blocks.flatMap(([text, ...citations], index) => [
      { type: "content_block_start", index, content_block: { type: "text", text: "", citations: [] } },
      ...citations.map((citation) => ({
        type: "content_block_delta",
        index,
        delta: { type: "citations_delta", citation },
      })),
      { type: "content_block_delta", index, delta: { type: "text_delta", text } },
      { type: "content_block_stop", index },
    ]),
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 1 } },
    { type: "message_stop" },
  ],
});

/** The text in pieces of the stream, with its sources. */
const gemini = (texts: string[], metadata: Json) => {
  const answer = (words: string, more: Json) => ({
    candidates: [{ content: { role: "model", parts: [{ text: words }] }, ...more }],
    usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
  });
  const last = { finishReason: "STOP", ...metadata };
  return {
    type: "Gemini" as const,
    whole: answer(texts.join(""), last),
    stream: texts.map((words, index) => answer(words, index === texts.length - 1 ? last : {})),
  };
};

/** From and to in bytes. */
const grounding = (...spans: [number, number][]): Json => ({
  groundingMetadata: {
    webSearchQueries: ["q"],
    groundingChunks: [{ web: { uri: url, title: "A" } }, { retrievedContext: { uri: "gs://bucket/x", title: "B" } }],
    groundingSupports: spans.map(([startIndex, endIndex]) => ({
      segment: { startIndex, endIndex, text: "x" },
      groundingChunkIndices: [0, 1],
    })),
  },
});

const cohere = (text: string, start: number, end: number, source: Json) => {
  const citation = {
    start,
    end,
    text: text.slice(start, end),
    type: "TEXT_CONTENT",
    content_index: 1,
    sources: [source],
  };
  const usage = { tokens: { input_tokens: 1, output_tokens: 1 } };
  return {
    type: "Cohere" as const,
    whole: {
      id: "x",
      finish_reason: "COMPLETE",
      message: {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm" },
          { type: "text", text },
        ],
        citations: [citation],
      },
      usage,
    },
    stream: [
      { type: "message-start", id: "x", delta: { message: { role: "assistant" } } },
      { type: "content-start", index: 0, delta: { message: { content: { type: "thinking", thinking: "h" } } } },
      { type: "content-delta", index: 0, delta: { message: { content: { thinking: "m" } } } },
      { type: "content-end", index: 0 },
      { type: "content-start", index: 1, delta: { message: { content: { type: "text", text: "" } } } },
      { type: "content-delta", index: 1, delta: { message: { content: { text } } } },
      { type: "citation-start", index: 0, delta: { message: { citations: citation } } },
      { type: "citation-end", index: 0 },
      { type: "content-end", index: 1 },
      { type: "message-end", delta: { finish_reason: "COMPLETE", usage } },
    ],
  };
};

interface Row {
  type: "OpenAICompatible" | "Anthropic" | "Gemini" | "Cohere";
  whole: Json;
  stream: Json[];
  /** Start and end of each citation. */
  expected: [number, number][];
}

const rows: Record<string, Row> = {
  "a chat that searched": {
    ...openAi("It is so.", [cited(0, 5), cited(6, 9)]),
    expected: [
      [0, 5],
      [6, 9],
    ],
  },
  "a search of Claude's": { ...anthropic(["It is "], ["so", found], ["."]), expected: [[6, 8]] },
  "a search result from the caller": { ...anthropic(["It is so", search]), expected: [[0, 8]] },
  "a search of Google's": { ...gemini(["It is ", "so."], grounding([6, 8])), expected: [[6, 8]] },
  "positions in bytes": {
    ...gemini(["Größe: ", "🎉 a", " b"], grounding([0, 7], [9, 13], [16, 17])),
    expected: [
      [0, 5],
      [7, 9],
      [12, 13],
    ],
  },
  "a position behind the end": { ...gemini(["so"], grounding([0, 99])), expected: [[0, 2]] },
  "a text that Gemini quotes": {
    ...gemini(["It is so"], {
      citationMetadata: { citationSources: [{ startIndex: 3, endIndex: 5, uri: url, title: "A" }] },
    }),
    expected: [[3, 5]],
  },
  "a document with an address, from Cohere": {
    ...cohere("It is so", 6, 8, { type: "document", id: "1", document: { id: "1", title: "A", url } }),
    expected: [[6, 8]],
  },
  "a tool's result with an address, from Cohere": {
    ...cohere("It is so", 0, 2, { type: "tool", id: "1", tool_output: { title: "A", url } }),
    expected: [[0, 2]],
  },
  "a document at a place that is no number, from Cohere": {
    ...cohere("It is so", Number.NaN, 2, { type: "document", id: "1", document: { title: "A", url } }),
    expected: [[0, 2]],
  },
  "a document without an address, from Cohere": {
    ...cohere("It is so", 0, 2, { type: "document", id: "1", document: { id: "1", snippet: "x" } }),
    expected: [],
  },
  "a page of a document": { ...anthropic(["It is so", page]), expected: [] },
};

function called(type: Row["type"], stream: boolean) {
  const target = { account: accountOf({}), model: modelOf({}) };
  const request = { model: "m", max_completion_tokens: 9, messages: [hello] };
  const call = translatedChat(providers[type] as Provider, request, target, { stream, deadlineMs: 1, seed: "s" });
  assert.ok(call !== null && !isRefusal(call), JSON.stringify(call));
  return call;
}

const framesOf = (text: string): Json[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)) as Json);

interface Part {
  annotations: Json[];
}

const partOf = (response: unknown): Part =>
  (response as { output: { type: string; content: Part[] }[] }).output.find(({ type }) => type === "message")
    ?.content[0] as Part;

describe("pages that an answer cites", () => {
  for (const [name, { type, whole, stream, expected }] of Object.entries(rows)) {
    const inChat = expected.map(([start, end]) => cited(start, end));
    const inPart = expected.map(([start, end]) => ofPart(start, end));

    it(`are in a whole answer: ${name}`, () => {
      const reply = called(type, false).decodeReply(whole, {});
      assert.ok("choices" in reply, JSON.stringify(reply));
      const [choice] = chat.encodeReply(reply, contextOf())["choices"] as { message: Partial<Part> }[];
      assert.deepEqual(choice?.message.annotations ?? [], inChat);
      assert.deepEqual(partOf(responses.encodeReply(reply, contextOf())).annotations, inPart);
    });

    it(`are in a stream: ${name}`, () => {
      const frames = stream.map((body) => `data: ${JSON.stringify(body)}\n\n`).join("");
      const end = type === "OpenAICompatible" ? "data: [DONE]\n\n" : "";
      const read = events(called(type, true).decoder(), Buffer.from(frames + end));
      const shown = (dialect: typeof chat): Json[] => {
        const encoder = dialect.encoder(contextOf());
        return framesOf(read.map((event) => encoder.encode(event)).join(""));
      };
      const deltas = shown(chat).flatMap((chunk) => chunk["choices"] as { delta: Partial<Part> }[]);
      assert.deepEqual(
        deltas.flatMap(({ delta }) => delta.annotations ?? []),
        inChat,
      );

      const named = shown(responses);
      const added = named.filter((event) => event["type"] === "response.output_text.annotation.added");
      assert.deepEqual(
        added.map((event) => event["annotation"]),
        inPart,
      );
      assert.deepEqual(
        added.map((event) => event["annotation_index"]),
        inPart.map((_, index) => index),
      );
      const done = named.findIndex((event) => event["type"] === "response.output_text.done");
      assert.ok(added.every((event) => named.indexOf(event) < done && event["item_id"] === named[done]?.["item_id"]));
      const part = named.find((event) => event["type"] === "response.content_part.done")?.["part"] as Part;
      assert.deepEqual(part.annotations, inPart);
      assert.deepEqual(partOf(named.at(-1)?.["response"]).annotations, inPart);
    });
  }

  it("have their place in their own part, after a call", () => {
    const encoder = responses.encoder(contextOf());
    const fn = { name: "f", arguments: "{}" };
    const deltas = [
      { content: "It " },
      { tool_calls: [{ index: 0, id: "a", function: fn }] },
      { content: "is so" },
      { annotations: [cited(6, 8)] },
    ];
    const sent = [...deltas.map((delta) => ({ kind: "delta" as const, choice: 0, delta })), { kind: "end" as const }];
    const named = framesOf(sent.map((event) => encoder.encode(event)).join(""));
    const response = named.at(-1)?.["response"] as { output: { content?: Part[] }[] } | undefined;
    assert.deepEqual(
      response?.output.map((item) => item.content?.[0]?.annotations),
      [[], undefined, [ofPart(3, 5)]],
    );
  });
});
