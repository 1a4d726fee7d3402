/** What counts as an answer: the same for whole answers and streams, and for bytes that are skimmed or parsed. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { type WireFormat, wireFormats } from "../../../proxy/config/capabilities.ts";
import { OpenAiObserver } from "../../../proxy/dialects/openai-chat/observer.ts";
import { flatError, judgeReply, progressOfChunk } from "../../../proxy/dialects/verdict/answer.ts";
import { progressFromText, surelyAnswer } from "../../../proxy/dialects/verdict/skim.ts";
import fc, { runs } from "../../harness/property.ts";

const message = { role: "assistant", content: "Hi" };

const whole: Partial<Record<WireFormat, Record<string, [body: unknown, kind: string]>>> = {
  "openai.chat": {
    "a text": [{ choices: [{ message, finish_reason: "stop" }] }, "answer"],
    "an empty text with its end": [{ choices: [{ message: { content: "" }, finish_reason: "stop" }] }, "answer"],
    "a tool call": [
      { choices: [{ message: { content: null, tool_calls: [{ id: "c" }] }, finish_reason: "tool_calls" }] },
      "answer",
    ],
    "a text without an end": [{ choices: [{ message }] }, "answer"],
    "an error of null": [{ error: null, choices: [{ message, finish_reason: "stop" }] }, "answer"],
    "no choices": [{ choices: [] }, "empty"],
    "no choices, and billed": [{ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } }, "answer"],
    "a choice with nothing in it": [{ choices: [{ message: { role: "assistant", content: null } }] }, "empty"],
    "an empty object": [{}, "empty"],
    "usage alone": [{ usage: { prompt_tokens: 1 } }, "empty"],
    "a list": [[], "empty"],
    "a text instead of JSON's object": ["hello", "empty"],
    "an error": [{ error: { message: "overloaded", code: 503 } }, "error"],
    "an error next to choices": [{ error: { message: "x" }, choices: [{ message, finish_reason: "stop" }] }, "error"],
    "an error of a word": [{ error: "overloaded" }, "error"],
    "vLLM's flat error": [{ object: "error", message: "x", code: 400 }, "error"],
    "FastAPI's error": [{ detail: "Internal Server Error" }, "error"],
    "a finish of error": [{ choices: [{ message, finish_reason: "error" }] }, "error"],
    "OpenRouter's choice with an error": [{ choices: [{ message, error: { code: 502, message: "x" } }] }, "error"],
    "a cancelled choice": [{ choices: [{ message, finish_reason: "cancelled" }] }, "error"],
    "an aborted choice": [{ choices: [{ message, finish_reason: "abort" }] }, "error"],
    "DeepSeek's lack of room": [{ choices: [{ message, finish_reason: "insufficient_system_resource" }] }, "error"],
    "a second choice that failed": [
      {
        choices: [
          { message, finish_reason: "stop" },
          { message, finish_reason: "abort" },
        ],
      },
      "error",
    ],
  },
  "openai.completions": {
    "a text": [{ choices: [{ text: "Hi", finish_reason: "stop" }] }, "answer"],
    "no choices": [{ choices: [] }, "empty"],
    "an error": [{ error: { message: "x" } }, "error"],
  },
  "openai.embeddings": {
    vectors: [{ data: [{ embedding: [0.5] }] }, "answer"],
    "no vectors": [{ data: [] }, "empty"],
    "an error": [{ error: { message: "x" } }, "error"],
  },
  "openai.responses": {
    "an output": [{ status: "completed", error: null, output: [{ type: "message" }] }, "answer"],
    "a background job": [{ status: "queued", error: null, output: [] }, "answer"],
    "an answer cut off by its limit": [{ status: "incomplete", output: [], incomplete_details: {} }, "answer"],
    "a failed response": [{ status: "failed", error: { code: "server_error", message: "x" }, output: [] }, "error"],
    "a failed response without a reason": [{ status: "failed", error: null, output: [] }, "error"],
    "nothing at all": [{ status: "completed", output: [], usage: null }, "empty"],
  },
  "anthropic.messages": {
    "a text": [{ type: "message", content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn" }, "answer"],
    "a turn without words": [{ type: "message", content: [], stop_reason: "end_turn" }, "answer"],
    "no content and no end": [{ type: "message", content: [] }, "empty"],
    "an error": [{ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, "error"],
  },
};

describe("a whole answer", () => {
  for (const [format, rows] of Object.entries(whole)) {
    for (const [what, [body, kind]] of Object.entries(rows)) {
      it(`${format}: ${what}`, () => {
        assert.equal(judgeReply(format as WireFormat, body).kind, kind);
        for (const indent of [0, 2]) {
          const skimmed = surelyAnswer(format as WireFormat, Buffer.from(JSON.stringify(body, null, indent)));
          if (skimmed) assert.equal(kind, "answer", "what is skimmed as one is one");
        }
      });
    }
  }

  it("is mostly told without parsing it", () => {
    const usual = { choices: [{ message: { role: "assistant", content: 'an "error" said' }, finish_reason: "stop" }] };
    assert.equal(surelyAnswer("openai.chat", Buffer.from(JSON.stringify(usual))), true);
  });

  it("is never taken for one by its bytes where parsing says otherwise", () => {
    const words = fc.constantFrom(
      "error",
      "choices",
      "content",
      "output",
      "data",
      "stop",
      '"choices":[{',
      "failed",
      "",
    );
    const leaf = fc.oneof(words, fc.constant(null), fc.integer(), fc.boolean());
    const name = fc.constantFrom(
      "error",
      "errors",
      "choices",
      "content",
      "output",
      "data",
      "status",
      "finish_reason",
      "stop_reason",
      "message",
      "type",
      "object",
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.array(tie("value"), { maxLength: 2 }),
        fc.dictionary(name, tie("value"), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(fc.constantFrom(...wireFormats), fc.dictionary(name, value), (format, body) => {
        // A member of the same name further down may stand for the answer's own: only errors are never overlooked.
        const verdict = judgeReply(format, body);
        if (verdict.kind === "error" && body["error"])
          assert.equal(surelyAnswer(format, Buffer.from(JSON.stringify(body))), false);
      }),
      { numRuns: runs(3_000) },
    );
  });
});

describe("a chunk of a chat's stream", () => {
  const chunk = (delta: object, finish: string | null = null, more: object = {}): string =>
    `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta, finish_reason: finish }], ...more })}\n\n`;

  for (const [what, text, expected] of [
    ["a role", chunk({ role: "assistant", content: "" }), "waiting"],
    ["OpenAI's role", chunk({ role: "assistant", content: "", refusal: null }), "waiting"],
    ["a role without content", chunk({ role: "assistant", content: null }), "waiting"],
    ["words", chunk({ content: "Hi" }), "begun"],
    ["a quote", chunk({ content: '"' }), "begun"],
    ["a role and words", chunk({ role: "assistant", content: "Hi" }), "begun"],
  ] as const)
    it(`with ${what} is read without parsing it`, () => assert.equal(progressFromText(text), expected));

  it("that is cut off is not read by its bytes", () =>
    assert.equal(progressFromText('data: {"choices":[{"delta":{"content":"Hi"\n\n'), null));

  it("is never read by its bytes as parsing would not", () => {
    const word = fc.constantFrom("", "x", '"', "error", '"delta":{"content":"x"', '"choices":[{', "assistant", "stop");
    const leaf = fc.oneof(word, fc.constant(null), fc.integer({ min: 0, max: 3 }));
    const names = fc.constantFrom("role", "content", "refusal", "delta", "error", "tool_calls", "text", "annotations");
    const delta = fc.oneof(
      fc.record({ role: fc.constant("assistant"), content: leaf }, { requiredKeys: [] }),
      fc.record({ role: fc.constant("assistant"), content: leaf, refusal: leaf }, { requiredKeys: ["role"] }),
      fc.dictionary(names, fc.oneof(leaf, fc.dictionary(names, leaf, { maxKeys: 2 }), fc.array(leaf)), { maxKeys: 3 }),
    );
    const choice = fc.record(
      { index: leaf, delta, finish_reason: leaf, text: leaf, message: delta, error: delta, audio: delta },
      { requiredKeys: ["delta"] },
    );
    const body = fc.record(
      { id: word, choices: fc.array(choice, { maxLength: 3 }), error: leaf, usage: delta, detail: word, nested: delta },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(body, (value) => {
        const skimmed = progressFromText(`data: ${JSON.stringify(value)}\n\n`);
        if (skimmed === null) return;
        assert.equal(flatError(value), null);
        assert.equal(skimmed, progressOfChunk(value));
      }),
      { numRuns: runs(5_000) },
    );
  });
});

describe("a stream's reason to end that is a failure", () => {
  const text = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;
  const finish = (reason: string): object => ({ choices: [{ index: 0, delta: {}, finish_reason: reason }] });
  const hi = text({ choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: null }] });
  for (const reason of ["error", "cancelled", "abort", "insufficient_system_resource"])
    for (const [what, frames] of [
      ["before any content", text(finish(reason))],
      ["behind content", hi + text(finish(reason))],
      ["with content", text({ choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: reason }] })],
      ["in a frame of several lines", `${hi}id: 1\n${text(finish(reason))}`],
      ["with blanks", `${hi}data: ${JSON.stringify(finish(reason), null, 1).replaceAll("\n", "")}\n\n`],
    ] as const)
      it(`${reason} ${what}`, () => {
        const observer = new OpenAiObserver({ hideUsage: true, contentMarker: '"content":"' });
        observer.push(Buffer.from(`${frames}data: [DONE]\n\n`));
        assert.notEqual(observer.error, null);
      });
  for (const reason of ["stop", "length", "tool_calls", "content_filter", "model_length"])
    it(`${reason} is none`, () => {
      const observer = new OpenAiObserver({ hideUsage: true, contentMarker: '"content":"' });
      observer.push(Buffer.from(`${hi}${text(finish(reason))}data: [DONE]\n\n`));
      assert.deepEqual([observer.error, observer.contentEnded, observer.ended], [null, true, true]);
    });
});
