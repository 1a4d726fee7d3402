/**
 * What a provider documents of an answer besides its text, whole and streamed, in each client's API: both ways of
 * answering show the same.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import type { Dialect, ReplyContext } from "../../../proxy/dialects/dialect.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { ChatCall, Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import type { Json } from "../../harness/strict/json.ts";
import { anthropic, openai } from "../dialects/sdk.ts";
import { at, type Format, options, type Type, upstreams } from "./documented.ts";
import { accountOf, events, modelOf } from "./drive.ts";
import { frame } from "./wire/bedrock.ts";

/** A frame of a stream that has a name in its `type`. */
const named = (...bodies: Json[]): string =>
  bodies.map((body) => `event: ${String(body["type"])}\ndata: ${JSON.stringify(body)}\n\n`).join("");
const data = (...bodies: (Json | string)[]): string =>
  bodies.map((body) => `data: ${typeof body === "string" ? body : JSON.stringify(body)}\n\n`).join("");

interface Answer {
  whole: Json;
  stream: string | Buffer;
}

/** Claude's answer of some blocks. */
function claude(blocks: readonly { block: Json; deltas?: Json[] }[], end: Json, usage: Json = {}): Answer {
  const message = { id: "msg_1", type: "message", role: "assistant", model: "claude" };
  const counts = { input_tokens: 10, output_tokens: 5, ...usage };
  const streamed = blocks.flatMap(({ block, deltas = [] }, index) => {
    const { text: _text, input: _input, thinking: _thinking, signature: _signature, ...start } = block;
    return [
      {
        type: "content_block_start",
        index,
        content_block: {
          ...start,
          ...("text" in block ? { text: "" } : {}),
          ...("input" in block ? { input: {} } : {}),
        },
      },
      ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
      { type: "content_block_stop", index },
    ];
  });
  return {
    whole: { ...message, content: blocks.map(({ block }) => block), ...end, usage: counts },
    stream: named(
      { type: "message_start", message: { ...message, content: [], stop_reason: null, usage: counts } },
      ...streamed,
      { type: "message_delta", delta: end, usage: { output_tokens: 5 } },
      { type: "message_stop" },
    ),
  };
}
const says = (text: string) => ({ block: { type: "text", text }, deltas: [{ type: "text_delta", text }] });
const searches = {
  block: { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } },
  deltas: [{ type: "input_json_delta", partial_json: '{"query":"q"}' }],
};

/** Gemini's answer in one piece. */
const gemini = (candidate: Json, usage: Json = {}): Answer => {
  const whole = {
    candidates: [{ index: 0, content: { role: "model", parts: [{ text: "a" }] }, ...candidate }],
    usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5, ...usage },
    modelVersion: "gemini-2.5-flash",
    responseId: "r1",
  };
  return { whole, stream: data(whole) };
};

/** The answer of a server in OpenAI's format. */
const chat = (message: Json, choice: Json, body: Json = {}): Answer => {
  const shared = { id: "chatcmpl-1", created: 7, model: "x", ...body };
  const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
  return {
    whole: { ...shared, choices: [{ index: 0, message: { role: "assistant", ...message }, ...choice }], usage },
    stream: data(
      { ...shared, choices: [{ index: 0, delta: { role: "assistant", ...message }, finish_reason: null }] },
      { ...shared, choices: [{ index: 0, delta: {}, ...choice }] },
      { ...shared, choices: [], usage },
      "[DONE]",
    ),
  };
};

const converse = (stopReason: string, more: Json = {}): Answer => {
  const usage = { inputTokens: 3, outputTokens: 2, totalTokens: 5 };
  return {
    whole: { output: { message: { role: "assistant", content: [{ text: "a" }] } }, stopReason, usage, ...more },
    stream: Buffer.concat([
      frame("messageStart", { role: "assistant" }),
      frame("contentBlockDelta", { contentBlockIndex: 0, delta: { text: "a" } }),
      frame("contentBlockStop", { contentBlockIndex: 0 }),
      frame("messageStop", { stopReason }),
      frame("metadata", { usage, metrics: { latencyMs: 1 }, ...more }),
    ]),
  };
};

const source = {
  type: "document",
  id: "doc:0",
  document: { id: "doc:0", title: "T", url: "https://x.test" },
};
const citation = { start: 6, end: 8, text: "so", sources: [source], type: "TEXT_CONTENT" };
const counted = {
  billed_units: { input_tokens: 1, output_tokens: 2 },
  tokens: { input_tokens: 3, output_tokens: 2 },
};

const cohere = (finish_reason: string): Answer => ({
  whole: {
    id: "c1",
    finish_reason,
    message: {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm" },
        { type: "text", text: "It is so" },
      ],
      citations: [citation],
    },
    usage: counted,
  },
  stream: named(
    { type: "message-start", id: "c1", delta: { message: { role: "assistant" } } },
    { type: "content-start", index: 0, delta: { message: { content: { type: "thinking", thinking: "" } } } },
    { type: "content-delta", index: 0, delta: { message: { content: { thinking: "hm" } } } },
    { type: "content-end", index: 0 },
    { type: "content-start", index: 1, delta: { message: { content: { type: "text", text: "" } } } },
    { type: "content-delta", index: 1, delta: { message: { content: { text: "It is so" } } } },
    { type: "content-end", index: 1 },
    { type: "citation-start", index: 0, delta: { message: { citations: citation } } },
    { type: "citation-end", index: 0 },
    { type: "message-end", delta: { finish_reason, usage: counted } },
  ),
});

interface Row {
  type: Type;
  answer: Answer;
  /** Path in the client's answer → value. */
  facts: Partial<Record<Format, Record<string, unknown>>>;
}

/** An end in the words of each API. */
const ended = (reason: string, native: string | undefined, stop: string): Row["facts"] => ({
  "openai.chat": { "choices.0.finish_reason": reason, "choices.0.native_finish_reason": native },
  "openai.responses":
    reason === "stop"
      ? { status: "completed", incomplete_details: null }
      : {
          status: "incomplete",
          incomplete_details: { reason: reason === "length" ? "max_output_tokens" : "content_filter" },
        },
  "anthropic.messages": { stop_reason: stop },
});

/** A provider's reasons → OpenAI's and Anthropic's. */
const ends: Partial<Record<Type, Record<string, [reason: string, stop: string]>>> = {
  Anthropic: {
    end_turn: ["stop", "end_turn"],
    max_tokens: ["length", "max_tokens"],
    model_context_window_exceeded: ["length", "model_context_window_exceeded"],
    pause_turn: ["length", "pause_turn"],
    compaction: ["length", "compaction"],
    refusal: ["content_filter", "refusal"],
  },
  Bedrock: {
    end_turn: ["stop", "end_turn"],
    stop_sequence: ["stop", "stop_sequence"],
    max_tokens: ["length", "max_tokens"],
    model_context_window_exceeded: ["length", "model_context_window_exceeded"],
    content_filtered: ["content_filter", "refusal"],
    guardrail_intervened: ["content_filter", "refusal"],
  },
  Gemini: {
    STOP: ["stop", "end_turn"],
    OTHER: ["stop", "end_turn"],
    MAX_TOKENS: ["length", "max_tokens"],
    SAFETY: ["content_filter", "refusal"],
    RECITATION: ["content_filter", "refusal"],
    LANGUAGE: ["content_filter", "refusal"],
    BLOCKLIST: ["content_filter", "refusal"],
    PROHIBITED_CONTENT: ["content_filter", "refusal"],
    SPII: ["content_filter", "refusal"],
    MODEL_ARMOR: ["content_filter", "refusal"],
  },
  Cohere: {
    COMPLETE: ["stop", "end_turn"],
    STOP_SEQUENCE: ["stop", "end_turn"],
    MAX_TOKENS: ["length", "max_tokens"],
  },
  Mistral: { stop: ["stop", "end_turn"], length: ["length", "max_tokens"], model_length: ["length", "max_tokens"] },
  Watsonx: { stop: ["stop", "end_turn"], length: ["length", "max_tokens"], time_limit: ["length", "max_tokens"] },
  OpenAICompatible: {
    stop: ["stop", "end_turn"],
    eos_token: ["stop", "end_turn"],
    length: ["length", "max_tokens"],
    repetition: ["length", "max_tokens"],
    content_filter: ["content_filter", "refusal"],
    sensitive: ["content_filter", "refusal"],
    SAFETY: ["content_filter", "refusal"],
    new_reason: ["stop", "end_turn"],
  },
};

const answerThatEnds = (type: Type, native: string): Answer => {
  if (type === "Anthropic") return claude([says("a")], { stop_reason: native, stop_sequence: null });
  if (type === "Bedrock") return converse(native);
  if (type === "Gemini") return gemini({ finishReason: native });
  return type === "Cohere" ? cohere(native) : chat({ content: "a" }, { finish_reason: native });
};

/** Words of a provider that say no more than OpenAI's. */
const sameWords: ReadonlySet<string> = new Set(["STOP", "COMPLETE", "TOOL_CALL"]);

const endRows = (): Record<string, Row> =>
  Object.fromEntries(
    Object.entries(ends).flatMap(([type, reasons]) =>
      Object.entries(reasons).map(([native, [reason, stop]]): [string, Row] => [
        `${type} ends with ${native}`,
        {
          type: type as Type,
          answer: answerThatEnds(type as Type, native),
          facts: ended(reason, native === reason || sameWords.has(native) ? undefined : native, stop),
        },
      ]),
    ),
  );

const tiers = (tier: string): Row["facts"] => ({
  "openai.chat": { service_tier: tier },
  "openai.responses": { service_tier: tier },
});

const pageCited: Row["facts"] = {
  "openai.chat": {
    "choices.0.message.annotations": [
      { type: "url_citation", url_citation: { start_index: 6, end_index: 8, title: "T", url: "https://x.test" } },
    ],
  },
  "openai.responses": {
    "output.1.content.0.annotations": [
      { type: "url_citation", start_index: 6, end_index: 8, title: "T", url: "https://x.test" },
    ],
  },
};

const rating = { category: "HARM_CATEGORY_HARASSMENT", probability: "LOW" };

const rows: Record<string, Row> = {
  ...endRows(),
  "a turn that is paused before its search has results": {
    type: "Anthropic",
    answer: claude([searches], { stop_reason: "pause_turn", stop_sequence: null }),
    facts: {
      "openai.responses": { "output.0.action": { type: "search", query: "q" }, status: "incomplete" },
      "anthropic.messages": { "content.0.input": { query: "q" }, stop_reason: "pause_turn" },
    },
  },
  "Claude's explanation of a refusal": {
    type: "Anthropic",
    answer: claude([], { stop_reason: "refusal", stop_details: { type: "refusal", explanation: "no" } }),
    facts: {
      "openai.chat": { "choices.0.message.refusal": "no", "choices.0.finish_reason": "content_filter" },
      "openai.responses": { "output.0.content.0.refusal": "no" },
      "anthropic.messages": { content: [{ type: "text", text: "no" }], stop_reason: "refusal" },
    },
  },
  "Claude's tier": {
    type: "Anthropic",
    answer: claude([says("a")], { stop_reason: "end_turn", stop_sequence: null }, { service_tier: "priority" }),
    facts: tiers("priority"),
  },
  "Google's tier": {
    type: "Gemini",
    answer: gemini({ finishReason: "STOP" }, { serviceTier: "FLEX" }),
    facts: tiers("flex"),
  },
  "AWS's tier": {
    type: "Bedrock",
    answer: converse("end_turn", { serviceTier: { type: "priority" } }),
    facts: tiers("priority"),
  },
  "the tier of a server in OpenAI's format": {
    type: "OpenAICompatible",
    answer: chat({ content: "a" }, { finish_reason: "stop" }, { service_tier: "priority" }),
    facts: tiers("priority"),
  },
  "the fingerprint of a server in OpenAI's format": {
    type: "OpenAICompatible",
    answer: chat({ content: "a" }, { finish_reason: "stop" }, { system_fingerprint: "fp" }),
    facts: { "openai.chat": { system_fingerprint: "fp", id: "chatcmpl-1" } },
  },
  "what Google rates": {
    type: "Gemini",
    answer: gemini({ finishReason: "STOP", safetyRatings: [rating] }),
    facts: {
      "openai.chat": { "choices.0.message.safety_ratings": [rating] },
      "anthropic.messages": { content: [{ type: "text", text: "a" }] },
    },
  },
  "where Cohere's text comes from": {
    type: "Cohere",
    answer: cohere("COMPLETE"),
    facts: { "openai.chat": { "choices.0.message.citations": [citation] } },
  },
  "what Cohere cites after thinking": { type: "Cohere", answer: cohere("COMPLETE"), facts: pageCited },
};

function called(type: Type, format: Format, stream: boolean) {
  const dialect = dialects[format];
  const plain = format === "openai.responses" ? { input: "x" } : { messages: [{ role: "user", content: "x" }] };
  const body = { model: "m", ...(format === "anthropic.messages" ? { max_tokens: 10 } : {}), ...plain };
  const request = dialect?.decode(body);
  assert.ok(dialect !== undefined && request !== undefined && !isRefusal(request));
  const target = { account: accountOf({ options }), model: modelOf({ upstream: upstreams[type] }) };
  const made = translatedChat(providers[type] as Provider, request, target, { stream, deadlineMs: 1, seed: "s" });
  assert.ok(made !== null && !isRefusal(made));
  const context = { model: "m", fallbackId: "id", createdSeconds: 1, includeUsage: true, request, body };
  return { dialect, made, context };
}

interface Called {
  dialect: Dialect;
  made: ChatCall;
  context: ReplyContext;
}

function wholeAnswer({ dialect, made, context }: Called, { whole }: Answer): unknown {
  const reply = made.decodeReply(whole, {});
  assert.ok("choices" in reply, JSON.stringify(reply));
  return dialect.encodeReply(reply, context);
}

/** What the API's own SDK makes of the stream. */
async function streamedAnswer(
  format: Format,
  { dialect, made, context }: Called,
  { stream }: Answer,
): Promise<unknown> {
  const encoder = dialect.encoder(context);
  const text = events(made.decoder(), Buffer.from(stream))
    .map((event) => {
      assert.notEqual(event.kind, "error", JSON.stringify(event));
      return encoder.encode(event);
    })
    .join("");
  const messages = [{ role: "user" as const, content: "x" }];
  if (format === "anthropic.messages")
    return anthropic(text).messages.stream({ model: "m", max_tokens: 10, messages }).finalMessage();
  if (format === "openai.responses") return openai(text).responses.stream({ model: "m", input: "x" }).finalResponse();
  return openai(text)
    .chat.completions.stream({ model: "m", messages, stream_options: { include_usage: true } })
    .finalChatCompletion();
}

describe("a documented field of an answer", () => {
  for (const [name, { type, answer, facts }] of Object.entries(rows))
    for (const [format, expected] of Object.entries(facts) as [Format, Record<string, unknown>][])
      it(`reaches ${format}: ${name}`, async () => {
        const shown = {
          whole: wholeAnswer(called(type, format, false), answer),
          streamed: await streamedAnswer(format, called(type, format, true), answer),
        };
        for (const [way, body] of Object.entries(shown))
          for (const [path, value] of Object.entries(expected))
            assert.deepEqual(at(body, path), value, `${way}: ${path} in ${JSON.stringify(body)}`);
      });

  it("reaches anthropic.messages: a tier, which its streams say at their start or not at all", () => {
    const whole = (tier: string) => {
      const { whole } = converse("end_turn", { serviceTier: { type: tier } });
      return at(
        wholeAnswer(called("Bedrock", "anthropic.messages", false), { whole, stream: "" }),
        "usage.service_tier",
      );
    };
    assert.deepEqual(["priority", "flex", "default"].map(whole), ["priority", undefined, undefined]);
  });

  for (const reason of ["error", "cancelled", "abort", "insufficient_system_resource", "network_error"])
    it(`is no answer where a server broke it off: ${reason}`, () => {
      const answer = chat({ content: "a" }, { finish_reason: reason });
      const { made } = called("OpenAICompatible", "openai.chat", false);
      assert.ok("class" in made.decodeReply(answer.whole, {}));
      const streamed = events(made.decoder(), Buffer.from(answer.stream));
      assert.equal(streamed.at(-1)?.kind, "error");
    });
});
