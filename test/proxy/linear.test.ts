/**
 * Runs every stage that reads text on its worst input and on plain prose of the same size. The CPU time of the first is at
 * most five times that of the second: a stage that is super-linear or slow on some text would delay all callers.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
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
import { outline } from "../../proxy/wire/json-edit.ts";
import { SseDecoder } from "../../proxy/wire/sse.ts";
import { cpuMsOf } from "../harness/cpu-time.ts";

const most = 5;
/** Minimum for the baseline, in nanoseconds per character: plain prose can take almost no time. */
const yardstickNs = 60;

const sentence = "On 3 May we sent 12 boxes to the harbour; nobody had asked for them, and the rain began. ";
const fill = (bait: string, size: number): string => bait.repeat(Math.ceil(size / bait.length)).slice(0, size);
const prose = (size: number): string => fill(sentence, size);

/** Texts that consist of real or apparent personal data. */
const baits = [
  ...["@", "'a'@", "a@b.co ", "1 ", "+1", "4 4 4 4 ", "4444 ", "415-555-", "(0) ", "\u200b1", "\\u0040", "\u0661 "],
];
/** The most expensive of them, for texts of 10 MB. */
const costliest = ["1 ", "415-555-"];

/** Makes an input of about this many bytes. */
type Make = (size: number) => string;
const names: Make = (size) => `{${list(size, (index) => `"a${index}@b.co":0`)}}`;
const escapedNames: Make = (size) => `{${list(size, (index) => `"\\u0061${index}":0`)}}`;
const cardNames: Make = (size) =>
  `{${list(size, () => '"4111111111111111":0')}}`.replace(/"4111111111111111"/g, uniqueCard());

function list(size: number, make: (index: number) => string): string {
  const entries: string[] = [];
  let length = 0;
  for (let index = 0; length < size; index++) {
    entries.push(make(index));
    length += (entries.at(-1)?.length ?? 0) + 1;
  }
  return entries.join(",");
}

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
      ["numbers", (size) => `[${list(size, () => "4111111111111111")}]`],
      ["placeholders", (size) => `[${list(size, (index) => `"[EMAIL_${index}] a${index}@b.co"`)}]`],
    ],
    // The same number of members, made of words.
    (size) => `{${list(size, (index) => `"word${index}":"is it"`)}}`,
  ],
  [
    "mask metadata",
    (text) => readBody(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"metadata":${text}}`),
    [["names of addresses", names]],
    (size) => `{${list(size, (index) => `"word${index}":"is it"`)}}`,
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
      tally.mask(list(50_000, (index) => `a${index}@b.co `));
      return () => void new Restore(tally).whole(text);
    },
    brackets,
  ],
  [
    "restore in pieces",
    (text) => {
      const tally = new Tally(masker("Placeholder"));
      tally.mask(list(50_000, (index) => `a${index}@b.co `));
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
    (size) => `{${list(size, (index) => `"word${index}":"is it"`)}}`,
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
      ["the same name", (size) => `{"x":{${list(size, () => '"a":0')}}}`],
      ["numbers", (size) => `{"x":[${list(size, () => "1")}]}`],
      ["blanks", (size) => `{${" ".repeat(size)}"a":1}`],
    ],
    // As many members as in the worst input, with names that are quick to read.
    (size) => `{${list(size, (index) => `"word${index}":0`)}}`,
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
    (size) => `{${list(size, (index) => `"word${index}":0`)}}`,
  ],
  [
    "outline a body",
    (text) => () => void outline(Buffer.from(text), 64),
    [["names with escapes", escapedNames]],
    (size) => `{${list(size, (index) => `"word${index}":0`)}}`,
  ],
  [
    "translate a stream",
    (text) => () => {
      const queue = new BlockQueue({ open: () => "", delta: (_block, piece) => piece, close: ({ text: all }) => all });
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

/** Stages that also run on 10 MB. The others behave there as on 1 MB, or never get such a text. */
const large10: ReadonlySet<string> = new Set(["mask a text, Replace", "guard"]);

/** Milliseconds of the fastest of a few runs. Stops at the first run within the bound, because the machine is shared. */
function timeOf(run: () => void, bound: number): number {
  let took = cpuMsOf(run);
  for (let again = 0; again < 3 && took > bound; again++) took = Math.min(took, cpuMsOf(run));
  return took;
}

describe("the work of a stage grows linearly with its input, and depends little on the content", () => {
  for (const [stage, prepare, worst, plain = prose] of stages)
    for (const size of large10.has(stage) ? [1_000_000, 10_000_000] : [1_000_000])
      it(`${stage}, ${size / 1_000_000} MB`, () => {
        prepare(plain(size / 10))();
        const usual = Math.max(timeOf(prepare(plain(size)), 0), (yardstickNs * size) / 1_000_000);
        for (const [what, make] of worst === texts && size > 1_000_000 ? large : worst) {
          const took = timeOf(prepare(make(size)), most * usual);
          assert.ok(took <= most * usual, `${what}: ${took.toFixed(0)} ms, where prose takes ${usual.toFixed(0)} ms`);
        }
      });
});
