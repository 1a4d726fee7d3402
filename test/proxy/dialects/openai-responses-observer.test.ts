import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { dialect } from "../../../proxy/dialects/openai-responses/index.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc from "../../harness/property.ts";
import { cuts, everyByte, type ObserverRow, testRows, watch } from "./splits.ts";

const observer = () => dialect.observer({ hideUsage: false });
const frame = (event: JsonObject) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`;
const created = frame({ type: "response.created", sequence_number: 0, response: { id: "r", usage: null } });
const text = (delta: string) => frame({ type: "response.output_text.delta", sequence_number: 1, delta });
const wire = {
  input_tokens: 9,
  input_tokens_details: { cached_tokens: 5 },
  output_tokens: 4,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 13,
};
const end = (type: string) => frame({ type, sequence_number: 2, response: { id: "r", usage: wire } });
const usage = { prompt: 9, cachedPrompt: 5, cacheWrite: 0, completion: 4, reasoning: 2, estimated: false };

const rows: Record<string, ObserverRow> = {
  "a completed response": { in: created + text("Hé") + end("response.completed"), ended: true, usage },
  "an incomplete response": { in: created + end("response.incomplete"), ended: true, usage },
  "a failed response": { in: created + end("response.failed"), ended: true, usage },
  "lone CR line ends become LF": {
    in: (created + end("response.completed")).replaceAll("\n", "\r"),
    out: created + end("response.completed"),
    ended: true,
    usage,
  },
  "CRLF line ends stay": { in: (created + end("response.completed")).replaceAll("\n", "\r\n"), ended: true, usage },
  "a stream that just stops has not ended": { in: created + text("event: response.completed") },
  "an error event is held back": {
    in: created + frame({ type: "error", code: "server_error", message: "It broke.", param: null, sequence_number: 1 }),
    out: created,
    error: { message: "It broke.", code: "server_error" },
  },
};

describe("the observer of OpenAI's Responses stream", () => {
  testRows(rows, observer);

  test("any split of a stream gives the same bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 20 })), cuts, (texts, at) => {
        const stream = created + texts.map(text).join("") + end("response.completed");
        const seen = watch(observer(), stream, at);
        assert.equal(seen.out, stream);
        assert.deepEqual(seen, watch(observer(), stream));
      }),
      { examples: [[["\\"], [230]]] },
    );
  });

  test("a read of complete frames is passed on as the same buffer", () => {
    const read = Buffer.from(created + text("a") + end("response.completed"));
    assert.equal(observer().push(read), read);
  });

  for (const [texts, length] of [
    [["12345", "678"], 8],
    [["\\"], 2],
    [["a\\", 'b"c', '\\"', ""], 11],
  ] as const)
    test(`the content's length is that of the deltas, in their JSON form: ${JSON.stringify(texts)}`, () => {
      const stream = created + texts.map(text).join("");
      for (const at of [[], everyByte(stream), [Buffer.byteLength(created + text(texts[0]))]])
        assert.equal(watch(observer(), stream, at).contentLength, length);
    });
});
