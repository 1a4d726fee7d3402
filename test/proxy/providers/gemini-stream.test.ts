import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import type { StreamEvent } from "../../../proxy/dialects/canonical.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc from "../../harness/property.ts";
import { everyByte } from "../dialects/splits.ts";
import { events } from "./drive.ts";
import { asked, call } from "./gemini-call.ts";

const frames = (...bodies: unknown[]): string => bodies.map((body) => `data: ${JSON.stringify(body)}\r\n\r\n`).join("");
const streamed = (text: string, cuts?: readonly number[]): StreamEvent[] =>
  events(call({}, { stream: true }).decoder(), Buffer.from(text), cuts);
const part = (one: JsonObject, more: JsonObject = {}, index?: number): JsonObject => ({
  candidates: [{ content: { role: "model", parts: [one] }, ...(index === undefined ? {} : { index }), ...more }],
  modelVersion: "gemini-3",
  responseId: "r1",
});
const start: StreamEvent = { kind: "start", id: "r1", model: "gemini-3" };
const usage = { prompt: 10, cachedPrompt: 0, cacheWrite: 0, completion: 6, reasoning: 2, estimated: false };
const usageMetadata = { promptTokenCount: 10, candidatesTokenCount: 4, thoughtsTokenCount: 2 };
const delta = (one: JsonObject, choice = 0): StreamEvent => ({ kind: "delta", choice, delta: one });
const done: StreamEvent[] = [{ kind: "usage", usage }, { kind: "end" }];

const streams: Record<string, [string, StreamEvent[]]> = {
  "text, with usage on every frame": [
    frames(
      { ...part({ text: "Grüß " }), usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 1 } },
      { ...part({ text: "Gott 🎉" }, { finishReason: "STOP" }), usageMetadata },
    ),
    [
      start,
      delta({ content: "Grüß " }),
      delta({ content: "Gott 🎉" }),
      { kind: "finish", choice: 0, reason: "stop" },
      ...done,
    ],
  ],
  "thoughts, then an answer cut short": [
    `: ping\r\n\r\n${frames(part({ text: "Hmm.", thought: true }), { ...part({ text: "42" }, { finishReason: "MAX_TOKENS" }), usageMetadata })}`,
    [
      start,
      delta({ reasoning_content: "Hmm." }),
      delta({ content: "42" }),
      { kind: "finish", choice: 0, reason: "length", native: "MAX_TOKENS" },
      ...done,
    ],
  ],
  "parallel calls, with STOP in a later frame": [
    frames(
      part({ functionCall: { name: "weather", args: { city: "Bern" } }, thoughtSignature: "c2ln" }),
      part({ functionCall: { name: "now", args: {} } }),
      {
        candidates: [{ finishReason: "STOP" }],
        usageMetadata,
      },
    ),
    [
      start,
      delta({ tool_calls: [{ index: 0, ...asked("call_0__thought__bc2ln", "weather", '{"city":"Bern"}') }] }),
      delta({ tool_calls: [{ index: 1, ...asked("call_1", "now", "{}") }] }),
      { kind: "finish", choice: 0, reason: "tool_calls", native: "STOP" },
      ...done,
    ],
  ],
  "two candidates": [
    frames(part({ text: "a" }, { finishReason: "STOP" }), part({ text: "b" }, { finishReason: "SAFETY" }, 1)),
    [
      start,
      delta({ content: "a" }),
      delta({ content: "b" }, 1),
      { kind: "finish", choice: 0, reason: "stop" },
      { kind: "finish", choice: 1, reason: "content_filter", native: "SAFETY" },
      { kind: "end" },
    ],
  ],
  "a blocked prompt": [
    frames({ promptFeedback: { blockReason: "SAFETY" }, usageMetadata, responseId: "r1", modelVersion: "gemini-3" }),
    [start, { kind: "finish", choice: 0, reason: "content_filter", native: "SAFETY" }, ...done],
  ],
};

describe("Gemini's stream", () => {
  for (const [name, [text, expected]] of Object.entries(streams)) {
    test(`of ${name}, split at every byte`, () => {
      assert.deepEqual(streamed(text), expected);
      assert.deepEqual(streamed(text, everyByte(text)), expected);
    });
  }

  test("gives the same events at any split", () => {
    const cases = Object.values(streams);
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.array(fc.nat(), { maxLength: 40 }), ([text, expected], cuts) => {
        assert.deepEqual(streamed(text, cuts), expected);
      }),
    );
  });

  const broken: Record<string, [string, string, number]> = {
    "closed before a finish reason": [
      frames({ ...part({ text: "a" }), usageMetadata }),
      "upstream_stream_truncated",
      1,
    ],
    "closed with one candidate unfinished": [
      frames(part({ text: "a" }, { finishReason: "STOP" }), part({ text: "b" }, {}, 1)),
      "upstream_stream_truncated",
      0,
    ],
    "closed at once": ["", "upstream_stream_truncated", 0],
    "closed within a frame": [
      frames(part({ text: "a" }, { finishReason: "STOP" })).slice(0, -3),
      "upstream_stream_truncated",
      0,
    ],
    "with a malformed call": [
      frames({ ...part({ text: "a" }, { finishReason: "MALFORMED_FUNCTION_CALL" }), usageMetadata }),
      "upstream_error",
      1,
    ],
    "with an error frame": [
      frames(
        { ...part({ text: "a" }), usageMetadata },
        { error: { code: 503, message: "Overloaded.", status: "UNAVAILABLE" } },
      ),
      "upstream_unavailable",
      1,
    ],
    "with an error in an array": [
      frames([{ error: { code: 429, message: "Slow.", status: "RESOURCE_EXHAUSTED" } }]),
      "upstream_rate_limited",
      0,
    ],
    "with an error about the key": [
      frames({ error: { code: 401, message: "key AIza-secret", status: "UNAUTHENTICATED" } }),
      "upstream_auth_error",
      0,
    ],
    "that is no JSON": ["data: {\n\n", "upstream_invalid_response", 0],
    "that holds a number": ["data: 1\n\n", "upstream_invalid_response", 0],
  };
  for (const [name, [text, code, usages]] of Object.entries(broken)) {
    test(`${name} is a failure, with its usage`, () => {
      const all = streamed(text);
      const last = all.at(-1);
      assert.equal(last?.kind === "error" && last.error.code, code);
      assert.equal(all.filter((event) => event.kind === "usage").length, usages);
      assert.ok(all.every((event) => event.kind !== "finish" && event.kind !== "end"));
      assert.ok(!JSON.stringify(all).includes("AIza"));
    });
  }
});
