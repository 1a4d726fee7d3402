/** The words of answers, and how much two of them have in common. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import type { WireFormat } from "../../proxy/config/capabilities.ts";
import { answerText } from "../../proxy/shadow/answer-text.ts";
import { similarity } from "../../proxy/shadow/similarity.ts";
import { cpuMsOf } from "../harness/cpu-time.ts";
import fc from "../harness/property.ts";

describe("similarity", () => {
  const rows: readonly [left: string, right: string, least: number, most: number][] = [
    ["", "", 1, 1],
    ["Yes.", "yes", 1, 1],
    ["Paris", "", 0, 0],
    ["The capital is Paris.", "The capital is Paris", 1, 1],
    ["The capital is Paris.", "The capital of France is Paris.", 0.6, 0.9],
    ["The capital is Paris.", "Bananas are yellow.", 0, 0],
    ["one two three", "three two one", 0.4, 0.7],
    ["東京は首都です", "東京が首都です", 0.5, 0.95],
    ["東京は首都です", "大阪", 0, 0.1],
  ];
  for (const [left, right, least, most] of rows)
    it(`of ${JSON.stringify(left)} and ${JSON.stringify(right)}`, () => {
      const value = similarity(left, right);
      assert.ok(value >= least && value <= most, String(value));
    });

  it("is symmetrical, from 0 to 1, and 1 for the same text", () =>
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (left, right) => {
        const value = similarity(left, right);
        assert.ok(value >= 0 && value <= 1);
        assert.equal(value, similarity(right, left));
        assert.equal(similarity(left, left), 1);
      }),
    ));

  it("takes time in proportion to the texts", () => {
    const text = (words: number): string => Array.from({ length: words }, (_, n) => `w${n % 997}`).join(" ");
    const [short, long] = [text(20_000), text(80_000)];
    similarity(short, `${short}.`);
    const small = cpuMsOf(() => similarity(short, `${short} x`));
    const large = cpuMsOf(() => similarity(long, `${long} x`));
    assert.ok(large < 20 * small + 50, `${large} ms, and ${small} ms for a quarter`);
  });
});

describe("the words of an answer", () => {
  const sse = (...frames: readonly object[]): string =>
    frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join("");
  const delta = (content: object): object => ({ choices: [{ index: 0, delta: content }] });
  const rows: readonly [name: string, format: WireFormat, stream: boolean, body: string, text: string | null][] = [
    [
      "chat",
      "openai.chat",
      false,
      JSON.stringify({
        model: "m",
        choices: [
          {
            message: {
              content: "Hello",
              reasoning_content: "hm",
              tool_calls: [{ id: "1", function: { name: "f", arguments: '{"a":1}' } }],
            },
          },
        ],
      }),
      'Hello\n{"a":1}',
    ],
    [
      "chat, streamed",
      "openai.chat",
      true,
      `${sse(delta({ reasoning_content: "hm" }), delta({ content: "Hel" }), delta({ content: "lo" }))}data: [DONE]\n\n`,
      "Hello",
    ],
    ["completions", "openai.completions", false, JSON.stringify({ choices: [{ text: "Hello" }] }), "Hello"],
    [
      "messages",
      "anthropic.messages",
      false,
      JSON.stringify({
        content: [
          { type: "thinking", thinking: "hm" },
          { type: "text", text: "Hello" },
          { type: "tool_use", name: "f", input: { a: 1 } },
        ],
      }),
      'Hello\n{"a":1}',
    ],
    [
      "messages, streamed",
      "anthropic.messages",
      true,
      sse(
        { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hm" } },
        { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Hello" } },
      ),
      "Hello",
    ],
    [
      "responses",
      "openai.responses",
      false,
      JSON.stringify({
        output: [
          { type: "reasoning", content: [{ type: "text", text: "hm" }] },
          { type: "message", content: [{ type: "output_text", text: "Hello" }] },
        ],
      }),
      "Hello",
    ],
    [
      "responses, streamed",
      "openai.responses",
      true,
      sse({ type: "response.output_text.delta", item_id: "1", content_index: 0, delta: "Hello" }),
      "Hello",
    ],
    ["embeddings", "openai.embeddings", false, '{"data":[]}', null],
    ["nothing", "openai.chat", false, "", null],
    ["what is no JSON", "openai.chat", false, "<html>", null],
    ["a stream that is cut", "openai.chat", true, `${sse(delta({ content: "Hel" }))}data: {"choi`, "Hel"],
  ];
  for (const [name, format, stream, body, text] of rows)
    it(`of ${name}`, () => assert.equal(answerText(format, stream, Buffer.from(body)), text));
});
