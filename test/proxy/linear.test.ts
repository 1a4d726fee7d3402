/**
 * Runs every stage that reads text on its worst input and on plain prose of the same size. The CPU time of the first is at
 * most five times that of the second: a stage that is super-linear or slow on some text would delay all callers.
 */
import { Buffer } from "node:buffer";
import { describe } from "node:test";
import { parseBody } from "../../proxy/call/received.ts";
import { BlockQueue } from "../../proxy/dialects/block-queue.ts";
import { isFailure } from "../../proxy/failure.ts";
import { fold, readable } from "../../proxy/guard/fold.ts";
import { lastUserTexts, textsOf } from "../../proxy/guard/texts.ts";
import { MaskAnswer, Restore } from "../../proxy/masking/changes.ts";
import { detectorNames } from "../../proxy/masking/detectors.ts";
import { Masker } from "../../proxy/masking/masker.ts";
import { ReplyTexts } from "../../proxy/masking/reply.ts";
import { maskRequest } from "../../proxy/masking/request.ts";
import { Tally } from "../../proxy/masking/tally.ts";
import { changedTexts } from "../../proxy/masking/texts.ts";
import { jsonIn, parseJson } from "../../proxy/wire/json.ts";
import { outline } from "../../proxy/wire/json-outline.ts";
import { SseDecoder } from "../../proxy/wire/sse.ts";
import { fill, itIsLinear, listOf, type Make, prose } from "../harness/linear.ts";

/** Texts that consist of real or apparent personal data. */
const baits = [
  ...[
    "@",
    "'a'@",
    "a@b.co ",
    "1 ",
    "+1",
    "4 4 4 4 ",
    "4444 ",
    "415-555-",
    "(0) ",
    "\u200b1",
    "\u200b",
    "\u{1d7d8} ",
    "\\u0040",
    "\u0661 ",
  ],
  ...["%2", "%4", "①", "a¹", "%25", "%C2", "&amp;", "%E2%80", "&#64;", "&#6", "%2540"],
];
/** The most expensive of them, for texts of 10 MB. */
const costliest = ["1 ", "415-555-"];

const names: Make = (size) => `{${listOf(size, (index) => `"a${index}@b.co":0`)}}`;
const escapedNames: Make = (size) => `{${listOf(size, (index) => `"\\u0061${index}":0`)}}`;
const cardNames: Make = (size) =>
  `{${listOf(size, () => '"4111111111111111":0')}}`.replace(/"4111111111111111"/g, uniqueCard());

function uniqueCard(): (match: string) => string {
  let count = 0;
  return () => `"card ${count++} 4111 1111 1111 1111"`;
}

const masker = (mode: "Replace" | "Placeholder"): Masker =>
  new Masker({ detect: [...detectorNames], custom: [], mode, answers: true });
const inMessage = (text: string): string => JSON.stringify({ model: "m", messages: [{ role: "user", content: text }] });
const inArguments = (text: string): string =>
  JSON.stringify({
    model: "m",
    messages: [{ role: "assistant", tool_calls: [{ function: { name: "f", arguments: text } }] }],
  });

/** Reading the body itself belongs to the previous stage. */
function readBody(body: string): () => void {
  const received = parseBody(Buffer.from(body));
  if (isFailure(received)) throw new Error(received.message);
  return () => void maskRequest(received, new Tally(masker("Replace")));
}
function hideIn(body: string): () => void {
  const received = parseBody(Buffer.from(body));
  if (isFailure(received)) throw new Error(received.message);
  return () => void maskRequest(received, new Tally(masker("Placeholder")));
}

const textOf = (bait: string): [string, Make] => [JSON.stringify(bait), (size) => fill(bait, size)];
const texts = baits.map(textOf);
const brackets = ["[", "[A_X", "[EMAIL_1]", "[EMAIL_99999"].map(textOf);
const large = costliest.map(textOf);

/** Stage → how to prepare it with a text, its worst texts, and the prose to compare with if these have a special form. */
const stages: [string, (text: string) => () => void, [string, Make][], Make?][] = [
  ["fold", (text) => () => void fold(text), texts],
  ["readable", (text) => () => void readable(text), texts],
  ["mask a text, Replace", (text) => () => void new Tally(masker("Replace")).mask(text), texts],
  ["mask a text, Placeholder", (text) => hideIn(inMessage(text)), texts],
  [
    "mask arguments",
    (text) => readBody(inArguments(text)),
    [
      ["names of addresses", names],
      ["names of cards", cardNames],
      ["names with escapes", escapedNames],
      ["lists within lists", (size) => `${"[".repeat(size / 2)}${"]".repeat(size / 2)}`],
      ["an open list", (size) => "[".repeat(size)],
      ["objects within objects", (size) => `${'{"a":'.repeat(size / 6)}1${"}".repeat(size / 6)}`],
      ["numbers", (size) => `[${listOf(size, () => "4111111111111111")}]`],
      ["words in brackets", (size) => `[${listOf(size, () => '"[a b]"')}]`],
      ["words that look like JSON", (size) => `[${listOf(size, () => '"[t f]"')}]`],
      ["texts that look like JSON", (size) => `[${listOf(size, (index) => JSON.stringify(`{"a":${index},}`))}]`],
      ["placeholders", (size) => `[${listOf(size, (index) => `"[EMAIL_${index}] a${index}@b.co"`)}]`],
    ],
    // The same number of members, made of words.
    (size) => `{${listOf(size, (index) => `"word${index}":"is it"`)}}`,
  ],
  [
    "mask metadata",
    (text) => readBody(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"metadata":${text}}`),
    [["names of addresses", names]],
    (size) => `{${listOf(size, (index) => `"word${index}":"is it"`)}}`,
  ],
  [
    "mask parts",
    (text) => {
      const length = 2_000;
      const parts: object[] = [];
      for (let at = 0; at < text.length; at += length) parts.push({ type: "text", text: text.slice(at, at + length) });
      return readBody(JSON.stringify({ model: "m", messages: [{ role: "user", content: parts }] }));
    },
    texts,
  ],
  [
    "guard",
    (text) => {
      const body = JSON.parse(inMessage(text)) as Record<string, unknown>;
      return () => {
        for (const { text: carried } of textsOf(body)) readable(carried);
        lastUserTexts(body, "messages");
      };
    },
    texts,
  ],
  [
    "restore",
    (text) => {
      const tally = new Tally(masker("Placeholder"));
      tally.mask(listOf(50_000, (index) => `a${index}@b.co `));
      return () => void new Restore(tally).whole(text);
    },
    brackets,
  ],
  [
    "restore in pieces",
    (text) => {
      const tally = new Tally(masker("Placeholder"));
      tally.mask(listOf(50_000, (index) => `a${index}@b.co `));
      return () => inPieces(new Restore(tally), text);
    },
    brackets,
  ],
  ["mask a stream", (text) => streamed(text), texts],
  [
    "mask an answer",
    (text) => () => void changedTexts(jsonIn(text), { text: (part) => new Tally(masker("Replace")).mask(part) }),
    [
      ["names of addresses", names],
      ["an open list", (size) => "[".repeat(size)],
      ["lists within lists", (size) => `${"[".repeat(size / 2)}${"]".repeat(size / 2)}`],
    ],
    (size) => `{${listOf(size, (index) => `"word${index}":"is it"`)}}`,
  ],
  [
    "parse a body",
    (text) => () => void parseBody(Buffer.from(text)),
    [
      ["one text", (size) => inMessage(prose(size))],
      ["a text of escapes", (size) => `{"model":"m","x":"${"\\n".repeat(size / 2)}"}`],
      ["a text of backslashes", (size) => `{"model":"m","x":"${"\\\\".repeat(size / 2)}"}`],
      ["a text that never ends", (size) => `{"model":"m","x":"${"\\".repeat(size)}`],
      ["lists within lists", (size) => `{"a":${"[".repeat(size / 2)}${"]".repeat(size / 2)}}`],
      ["names with escapes", escapedNames],
      ["the same name", (size) => `{"x":{${listOf(size, () => '"a":0')}}}`],
      ["numbers", (size) => `{"x":[${listOf(size, () => "1")}]}`],
      ["blanks", (size) => `{${" ".repeat(size)}"a":1}`],
    ],
    // As many members as in the worst input, with names that are quick to read.
    (size) => `{${listOf(size, (index) => `"word${index}":0`)}}`,
  ],
  [
    "read JSON",
    (text) => () => {
      try {
        parseJson(text);
      } catch {}
    },
    [
      ["names with escapes", escapedNames],
      ["lists within lists", (size) => `${"[".repeat(size / 2)}${"]".repeat(size / 2)}`],
    ],
    (size) => `{${listOf(size, (index) => `"word${index}":0`)}}`,
  ],
  [
    "outline a body",
    (text) => () => void outline(Buffer.from(text), 64),
    [["names with escapes", escapedNames]],
    (size) => `{${listOf(size, (index) => `"word${index}":0`)}}`,
  ],
  [
    "translate a stream",
    (text) => () => {
      const queue = new BlockQueue({
        wholeTexts: true,
        findings: false,
        open: () => "",
        delta: (_block, piece) => piece,
        close: ({ text: all }) => all,
      });
      const pieces = text.match(/.{1,20}/gs) ?? [];
      queue.add({ tool_calls: [{ index: 0, function: { name: "f", arguments: "{" } }] });
      for (const piece of pieces) queue.add({ tool_calls: [{ index: 1, function: { name: "g", arguments: piece } }] });
      for (const piece of pieces) queue.add({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
      queue.end();
    },
    [
      ["closing brackets", (size) => fill("}", size)],
      ["empty objects", (size) => fill("{} ", size)],
      ["texts", (size) => fill('"}', size)],
    ],
  ],
  [
    "read events",
    (text) => () => {
      const decoder = new SseDecoder();
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; at += 1_000) {
        try {
          decoder.push(bytes.subarray(at, at + 1_000));
        } catch {
          return;
        }
      }
    },
    [
      ["lines without end", (size) => `data: ${"x".repeat(size)}`],
      ["empty lines", (size) => "\n".repeat(size)],
      ["carriage returns", (size) => "\r".repeat(size)],
      ["empty data", (size) => "data:\n".repeat(size / 6)],
      ["comments", (size) => ":\n".repeat(size / 2)],
    ],
    (size) => fill(`data: {"choices":[{"delta":{"content":"word "}}]}\n\n`, size),
  ],
];

/** A stream of chat completions with the text in pieces of a few words. */
function streamed(text: string): () => void {
  const frames: string[] = [];
  for (let at = 0; at < text.length; at += 20) {
    const delta = { content: text.slice(at, at + 20) };
    frames.push(`data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\n`);
  }
  return () => {
    const filter = new ReplyTexts("openai.chat", new MaskAnswer(masker("Replace"), new Tally(masker("Replace"))));
    for (const frame of frames) filter.chunk(frame);
    filter.last();
  };
}

function inPieces(change: Restore, text: string): void {
  for (let at = 0; at < text.length; at += 40) change.piece("c", text.slice(at, at + 40), "text");
  change.end("c");
}

describe("the work of a stage grows linearly with its input, and depends little on the content", () => {
  for (const [name, prepare, worst, plain] of stages)
    itIsLinear({ name, prepare, worst, ...(plain ? { plain } : {}), ...(worst === texts ? { large } : {}) });
});
