/** Names and words of a stream may be spelled by escapes: whatever is judged by its bytes is judged as parsing would. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import type { TextWireFormat } from "../../../proxy/config/capabilities.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import { usualSpelling } from "../../../proxy/dialects/verdict/spelling.ts";
import { isWithheld, isWithheldStream } from "../../../proxy/dialects/verdict/withheld.ts";
import { passedReply } from "../../../proxy/pipeline/whole-reply.ts";
import fc from "../../harness/property.ts";
import { spelledByEscapes, spelledStream } from "../../harness/spelled.ts";

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const event = (type: string, more: object = {}): string => `event: ${type}\n${data({ type, ...more })}`;
const chat = (choice: object, more: object = {}): string => data({ choices: [{ index: 0, ...choice }], ...more });
const said = chat({ delta: { content: 'Hé "there" \\u0065 <b>' } });
const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const done = "data: [DONE]\n\n";
const began = event("content_block_delta", { index: 0, delta: { type: "text_delta", text: "Hi" } });
const spoke = event("response.output_text.delta", { delta: "Hi" });
const failed = { error: { message: "engine overloaded", type: "server_error", code: "overloaded" } };

/** Streams whose frames a verdict, a charge or an end comes from, with and without content before them. */
const streams: Partial<Record<TextWireFormat, Readonly<Record<string, string>>>> = {
  "openai.chat": {
    "an error behind content": said + data(failed),
    "an error before content": data(failed),
    "an error in a choice": said + chat({ delta: {}, error: failed.error }),
    "a failed reason": said + chat({ delta: {}, finish_reason: "error" }),
    "a failed reason in an event of several lines": `${said}id: 1\n${chat({ delta: {}, finish_reason: "error" })}`,
    "a flat error": data({ object: "error", message: "died", code: 500 }),
    "usage behind its reason": `${said}${chat({ delta: {}, finish_reason: "stop" })}${data({ choices: [], usage })}${done}`,
    "a tier with the usage": said + data({ choices: [], usage, service_tier: "priority" }),
    "tool calls": chat({ delta: { tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] } }) + done,
    "a filtered answer": chat({ delta: {}, finish_reason: "content_filter" }) + done,
  },
  "openai.completions": {
    "an error behind content": data({ choices: [{ text: "Hi" }] }) + data(failed),
    usage: data({ choices: [{ text: "Hi", finish_reason: "stop" }] }) + data({ choices: [], usage }),
  },
  "anthropic.messages": {
    "an error behind content": began + event("error", failed),
    "an error with its name only in the data": began + data({ type: "error", ...failed }),
    "usage and an end":
      event("message_start", { message: { id: "m", usage: { input_tokens: 3, output_tokens: 1 } } }) +
      began +
      event("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } }) +
      event("message_stop"),
    "frames without names": data({ type: "message_stop" }),
  },
  "openai.responses": {
    "an error behind content": spoke + event("error", { message: "died", code: "server_error" }),
    "a failure": spoke + event("response.failed", { response: { status: "failed", ...failed } }),
    "frames without names": data({ type: "response.failed", response: failed }),
    "usage and an end":
      spoke +
      event("response.completed", {
        response: { status: "completed", output: [{}], usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 } },
      }),
  },
};

const verdictOf = (format: TextWireFormat, text: string, parts: number) => {
  const observer = dialects[format]?.observer({ hideUsage: true });
  assert.ok(observer !== undefined);
  const bytes = Buffer.from(text);
  const out: Uint8Array[] = [];
  const size = Math.ceil(bytes.length / parts);
  for (let from = 0; from < bytes.length; from += size) out.push(observer.push(bytes.subarray(from, from + size)));
  out.push(observer.flush());
  const { error, errorBody, ended, progress, usage: charged, contentEnded, usageIsFinal, failure = null } = observer;
  const passed = usualSpelling(Buffer.concat(out).toString("latin1"));
  return { error, errorBody, ended, progress, charged, contentEnded, usageIsFinal, failure, passed };
};

describe("a stream spelled by escapes", () => {
  for (const [format, texts] of Object.entries(streams) as [TextWireFormat, Readonly<Record<string, string>>][])
    for (const [what, text] of Object.entries(texts)) {
      const all = spelledStream(text);
      it(`${format}: ${what}`, () => {
        const expected = verdictOf(format, text, 1);
        for (const parts of [1, 3, all.length]) assert.deepEqual(verdictOf(format, all, parts), expected);
      });
      it(`${format}: ${what}, in part`, () => {
        const expected = verdictOf(format, text, 1);
        fc.assert(
          fc.property(fc.infiniteStream(fc.boolean()), fc.integer({ min: 1, max: 9 }), (chosen, parts) => {
            const spelled = spelledStream(text, () => chosen.next().value === true);
            assert.deepEqual(verdictOf(format, spelled, parts), expected);
          }),
          { numRuns: 20 },
        );
      });
    }

  it("passes on the bytes that it came in", () => {
    const observer = dialects["openai.chat"]?.observer({ hideUsage: false });
    const bytes = Buffer.from(spelledStream(said));
    assert.deepEqual(observer?.push(bytes), bytes);
  });

  it("is withheld if its filter says so", () =>
    assert.equal(isWithheldStream('{"\\u0066inish_reason":"content_filte\\u0072"}'), true));
});

describe("a whole answer spelled by escapes", () => {
  const whole = {
    choices: [{ finish_reason: "content_filter", message: { content: "x" } }],
    usage,
    service_tier: "flex",
  };
  const spelled = Buffer.from(spelledByEscapes(JSON.stringify(whole)));

  it("is withheld if its filter says so", () => assert.equal(isWithheld(spelled), true));

  it("is charged what it reports, and passes as it came", () => {
    const usageOf = dialects["openai.chat"]?.usageOf;
    assert.ok(usageOf !== undefined);
    const reply = passedReply(spelled, usageOf);
    assert.ok("body" in reply);
    assert.equal(reply.body, spelled);
    assert.deepEqual(reply.usage, usageOf(whole));
  });
});
