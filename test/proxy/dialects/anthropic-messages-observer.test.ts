import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { dialect } from "../../../proxy/dialects/anthropic-messages/index.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc, { runs } from "../../harness/property.ts";
import { cuts, type ObserverRow, testRows, watch } from "./splits.ts";

const observer = () => dialect.observer({ hideUsage: false });
const frame = (event: JsonObject) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`;
const start = frame({
  type: "message_start",
  message: {
    id: "msg_1",
    usage: { input_tokens: 10, cache_read_input_tokens: 4, cache_creation_input_tokens: 2, output_tokens: 1 },
  },
});
const text = (words: string) =>
  frame({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: words } });
const delta = frame({
  type: "message_delta",
  delta: { stop_reason: "end_turn" },
  usage: { input_tokens: 11, cache_read_input_tokens: null, output_tokens: 20 },
});
const stop = frame({ type: "message_stop" });
const usage = { prompt: 17, cachedPrompt: 4, cacheWrite: 2, completion: 20, reasoning: 0, estimated: false };
const started = { prompt: 16, cachedPrompt: 4, cacheWrite: 2, completion: 1, reasoning: 0, estimated: false };

const rows: Record<string, ObserverRow> = {
  "a whole stream passes, its usage is read": {
    in: start + text("Hé") + frame({ type: "ping" }) + delta + stop,
    ended: true,
    usage,
  },
  "lone CR line ends become LF": {
    in: (start + text("Hé") + delta + stop).replaceAll("\n", "\r"),
    out: start + text("Hé") + delta + stop,
    ended: true,
    usage,
  },
  "CRLF line ends stay": { in: (start + text("Hé") + delta + stop).replaceAll("\n", "\r\n"), ended: true, usage },
  "names without a blank": { in: (start + delta + stop).replaceAll(": ", ":"), ended: true, usage },
  "comments and unknown events pass": {
    in: `: hi\n\n${start}${frame({ type: "novel", usage: 1 })}${stop}`,
    ended: true,
    usage: started,
  },
  "the name may come after the data": {
    in: `${start}data: {"type":"message_stop"}\nevent: message_stop\n\n`,
    ended: true,
    usage: started,
  },
  "the name may be in the data alone": { in: 'data: {"type":"message_stop"}\n\n', ended: true },
  "a stream that just stops has not ended": { in: start + text("a") + delta, usage },
  "words of the end in the text are no end": { in: start + text('event: message_stop "type":"error"'), usage: started },
  "an error event is held back": {
    in: start + text("a") + frame({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }) + stop,
    out: start + text("a"),
    usage: started,
    error: { message: "Overloaded", code: "overloaded_error" },
  },
  "an error event that is no JSON": {
    in: "event: error\ndata: oops\n\n",
    out: "",
    error: { message: "The provider's stream could not be read.", code: "upstream_invalid_response" },
  },
};

describe("the observer of Anthropic's stream", () => {
  testRows(rows, observer);

  test("any split of a stream gives the same result, and unchanged bytes if there is no error", () => {
    const piece = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 20 }).map(text),
      fc.constantFrom(start, delta, frame({ type: "ping" }), ": x\n\n", text("a").replaceAll("\n", "\r\n")),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.boolean(), cuts, (pieces, broken, at) => {
        const sent = pieces.join("");
        const stream = sent + (broken ? frame({ type: "error", error: { message: "m" } }) : stop);
        const split = watch(observer(), stream, at);
        assert.deepEqual(split, watch(observer(), stream));
        assert.equal(split.out, broken ? sent : stream);
      }),
      { numRuns: runs(300) },
    );
  });

  test("a read of complete frames is passed on as the same buffer", () => {
    const read = Buffer.from(start + text("a") + delta + stop);
    assert.equal(observer().push(read), read);
  });

  test("the content's length is that of the text", () => {
    assert.equal(watch(observer(), start + text("12345") + text("678") + stop).contentLength, 8);
  });
});
