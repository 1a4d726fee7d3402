import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { dialect } from "../../../proxy/dialects/openai-chat/index.ts";
import { maxEventBytes } from "../../../proxy/wire/sse.ts";
import fc, { runs } from "../../harness/property.ts";
import { cuts, type ObserverRow, testRows, watch } from "./splits.ts";

const shown = () => dialect.observer({ hideUsage: false });
const hidden = () => dialect.observer({ hideUsage: true });

const head = '"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt"';
const content = (text: string, more = "") =>
  `data: {${head},"choices":[{"index":0,"delta":{"content":${JSON.stringify(text)}},"finish_reason":null}]${more}}\n\n`;
const usageChunk = `data: {${head},"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":2}}}\n\n`;
const done = "data: [DONE]\n\n";
const usage = { prompt: 9, cachedPrompt: 5, cacheWrite: 0, completion: 4, reasoning: 2, estimated: false };
const azureFirst =
  'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}\n\n';

const rows: Record<string, ObserverRow & { observer?: typeof shown }> = {
  "a plain stream passes untouched": {
    in: content("Hé") + content("llo 🎉") + done,
    out: content("Hé") + content("llo 🎉") + done,
    ended: true,
  },
  "comments pass": { in: `: ping\n\n${content("a")}${done}`, out: `: ping\n\n${content("a")}${done}`, ended: true },
  "lone CR line ends become LF": {
    in: `: ping\n\n${content("Hé")}${content("llo 🎉")}${done}`.replaceAll("\n", "\r"),
    out: `: ping\n\n${content("Hé")}${content("llo 🎉")}${done}`,
    ended: true,
  },
  "CRLF line ends stay": {
    in: (content("a") + done).replaceAll("\n", "\r\n"),
    out: (content("a") + done).replaceAll("\n", "\r\n"),
    ended: true,
  },
  "usage that the client asked for passes and is read": {
    in: content("a", ',"usage":null') + usageChunk + done,
    out: content("a", ',"usage":null') + usageChunk + done,
    ended: true,
    usage,
  },
  "usage that the gateway asked for is read and taken out": {
    observer: hidden,
    in: content("a", ',"usage":null') + usageChunk + done,
    out: content("a") + done,
    ended: true,
    usage,
  },
  "usage null written with blanks is taken out": {
    observer: hidden,
    in: content("a").replace("{", '{"usage": null, ') + done,
    out: content("a") + done,
    ended: true,
  },
  "usage in the finish chunk is taken out of it": {
    observer: hidden,
    in: content("a", ',"usage":{"prompt_tokens":1,"completion_tokens":2}') + done,
    out: content("a") + done,
    ended: true,
    usage: { prompt: 1, cachedPrompt: 0, cacheWrite: 0, completion: 2, reasoning: 0, estimated: false },
  },
  "the word usage in the text is no usage": {
    observer: hidden,
    in: content('say "usage":null,"usage":{} [DONE]') + done,
    out: content('say "usage":null,"usage":{} [DONE]') + done,
    ended: true,
  },
  "a token named usage is no usage": {
    observer: hidden,
    in: `data: {${head},"choices":[{"index":0,"delta":{},"logprobs":{"content":[{"token":"usage"}]}}]}\n\n${done}`,
    out: `data: {${head},"choices":[{"index":0,"delta":{},"logprobs":{"content":[{"token":"usage"}]}}]}\n\n${done}`,
    ended: true,
  },
  "Azure's first chunk without choices stays": {
    observer: hidden,
    in: azureFirst + content("a") + usageChunk + done,
    out: azureFirst + content("a") + done,
    ended: true,
    usage,
  },
  "event and id lines are taken out": {
    in: `id: 1\nevent: message\n${content("a")}${done}`,
    out: content("a") + done,
    ended: true,
  },
  "an event line without data is taken out": {
    in: `event: message\n\n${content("a")}${done}`,
    out: content("a") + done,
    ended: true,
  },
  "usage in a frame with an id is taken out": {
    observer: hidden,
    in: `id: 1\n${content("a", ',"usage":null')}id: 2\n${usageChunk}${done}`,
    out: content("a") + done,
    ended: true,
    usage,
  },
  "an error frame is held back": {
    in: `${content("a")}data: {"error":{"message":"overloaded","type":"server_error","code":null}}\n\n${done}`,
    out: content("a"),
    error: { message: "overloaded", code: "server_error" },
  },
  "a frame named error is held back": {
    in: `event: error\ndata: {"message":"no","code":429}\n\n`,
    out: "",
    error: { message: "no", code: "429" },
  },
  "a flat error is held back": {
    in: 'data: {"object":"error","message":"oom","code":500}\n\n',
    out: "",
    error: { message: "oom", code: "500" },
  },
  "an error as text is held back": { in: 'data: {"error":"oom"}\n\n', out: "", error: { message: "oom", code: null } },
  "error null is no error": {
    in: content("a", ',"error":null') + done,
    out: content("a", ',"error":null') + done,
    ended: true,
  },
  "a stream that just stops has not ended": { in: content("a"), out: content("a") },
  "half a frame at the end is left out": { in: `${content("a")}data: {"id":`, out: content("a") },
  "an end marker without its blank line ends": {
    in: `${content("a")}data: [DONE]`,
    out: content("a") + done,
    ended: true,
  },
  "what follows the end marker is left out": {
    in: `${content("a")}${done}data: {"x":1}\n\n`,
    out: content("a") + done,
    ended: true,
  },
};

describe("the observer of OpenAI's chat stream", () => {
  testRows(rows, ({ observer = shown }) => observer());

  test("any split of a stream gives the same result", () => {
    const frame = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => content(text)),
      fc.string({ maxLength: 20 }).map((text) => content(text, ',"usage":null')),
      fc.string({ maxLength: 20 }).map((text) => content(text).replaceAll("\n", "\r\n")),
      fc.constantFrom(
        usageChunk,
        azureFirst,
        ": ping\n\n",
        "\n",
        "\r\n",
        `event: x\n${content("b")}`,
        'data: {"error":{"message":"m"}}\n\n',
        done,
      ),
      fc.string({ maxLength: 30 }),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), cuts, fc.boolean(), (frames, at, hideUsage) => {
        const text = frames.join("");
        assert.deepEqual(
          watch(dialect.observer({ hideUsage }), text, at),
          watch(dialect.observer({ hideUsage }), text),
        );
      }),
      { numRuns: runs(500) },
    );
  });

  test("a stream from which nothing is removed keeps its bytes at any split", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 30 })), cuts, fc.boolean(), (texts, at, crlf) => {
        const lf = texts.map((text) => content(text)).join("") + usageChunk + done;
        const text = crlf ? lf.replaceAll("\n", "\r\n") : lf;
        assert.equal(watch(shown(), text, at).out, text);
      }),
      { numRuns: runs(300) },
    );
  });

  test("a read of complete frames is passed on as the same buffer", () => {
    const read = Buffer.from(content("a") + content("b") + usageChunk + done);
    assert.equal(shown().push(read), read);
  });

  test("a frame is passed on as soon as it is complete", () => {
    const observer = shown();
    assert.equal(Buffer.from(observer.push(Buffer.from(`${content("a")}data: {`))).toString(), content("a"));
  });

  test("a frame beyond the limit is an error", () => {
    for (const step of [65_536, 3 * maxEventBytes]) {
      const observer = shown();
      const text = content("x".repeat(maxEventBytes));
      for (let at = 0; at < text.length; at += step) observer.push(Buffer.from(text.slice(at, at + step)));
      assert.equal(observer.error?.code, "upstream_invalid_response");
    }
  });

  test("the content's length is near what was sent", () => {
    const text = "The quick brown fox. ".repeat(50);
    const stream =
      text
        .match(/.{1,4}/g)
        ?.map((piece) => content(piece))
        .join("") ?? "";
    assert.equal(watch(shown(), stream + done).contentLength, text.length);
  });
});
