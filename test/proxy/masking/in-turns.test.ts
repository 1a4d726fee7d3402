/** Long events of a stream are masked in several turns of the event loop, as they are in one. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import type { WireFormat } from "../../../proxy/config/capabilities.ts";
import { MaskAnswer } from "../../../proxy/masking/changes.ts";
import { Masker } from "../../../proxy/masking/masker.ts";
import { ReplyTexts, type TextTurns } from "../../../proxy/masking/reply.ts";
import { Tally } from "../../../proxy/masking/tally.ts";
import fc, { runs } from "../../harness/property.ts";

const masker = new Masker({
  detect: ["Email", "CreditCard", "PhoneNumber"],
  custom: [{ name: "Employee", pattern: "EMP-\\d{6}", replacement: null }],
  mode: "Redact",
  answers: true,
} as unknown as ConstructorParameters<typeof Masker>[0]);

const frame = (value: object, event = ""): string =>
  `${event === "" ? "" : `event: ${event}\n`}data: ${JSON.stringify(value)}\n\n`;
const chat = (delta: object, finish: string | null = null): string =>
  frame({ id: "c", choices: [{ index: 0, delta, finish_reason: finish }] });
const block = (delta: object): string => frame({ type: "content_block_delta", index: 0, delta }, "content_block_delta");
const delta = { item_id: "m", content_index: 0 };

/** A stream with these pieces of one text, in each format. */
const streams: Partial<Record<WireFormat, (pieces: string[]) => string>> = {
  "openai.chat": (pieces) => [...pieces.map((content) => chat({ content })), chat({}, "stop")].join(""),
  "anthropic.messages": (pieces) =>
    [
      ...pieces.map((text) => block({ type: "text_delta", text })),
      frame({ type: "content_block_stop", index: 0 }, "content_block_stop"),
    ].join(""),
  "openai.responses": (pieces) =>
    [
      ...pieces.map((text) => frame({ type: "response.output_text.delta", ...delta, delta: text })),
      frame({ type: "response.output_text.done", ...delta, text: pieces.join("") }),
      frame({ type: "response.completed", response: { output: [{ content: [{ text: pieces.join("") }] }] } }),
    ].join(""),
};

/** All texts of a stream, joined, by what kind of frame they stand in. */
function textsOf(stream: string): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const line of stream.split("\n").filter((text) => text.startsWith("data: "))) {
    const json = JSON.parse(line.slice(6));
    const type = String(json.type ?? "chat");
    const text =
      json.choices?.[0].delta.content ??
      json.delta?.text ??
      json.delta ??
      json.text ??
      json.response?.output[0].content[0].text;
    if (typeof text === "string") texts[type] = (texts[type] ?? "") + text;
  }
  return texts;
}

const personal = ["a.b@example.com", "4111 1111 1111 1111", "+1 415 555 2671", "EMP-123456", "&#64;", "😀", "é"];
const words = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("the rain began. ", "nobody asked ", "\n", "x".repeat(200)) },
  { weight: 2, arbitrary: fc.constantFrom(...personal) },
);
const pieces = fc.array(
  fc.array(words, { maxLength: 60 }).map((all) => all.join("")),
  { minLength: 1, maxLength: 4 },
);

const inTurns = (size: number): TextTurns => ({ size, stopped: () => false, next: () => Promise.resolve() });

describe("masking long events in turns", () => {
  for (const [format, streamOf] of Object.entries(streams) as [WireFormat, (pieces: string[]) => string][])
    it(`releases the same text: ${format}`, async () => {
      await fc.assert(
        fc.asyncProperty(pieces, fc.integer({ min: 400, max: 900 }), async (given, size) => {
          const stream = Buffer.from(streamOf(given));
          const [once, turns] = [new Tally(masker), new Tally(masker)];
          const here = new ReplyTexts(format, new MaskAnswer(masker, once));
          const there = new ReplyTexts(format, new MaskAnswer(masker, turns));
          const expected = here.chunk(stream) + here.last();
          const got = (await there.chunkInTurns(stream, inTurns(size))) + there.last();
          assert.deepEqual(textsOf(got), textsOf(expected));
          assert.deepEqual(turns.counts, once.counts);
        }),
        { numRuns: runs(60) },
      );
    });

  it("takes a turn for each piece, and none once nobody waits", async () => {
    let turns = 0;
    const client = { closed: false };
    const counted: TextTurns = {
      size: 1_000,
      stopped: () => client.closed,
      next() {
        turns++;
        if (turns === 30) client.closed = true;
        return Promise.resolve();
      },
    };
    const texts = new ReplyTexts("openai.chat", new MaskAnswer(masker, new Tally(masker)));
    await texts.chunkInTurns(Buffer.from(chat({ content: "the rain began. ".repeat(1_000) })), counted);
    assert.equal(turns, 16, "16,000 characters, 1,000 in a turn");
    await texts.chunkInTurns(Buffer.from(chat({ content: "the rain began. ".repeat(100_000) })), counted);
    assert.equal(turns, 30);
  });
});
