import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { provider } from "../../../proxy/providers/anthropic/index.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc, { runs } from "../../harness/property.ts";
import { accepted, deltas, events } from "./drive.ts";

const text = (value: string): JsonObject => ({ type: "text", text: value });
const signed = { type: "thinking", thinking: "Hm.", signature: "c2ln" };
const redacted = { type: "redacted_thinking", data: "b3BhcXVl" };
const usage = {
  input_tokens: 10,
  cache_read_input_tokens: 5,
  cache_creation_input_tokens: 2,
  output_tokens: 7,
  output_tokens_details: { thinking_tokens: 3 },
};
const normalised = { prompt: 17, cachedPrompt: 5, cacheWrite: 2, completion: 7, reasoning: 3, estimated: false };
const frame = (event: JsonObject): string => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`;
const began = {
  type: "message_start",
  message: {
    id: "msg_1",
    model: "claude-x",
    content: [],
    stop_reason: null,
    usage: { ...usage, output_tokens: 1, output_tokens_details: null },
  },
};
const blockStart = (index: number, content_block: JsonObject): JsonObject => ({
  type: "content_block_start",
  index,
  content_block,
});
const blockDelta = (index: number, delta: JsonObject): JsonObject => ({ type: "content_block_delta", index, delta });
const blockStop = (index: number): JsonObject => ({ type: "content_block_stop", index });
const ended = (stop_reason: string): JsonObject[] => [
  {
    type: "message_delta",
    delta: { stop_reason, stop_sequence: null },
    usage: { output_tokens: 7, input_tokens: null, output_tokens_details: { thinking_tokens: 3 } },
  },
  { type: "message_stop" },
];
const stream = (...all: JsonObject[]): Buffer => Buffer.from(all.map(frame).join(""));
const plain = [
  began,
  blockStart(0, text("")),
  { type: "ping" },
  blockDelta(0, { type: "text_delta", text: "Grüße, " }),
  blockDelta(0, { type: "text_delta", text: "Welt 🌍" }),
  blockStop(0),
  ...ended("end_turn"),
];
const toolStart = (id: string): JsonObject => ({ type: "tool_use", id, name: "look", input: {} });
const busy = [
  began,
  blockStart(0, { type: "thinking", thinking: "", signature: "" }),
  blockDelta(0, { type: "thinking_delta", thinking: "Hm" }),
  blockDelta(0, { type: "thinking_delta", thinking: "." }),
  blockDelta(0, { type: "signature_delta", signature: "c2ln" }),
  blockStop(0),
  blockStart(1, redacted),
  blockStop(1),
  blockStart(2, text("")),
  blockDelta(2, { type: "text_delta", text: "Looking." }),
  blockStop(2),
  blockStart(3, toolStart("toolu_1")),
  blockStart(4, toolStart("toolu_2")),
  blockDelta(3, { type: "input_json_delta", partial_json: "" }),
  blockDelta(4, { type: "input_json_delta", partial_json: '{"at":' }),
  blockDelta(3, { type: "input_json_delta", partial_json: '{"at":"a"}' }),
  blockDelta(4, { type: "input_json_delta", partial_json: '"b"}' }),
  { type: "something_new", index: 3 },
  blockDelta(4, { type: "novelty_delta", text: "?" }),
  blockStop(3),
  blockStop(4),
  blockStart(5, toolStart("toolu_3")),
  blockStop(5),
  ...ended("tool_use"),
];

describe("a stream", () => {
  const decoder = () => accepted(provider, {}, { stream: true }).decoder();
  const run = (bytes: Uint8Array, cuts: number[] = []) => events(decoder(), bytes, cuts);
  const call3 = (index: number, id: string) => ({
    tool_calls: [{ index, id, type: "function", function: { name: "look", arguments: "" } }],
  });

  test("of text", () => {
    assert.deepEqual(run(stream(...plain)), [
      { kind: "start", id: "msg_1", model: "claude-x" },
      { kind: "ping" },
      { kind: "delta", choice: 0, delta: { content: "Grüße, " } },
      { kind: "delta", choice: 0, delta: { content: "Welt 🌍" } },
      { kind: "finish", choice: 0, reason: "stop", native: "end_turn" },
      { kind: "usage", usage: normalised },
      { kind: "end" },
    ]);
  });

  test("of thinking, text and parallel tools that interleave", () => {
    const all = run(stream(...busy));
    assert.deepEqual(deltas(all), [
      { reasoning_content: "Hm" },
      { reasoning_content: "." },
      { thinking_blocks: [signed] },
      { thinking_blocks: [redacted] },
      { content: "Looking." },
      call3(0, "toolu_1"),
      call3(1, "toolu_2"),
      { tool_calls: [{ index: 1, function: { arguments: '{"at":' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '{"at":"a"}' } }] },
      { tool_calls: [{ index: 1, function: { arguments: '"b"}' } }] },
      call3(2, "toolu_3"),
      { tool_calls: [{ index: 2, function: { arguments: "{}" } }] },
    ]);
    assert.deepEqual(all.slice(-3), [
      { kind: "finish", choice: 0, reason: "tool_calls", native: "tool_use" },
      { kind: "usage", usage: normalised },
      { kind: "end" },
    ]);
  });

  test("split anywhere gives the same events", () => {
    for (const bytes of [stream(...plain), stream(...busy)]) {
      const whole = run(bytes);
      fc.assert(
        fc.property(fc.array(fc.nat(), { maxLength: 40 }), (cuts) => assert.deepEqual(run(bytes, cuts), whole)),
      );
      assert.deepEqual(
        run(
          bytes,
          Array.from(bytes, (_, at) => at),
        ),
        whole,
      );
    }
  });

  test("with CRLF, comments, no space after the colon and blanks after the JSON", () => {
    const awkward = plain
      .map((event) => `: comment\r\nevent:${String(event["type"])}\r\ndata:${JSON.stringify(event)}   \r\n\r\n`)
      .join("");
    assert.deepEqual(run(Buffer.from(awkward)), run(stream(...plain)));
  });

  test("whose blocks begin with their first piece, as compatible servers send them", () => {
    const all = run(
      stream(
        began,
        blockStart(0, text("Hi")),
        blockStop(0),
        blockStart(1, { ...toolStart("t"), input: { at: "x" } }),
        ...ended("tool_use"),
      ),
    );
    assert.deepEqual(deltas(all), [
      { content: "Hi" },
      call3(0, "t"),
      { tool_calls: [{ index: 0, function: { arguments: '{"at":"x"}' } }] },
    ]);
  });

  test("that breaks off anywhere before its end is an error", () => {
    const bytes = stream(...plain);
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 2 }), (length) => {
        const last = run(bytes.subarray(0, length)).at(-1);
        assert.ok(last?.kind === "error");
        assert.equal(last.error.code, "upstream_stream_truncated");
      }),
    );
  });

  const streamErrors: Record<string, [string, string]> = {
    overloaded_error: ["Unavailable", "upstream_unavailable"],
    rate_limit_error: ["RateLimited", "upstream_rate_limited"],
    api_error: ["ServerError", "upstream_error"],
    timeout_error: ["Timeout", "upstream_timeout"],
    authentication_error: ["Unauthorized", "upstream_auth_error"],
    invalid_request_error: ["BadRequest", "upstream_rejected_request"],
    something_new: ["ServerError", "upstream_error"],
  };
  for (const [type, [kind, code]] of Object.entries(streamErrors)) {
    test(`with ${type} in the middle`, () => {
      const all = run(
        stream(...plain.slice(0, 4), { type: "error", error: { type, message: "sk-secret broke" } }, ...plain.slice(4)),
      );
      const last = all.at(-1);
      assert.ok(last?.kind === "error");
      assert.deepEqual([last.error.class, last.error.code], [kind, code]);
      assert.equal(last.error.message.includes("sk-secret"), kind !== "Unauthorized");
      assert.equal(all.filter((event) => event.kind === "finish" || event.kind === "end").length, 0);
    });
  }

  test("of any bytes gives events, never an exception, and nothing after the end", () => {
    const names = fc.constantFrom(
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
      "error",
      "ping",
    );
    const inner = fc.dictionary(
      fc.constantFrom("type", "text", "thinking", "signature", "partial_json", "input", "id", "usage", "stop_reason"),
      fc.jsonValue(),
    );
    const event = fc.record({
      type: names,
      index: fc.jsonValue(),
      message: fc.oneof(inner, fc.jsonValue()),
      content_block: inner,
      delta: inner,
      usage: inner,
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(event, fc.jsonValue())), (all) => {
        const bytes = Buffer.from(all.map((one) => `data: ${JSON.stringify(one)}\n\n`).join(""));
        const found = run(bytes);
        const over = found.findIndex((one) => one.kind === "end" || one.kind === "error");
        assert.equal(over, found.length - 1);
      }),
      { numRuns: runs(300) },
    );
  });
});
