import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { failures } from "../../../proxy/failure.ts";
import { provider } from "../../../proxy/providers/anthropic/index.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc, { runs } from "../../harness/property.ts";
import { accepted, accountOf, environment, hello, isReply, modelOf, type Setting } from "./drive.ts";

const text = (value: string): JsonObject => ({ type: "text", text: value });
const assistant = (...content: JsonObject[]): JsonObject => ({ role: "assistant", content });
const signed = { type: "thinking", thinking: "Hm.", signature: "c2ln" };
const redacted = { type: "redacted_thinking", data: "b3BhcXVl" };

describe("the address and credentials of a call", () => {
  for (const endpoint of ["https://api.anthropic.com", "https://api.anthropic.com/v1", "https://api.anthropic.com/"]) {
    test(`the endpoint ${endpoint}`, () => assert.equal(accepted(provider, {}, { endpoint }).path, "/v1/messages"));
  }

  test("an endpoint with a path", () => {
    const endpoint = "https://x.services.test/anthropic";
    assert.equal(accepted(provider, {}, { endpoint }).path, "/anthropic/v1/messages");
    assert.equal(
      provider.passthroughPath("anthropic.messages", accountOf({ endpoint }), modelOf({})),
      "/anthropic/v1/messages",
    );
  });

  test("passes through only its own format", () => {
    assert.equal(provider.passthroughPath("openai.chat", accountOf({}), modelOf({})), null);
    assert.equal(provider.passthroughPath("openai.embeddings", accountOf({}), modelOf({})), null);
    assert.equal(provider.embeddings, null);
  });

  const headers = async (setting: Setting, given: Record<string, string> = {}): Promise<Record<string, string>> => {
    const outgoing = { method: "POST" as const, path: "/v1/messages", headers: given, body: "{}" };
    return (await provider.authorize(outgoing, accountOf(setting), environment(0))).headers;
  };

  test("the key and the version", async () => {
    assert.deepEqual(await headers({ credentials: { apiKey: "sk-1" } }), {
      "x-api-key": "sk-1",
      "anthropic-version": "2023-06-01",
    });
  });

  test("a version and betas of the account, and those of a caller that passes through", async () => {
    const setting = { options: { version: "2024-01-01", beta: "a-1,b-2" } };
    assert.deepEqual(await headers(setting), { "anthropic-version": "2024-01-01", "anthropic-beta": "a-1,b-2" });
    assert.deepEqual(await headers(setting, { "anthropic-version": "2023-06-01", "anthropic-beta": "b-2, c-3" }), {
      "anthropic-version": "2023-06-01",
      "anthropic-beta": "a-1,b-2,c-3",
    });
  });
});

const usage = {
  input_tokens: 10,
  cache_read_input_tokens: 5,
  cache_creation_input_tokens: 2,
  output_tokens: 7,
  output_tokens_details: { thinking_tokens: 3 },
};
const normalised = { prompt: 17, cachedPrompt: 5, cacheWrite: 2, completion: 7, reasoning: 3, estimated: false };
const message = (more: JsonObject): JsonObject => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-x",
  content: [text("Hel"), text("lo")],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage,
  ...more,
});

describe("an answer", () => {
  const decode = (body: unknown) => accepted(provider, {}).decodeReply(body, {});

  test("with its texts joined and its usage normalised", () => {
    assert.deepEqual(decode(message({})), {
      id: "msg_1",
      created: 0,
      model: "claude-x",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello" },
          finish_reason: "stop",
          native_finish_reason: "end_turn",
        },
      ],
      usage: normalised,
    });
  });

  test("with reasoning, tools, and unknown blocks", () => {
    const reply = decode(
      message({
        content: [
          signed,
          redacted,
          { type: "novelty" },
          { type: "tool_use", id: "toolu_1", name: "look", input: { at: "ä" } },
          { type: "tool_use", id: "toolu_2", name: "now" },
        ],
        stop_reason: "tool_use",
      }),
    );
    assert.ok(isReply(reply));
    assert.deepEqual(reply.choices[0], {
      index: 0,
      message: {
        role: "assistant",
        content: null,
        tool_calls: [
          { id: "toolu_1", type: "function", function: { name: "look", arguments: '{"at":"ä"}' } },
          { id: "toolu_2", type: "function", function: { name: "now", arguments: "{}" } },
        ],
        reasoning_content: "Hm.",
        thinking_blocks: [signed, redacted],
      },
      finish_reason: "tool_calls",
      native_finish_reason: "tool_use",
    });
  });

  test("that was refused", () => {
    const reply = decode(
      message({
        content: [],
        stop_reason: "refusal",
        stop_details: { type: "refusal", category: "cyber", explanation: "Against the rules." },
      }),
    );
    assert.ok(isReply(reply));
    assert.equal(reply.choices[0]?.finish_reason, "content_filter");
    assert.equal(reply.choices[0]?.message.refusal, "Against the rules.");
  });

  const reasons: Record<string, string> = {
    end_turn: "stop",
    stop_sequence: "stop",
    pause_turn: "length",
    compaction: "length",
    max_tokens: "length",
    model_context_window_exceeded: "length",
    tool_use: "tool_calls",
    refusal: "content_filter",
    something_new: "stop",
    constructor: "stop",
  };
  for (const [native, reason] of Object.entries(reasons)) {
    test(`that stopped with ${native}`, () => {
      const reply = decode(message({ stop_reason: native }));
      assert.ok(isReply(reply));
      assert.equal(reply.choices[0]?.finish_reason, reason);
      assert.equal(reply.choices[0]?.native_finish_reason, native);
    });
  }

  test("gets its signed reasoning back unchanged from the client", () => {
    const reply = decode(
      message({
        content: [signed, redacted, { type: "tool_use", id: "toolu_1", name: "look", input: {} }],
        stop_reason: "tool_use",
      }),
    );
    assert.ok(isReply(reply));
    const own = reply.choices[0]?.message;
    assert.ok(own);
    const again = accepted(provider, {
      messages: [hello, own, { role: "tool", tool_call_id: "toolu_1", content: "1" }],
    }).json["messages"];
    assert.deepEqual(
      (again as JsonObject[])[1],
      assistant(signed, redacted, { type: "tool_use", id: "toolu_1", name: "look", input: {} }),
    );
  });

  test("that is an error despite its status", () => {
    const error = decode({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } });
    assert.ok(!isReply(error));
    assert.equal(error.class, "Unavailable");
  });

  test("of any JSON is a reply or an error", () => {
    const pieces = fc.constantFrom(
      "content",
      "type",
      "text",
      "tool_use",
      "thinking",
      "input",
      "usage",
      "stop_reason",
      "id",
      "name",
      "error",
    );
    const json = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(
        pieces,
        fc.oneof(fc.jsonValue(), fc.array(fc.dictionary(pieces, fc.oneof(pieces, fc.jsonValue())))),
      ),
    );
    fc.assert(
      fc.property(json, (body) => {
        const answer = decode(body);
        assert.ok(isReply(answer) || answer.code in failures);
      }),
      { numRuns: runs(500) },
    );
  });
});

describe("an error", () => {
  const decode = (status: number, type: string, words: string, headers: Record<string, string> = {}) =>
    provider.decodeError({
      status,
      headers,
      body: { type: "error", error: { type, message: words }, request_id: "req_1" },
      nowMs: 0,
    });

  const rows: [number, string, string, string, string][] = [
    [400, "invalid_request_error", "messages: bad", "BadRequest", "upstream_rejected_request"],
    [
      400,
      "invalid_request_error",
      "prompt is too long: 210000 tokens > 200000 maximum",
      "BadRequest",
      "context_length_exceeded",
    ],
    [
      400,
      "invalid_request_error",
      "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
      "BadRequest",
      "context_length_exceeded",
    ],
    [
      400,
      "invalid_request_error",
      "Your credit balance is too low to access the API",
      "Unauthorized",
      "upstream_auth_error",
    ],
    [401, "authentication_error", "invalid x-api-key", "Unauthorized", "upstream_auth_error"],
    [402, "billing_error", "pay", "Unauthorized", "upstream_auth_error"],
    [403, "permission_error", "no", "Unauthorized", "upstream_auth_error"],
    [404, "not_found_error", "model: claude-0", "NotFound", "upstream_model_not_found"],
    [413, "request_too_large", "too big", "BadRequest", "request_too_large"],
    [429, "rate_limit_error", "slow down", "RateLimited", "upstream_rate_limited"],
    [500, "api_error", "oops", "ServerError", "upstream_error"],
    [504, "timeout_error", "late", "Timeout", "upstream_timeout"],
    [529, "overloaded_error", "Overloaded", "Unavailable", "upstream_unavailable"],
  ];
  for (const [status, type, words, kind, code] of rows) {
    test(`${status} ${type}: ${words.slice(0, 24)}`, () => {
      const error = decode(status, type, words);
      assert.deepEqual([error.class, error.code, error.upstreamStatus], [kind, code, status]);
      if (kind === "Unauthorized") assert.ok(!error.message.includes(words));
    });
  }

  test("says when to retry", () =>
    assert.equal(decode(429, "rate_limit_error", "slow", { "retry-after": "7" }).retryAfterMs, 7000));
  test("of an empty account says so", () => assert.match(decode(402, "billing_error", "x").message, /billing/));
  test("from in front of the API: a 413 page, and a bare status", () => {
    assert.equal(
      provider.decodeError({ status: 413, headers: {}, body: "<html>too large</html>", nowMs: 0 }).code,
      "request_too_large",
    );
    assert.equal(provider.decodeError({ status: 529, headers: {}, body: null, nowMs: 0 }).class, "Unavailable");
  });
  test("of any JSON is an error of the closed table", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 599 }),
        fc.jsonValue(),
        (status, body) => provider.decodeError({ status, headers: {}, body, nowMs: 0 }).code in failures,
      ),
    );
  });
});
