/** What is held back before a stream has begun: how long, how much, and that nothing of it is lost. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { WireFormat } from "../../../proxy/config/capabilities.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import { Attempt } from "../../../proxy/pipeline/attempt.ts";
import type { AttemptResult } from "../../../proxy/pipeline/attempt-result.ts";
import type { Prepared } from "../../../proxy/pipeline/prepared.ts";
import { passthroughReader, type StreamReader } from "../../../proxy/pipeline/reader.ts";
import { decodeOpenAiError } from "../../../proxy/providers/openai/failure.ts";
import type { ClientConnection } from "../../../proxy/wire/client.ts";
import { Deadlines } from "../../../proxy/wire/deadlines.ts";
import type { UpstreamRequest } from "../../../proxy/wire/upstream.ts";
import type { UpstreamAddress } from "../../../proxy/wire/upstream-address.ts";
import { HandClock } from "../../harness/hand-clock.ts";
import fc, { runs } from "../../harness/property.ts";

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const event = (type: string, more: object = {}): string => `event: ${type}\n${data({ type, ...more })}`;
const chat = (delta: object, finish: string | null = null): string =>
  data({ id: "c", choices: [{ index: 0, delta, finish_reason: finish }] });
const done = "data: [DONE]\n\n";

/** By format: what comes before the content, the content, and the end. */
const streams: Partial<Record<WireFormat, [held: string[], begins: string[], end: string[]]>> = {
  "openai.chat": [
    [
      ": OPENROUTER PROCESSING\n\n",
      chat({ role: "assistant", content: "" }),
      chat({ content: null }),
      data({ choices: [] }),
    ],
    [
      chat({ content: "Hi" }),
      chat({ reasoning_content: "hm" }),
      chat({ tool_calls: [{ index: 0, id: "c", function: { name: "f", arguments: "" } }] }),
      chat({ refusal: "no" }),
    ],
    [chat({}, "stop"), done],
  ],
  "openai.completions": [[data({ choices: [{ text: "" }] })], [data({ choices: [{ text: "Hi" }] })], [done]],
  "anthropic.messages": [
    [
      event("message_start", { message: { id: "m", usage: { input_tokens: 3, output_tokens: 1 } } }),
      event("ping"),
      event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
      event("content_block_delta", { index: 0, delta: { type: "text_delta", text: "" } }),
    ],
    [
      event("content_block_delta", { index: 0, delta: { type: "text_delta", text: "Hi" } }),
      event("content_block_delta", { index: 0, delta: { type: "thinking_delta", thinking: "hm" } }),
      event("content_block_start", { index: 1, content_block: { type: "tool_use", id: "t", name: "f", input: {} } }),
    ],
    [event("message_delta", { delta: { stop_reason: "end_turn" } }), event("message_stop")],
  ],
  "openai.responses": [
    [
      event("response.queued", { response: { id: "r" } }),
      event("response.created", { response: { id: "r" } }),
      event("response.in_progress", { response: { id: "r" } }),
      event("response.output_item.added", { item: { type: "message", content: [] } }),
      event("response.content_part.added", { part: { type: "output_text", text: "" } }),
      event("response.output_text.delta", { delta: "" }),
    ],
    [
      event("response.output_text.delta", { delta: "Hi" }),
      event("response.output_item.added", { item: { type: "reasoning" } }),
      event("response.function_call_arguments.delta", { delta: "{" }),
      event("response.image_generation_call.partial_image", { partial_image_b64: "AA" }),
    ],
    [event("response.completed", { response: { id: "r", status: "completed", output: [{}] } })],
  ],
};

function readerOf(format: WireFormat): StreamReader {
  const dialect = dialects[format];
  assert.ok(dialect !== undefined);
  return passthroughReader(dialect.observer({ hideUsage: false }), decodeOpenAiError);
}
const text = (out: Uint8Array | string): string => Buffer.from(out as Uint8Array).toString("utf8");

describe("before a stream has begun", () => {
  for (const [format, [held, begins, end]] of Object.entries(streams)) {
    for (const begin of begins) {
      it(`${format}: nothing is handed on until ${begin.slice(0, 110).replaceAll("\n", " ")}`, () => {
        const reader = readerOf(format as WireFormat);
        for (const frame of held) assert.equal(text(reader.push(Buffer.from(frame)).out), "", frame);
        assert.equal(text(reader.push(Buffer.from(begin)).out), held.join("") + begin);
        for (const frame of end) assert.equal(text(reader.push(Buffer.from(frame)).out), frame);
      });
    }

    it(`${format}: nothing is lost, however the bytes are split`, () => {
      const whole = [...held, ...begins, ...end].join("");
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 60 }), (sizes) => {
          const reader = readerOf(format as WireFormat);
          let out = "";
          let from = 0;
          for (const size of [...sizes, whole.length]) {
            if (from >= whole.length) break;
            out += text(reader.push(Buffer.from(whole.slice(from, from + size))).out);
            from += size;
          }
          assert.equal(out, whole);
        }),
        { numRuns: runs(100) },
      );
    });

    it(`${format}: an end without an answer is a failure`, () => {
      const ends = end.filter((frame) => !/stop_reason|"finish_reason":"|completed/.test(frame));
      const reader = readerOf(format as WireFormat);
      const steps = [...held, ...ends].map((frame) => reader.push(Buffer.from(frame)));
      steps.push(reader.close());
      assert.equal(steps.map(({ out }) => text(out)).join(""), "");
      assert.ok(steps.some(({ error }) => error !== null) || ends.length === 0);
    });
  }

  it("hands on what is more than a mebibyte of it", () => {
    const reader = readerOf("openai.responses");
    const large = event("response.created", { response: { id: "r", instructions: "x".repeat(600_000) } });
    assert.equal(text(reader.push(Buffer.from(large)).out), "");
    assert.equal(text(reader.push(Buffer.from(large)).out).length, 2 * large.length);
  });
});

/** Writes down what it is given. */
class Client {
  written = "";
  onClose(): void {}
  onInterrupt(): void {}
  onDrain(): void {}
  destroy(): void {}
  write(bytes: Uint8Array | string): boolean {
    this.written += text(bytes);
    return true;
  }
}

function attempted(slowIsLate: boolean) {
  const clock = new HandClock();
  const client = new Client();
  const limits = {
    ...{ firstByteMs: 1_000, idleMs: 30_000, totalMs: 600_000, stalledClientMs: 60_000 },
    ...{ maxReplyBytes: 1_000_000, maxStreamBytes: 1_000_000, slowIsLate },
  };
  const attempt = new Attempt(
    client as unknown as ClientConnection,
    { reader: () => readerOf("openai.responses") } as unknown as Prepared,
    limits,
    () => undefined,
    new Deadlines(clock),
  );
  const call = { abort: () => undefined, resume: () => undefined, sent: true };
  const result = new Promise<AttemptResult>((resolve) => attempt.onEnd({ attemptEnded: resolve }));
  attempt.begin({ send: () => call }, {} as UpstreamAddress, {} as UpstreamRequest);
  attempt.head(200, { "content-type": "text/event-stream" });
  return { clock, client, attempt, ended: () => Promise.race([result, nextTurn(null)]) };
}

describe("a stream that is under way when its first token is late", () => {
  const created = event("response.created", { response: { id: "r" } });

  it("is handed on, and goes on until it is idle", async () => {
    const { clock, client, attempt, ended } = attempted(false);
    attempt.data(Buffer.from(created));
    clock.advance(1_000);
    assert.equal(client.written, created);
    clock.advance(29_999);
    assert.equal(await ended(), null);
    clock.advance(1);
    assert.equal((await ended())?.kind, "broken");
  });

  it("has failed without a trace where it is to be slow", async () => {
    const { clock, client, attempt, ended } = attempted(true);
    attempt.data(Buffer.from(created));
    clock.advance(1_000);
    const result = await ended();
    assert.deepEqual(
      [client.written, result?.kind, result?.kind === "failed" && result.error.class],
      ["", "failed", "Timeout"],
    );
  });

  it("has failed where nothing has come at all", async () => {
    const { clock, ended } = attempted(false);
    clock.advance(1_000);
    assert.equal((await ended())?.kind, "failed");
  });
});

describe("a chat that ends without its marker", () => {
  const frames = [chat({ role: "assistant", content: "" }), chat({ content: "Hi" }), chat({}, "stop")];
  const observer = () => dialects["openai.chat"]?.observer({ hideUsage: false });
  const read = (upTo: number, oneChoice: boolean) => {
    const seen = observer();
    assert.ok(seen !== undefined);
    const reader = passthroughReader(seen, decodeOpenAiError, oneChoice);
    for (const frame of frames.slice(0, upTo)) reader.push(Buffer.from(frame));
    return reader.close();
  };
  it("is whole behind its finish, and gets the marker", () => {
    const { out, ended, error } = read(3, true);
    assert.deepEqual([text(out), ended, error], [done, true, null]);
  });
  it("is cut off before it, and with several choices", () => {
    assert.equal(read(2, true).ended, false);
    assert.equal(read(3, false).ended, false);
  });
});
