import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import type { ChatReply } from "../../../proxy/dialects/canonical.ts";
import { provider } from "../../../proxy/providers/gemini/index.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc from "../../harness/property.ts";
import { events } from "./drive.ts";
import { asked, call, errorReply } from "./gemini-call.ts";

function replyOf(body: unknown): ChatReply {
  const reply = call().decodeReply(body, {});
  assert.ok("choices" in reply, JSON.stringify(reply));
  return reply;
}

const candidate = (parts: unknown[], finishReason = "STOP"): JsonObject => ({
  candidates: [{ content: { role: "model", parts }, finishReason }],
});

describe("Gemini's answer", () => {
  test("becomes a reply with thoughts, text and usage", () => {
    const reply = replyOf({
      ...candidate([{ text: "Hmm.", thought: true }, { text: "Grüß " }, { text: "Gott", thoughtSignature: "c2ln" }]),
      usageMetadata: {
        promptTokenCount: 10,
        toolUsePromptTokenCount: 2,
        cachedContentTokenCount: 4,
        candidatesTokenCount: 5,
        thoughtsTokenCount: 3,
      },
      modelVersion: "gemini-2.5-flash-001",
      responseId: "r1",
    });
    assert.deepEqual(reply, {
      id: "r1",
      created: 0,
      model: "gemini-2.5-flash-001",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Grüß Gott", reasoning_content: "Hmm." },
          finish_reason: "stop",
        },
      ],
      usage: { prompt: 12, cachedPrompt: 4, cacheWrite: 0, completion: 8, reasoning: 3, estimated: false },
    });
  });

  test("with calls has ids of its own, unique across candidates, that carry the signature", () => {
    const fc1 = { functionCall: { name: "weather", args: { city: "Bern" } }, thoughtSignature: "c2ln" };
    const reply = replyOf({
      candidates: [
        {
          content: { parts: [fc1, { functionCall: { name: "now" } }, { functionCall: { id: "up-1", name: "now" } }] },
          finishReason: "STOP",
        },
        {
          index: 1,
          content: { parts: [{ functionCall: { id: "up-1", name: "now", args: {} } }] },
          finishReason: "STOP",
        },
      ],
    });
    assert.deepEqual(
      reply.choices.map(({ index, message, finish_reason, native_finish_reason }) => ({
        index,
        message,
        finish_reason,
        native_finish_reason,
      })),
      [
        {
          index: 0,
          message: {
            role: "assistant",
            content: null,
            tool_calls: [
              asked("call_0__thought__bc2ln", "weather", '{"city":"Bern"}'),
              asked("call_1", "now", "{}"),
              asked("up-1", "now", "{}"),
            ],
          },
          finish_reason: "tool_calls",
          native_finish_reason: "STOP",
        },
        {
          index: 1,
          message: { role: "assistant", content: null, tool_calls: [asked("call_2", "now", "{}")] },
          finish_reason: "tool_calls",
          native_finish_reason: "STOP",
        },
      ],
    );
  });

  test("with logprobs has them in OpenAI's form", () => {
    const result = {
      chosenCandidates: [{ token: "a", logProbability: -0.1 }],
      topCandidates: [
        {
          candidates: [
            { token: "a", logProbability: -0.1 },
            { token: "b", logProbability: -2 },
          ],
        },
      ],
    };
    const reply = replyOf({
      candidates: [{ content: { parts: [{ text: "a" }] }, finishReason: "STOP", logprobsResult: result }],
    });
    const entry = (token: string, logprob: number) => ({ token, logprob, bytes: null });
    assert.deepEqual(reply.choices[0]?.logprobs, {
      content: [{ ...entry("a", -0.1), top_logprobs: [entry("a", -0.1), entry("b", -2)] }],
      refusal: null,
    });
  });

  const finishes: Record<string, string> = {
    STOP: "stop",
    OTHER: "stop",
    FINISH_REASON_UNSPECIFIED: "stop",
    MAX_TOKENS: "length",
    SAFETY: "content_filter",
    RECITATION: "content_filter",
    IMAGE_SAFETY: "content_filter",
    toString: "stop",
  };
  for (const [native, reason] of Object.entries(finishes)) {
    test(`${native} is ${reason}`, () => {
      const choice = replyOf(candidate([{ text: "x" }], native)).choices[0];
      assert.equal(choice?.finish_reason, reason);
      assert.equal(choice?.native_finish_reason, native === "STOP" ? undefined : native);
    });
  }

  test("to a blocked prompt is an empty choice", () => {
    assert.deepEqual(replyOf({ promptFeedback: { blockReason: "PROHIBITED_CONTENT" } }).choices, [
      {
        index: 0,
        message: { role: "assistant", content: null },
        finish_reason: "content_filter",
        native_finish_reason: "PROHIBITED_CONTENT",
      },
    ]);
  });

  const failed: Record<string, [unknown, string]> = {
    "a malformed call": [candidate([], "MALFORMED_FUNCTION_CALL"), "upstream_error"],
    "an unexpected call": [candidate([], "UNEXPECTED_TOOL_CALL"), "upstream_error"],
    "no candidates": [{ usageMetadata: {} }, "upstream_invalid_response"],
    "a list": [[], "upstream_invalid_response"],
    "a text": ["x", "upstream_invalid_response"],
  };
  for (const [name, [body, code]] of Object.entries(failed)) {
    test(`${name} is an error`, () => {
      const reply = call().decodeReply(body, {});
      assert.ok("code" in reply);
      assert.equal(reply.code, code);
    });
  }

  const json = fc.letrec((tie) => ({
    any: fc.oneof({ maxDepth: 6 }, fc.jsonValue(), tie("object"), fc.array(tie("any"), { maxLength: 3 })),
    object: fc.dictionary(
      fc.constantFrom(
        "candidates",
        "content",
        "parts",
        "text",
        "functionCall",
        "args",
        "finishReason",
        "usageMetadata",
        "promptFeedback",
        "blockReason",
        "index",
        "id",
        "name",
      ),
      tie("any"),
      { maxKeys: 4 },
    ),
  })).object;

  test("gives a reply or an error for any JSON and never throws", () => {
    fc.assert(
      fc.property(fc.oneof(json, fc.jsonValue()), (body) => {
        const reply = call().decodeReply(body, {});
        assert.ok("choices" in reply || "class" in reply);
        JSON.stringify(reply);
        events(call().decoder(), Buffer.from(`data: ${JSON.stringify(body)}\n\n`));
        provider.decodeError(errorReply(400, body));
      }),
    );
    const deep: unknown = JSON.parse(
      `{"candidates":[{"content":{"parts":[{"functionCall":{"args":${"[".repeat(9_000)}${"]".repeat(9_000)}}}]}}]}`,
    );
    assert.partialDeepStrictEqual(call().decodeReply(deep, {}), { code: "upstream_invalid_response" });
  });
});
