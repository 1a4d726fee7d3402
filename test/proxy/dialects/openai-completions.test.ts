import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ChatRequest, isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialect } from "../../../proxy/dialects/openai-completions/index.ts";
import { surfaces } from "../../../proxy/dialects/surfaces.ts";
import { failure } from "../../../proxy/failure.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc from "../../harness/property.ts";
import { contextOf, encodeAll, openai, streams, usage } from "./sdk.ts";
import { cuts, watch } from "./splits.ts";

const body = (more: JsonObject = {}): JsonObject => ({ model: "m", prompt: "Once", ...more });
const once = [{ role: "user", content: "Once" }];

const decoded: Record<string, [JsonObject, Partial<ChatRequest>]> = {
  "a text": [body(), {}],
  "a list of one text": [body({ prompt: ["Once"] }), {}],
  "what chat has too": [
    body({ max_tokens: 9, temperature: 0, n: 2, stop: "x", seed: 1, logit_bias: { "1": 2 }, user: "u", stream: true }),
    {
      max_completion_tokens: 9,
      temperature: 0,
      n: 2,
      stop: "x",
      seed: 1,
      logit_bias: { "1": 2 },
      user: "u",
      stream: true,
    },
  ],
  "what changes nothing": [body({ suffix: "", echo: false, best_of: 1, logprobs: null }), {}],
};

const refused: Record<string, [JsonObject, string]> = {
  "no prompt": [{ model: "m" }, "missing_required_parameter"],
  "several prompts": [body({ prompt: ["a", "b"] }), "unsupported_parameter"],
  tokens: [body({ prompt: [1, 2] }), "unsupported_parameter"],
  "lists of tokens": [body({ prompt: [[1, 2]] }), "unsupported_parameter"],
  "a number": [body({ prompt: 1 }), "invalid_value"],
  suffix: [body({ suffix: "end" }), "unsupported_parameter"],
  echo: [body({ echo: true }), "unsupported_parameter"],
  best_of: [body({ best_of: 2 }), "unsupported_parameter"],
  logprobs: [body({ logprobs: 0 }), "unsupported_parameter"],
};

describe("legacy completions", () => {
  for (const [name, [given, expected]] of Object.entries(decoded)) {
    test(`take ${name}`, () => assert.deepEqual(dialect.decode(given), { model: "m", messages: once, ...expected }));
  }
  for (const [name, [given, code]] of Object.entries(refused)) {
    test(`refuse ${name}`, () => {
      const found = dialect.decode(given);
      assert.ok(isRefusal(found));
      assert.deepEqual([found.param, found.code], [name in given ? name : "prompt", code]);
    });
  }

  test("never throw, whatever the JSON", () => {
    fc.assert(
      fc.property(
        fc.record(
          { model: fc.jsonValue(), prompt: fc.jsonValue(), suffix: fc.jsonValue(), stop: fc.jsonValue() },
          { requiredKeys: [] },
        ),
        (given) => assert.equal(typeof dialect.decode(given as JsonObject), "object"),
      ),
    );
  });

  test("the official SDK reads a whole answer", async () => {
    const answer = dialect.encodeReply(
      {
        id: "up",
        created: 5,
        model: "u",
        choices: [{ index: 0, message: { role: "assistant", content: " upon" }, finish_reason: "tool_calls" }],
        usage,
      },
      contextOf(),
    );
    const read = await openai(answer).completions.create({ model: "alias", prompt: "Once" });
    assert.deepEqual(
      [read.id, read.object, read.model, read.choices[0]?.text, read.choices[0]?.finish_reason],
      ["up", "text_completion", "alias", " upon", "stop"],
    );
    assert.equal(read.usage?.total_tokens, 27);
    assert.deepEqual(dialect.usageOf(answer), usage);
  });

  test("the official SDK reads a stream", async () => {
    const stream = await openai(encodeAll(dialect, streams.plain)).completions.create({
      model: "alias",
      prompt: "Once",
      stream: true,
    });
    let text = "";
    const last: unknown[] = [];
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? "";
      last.push(chunk.choices[0]?.finish_reason ?? chunk.usage?.total_tokens ?? null);
    }
    assert.equal(text, "Grüß Gott 🎉");
    assert.deepEqual(last, [null, null, "stop", 27]);
  });

  test("an error in the stream raises", async () => {
    const text =
      encodeAll(dialect, streams.plain.slice(0, 3)) +
      surfaces.openai.streamError(failure("upstream_error", "It broke."), "req-1");
    const stream = await openai(text).completions.create({ model: "alias", prompt: "Once", stream: true });
    await assert.rejects(async () => {
      for await (const _chunk of stream);
    }, /It broke/);
  });

  test("usage of a stream that passes through is counted and hidden at any split", () => {
    const chunk =
      'data: {"object":"text_completion","choices":[{"text":"abcde","index":0,"finish_reason":null}],"usage":null}\n\n';
    const last =
      'data: {"object":"text_completion","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n';
    fc.assert(
      fc.property(cuts, (at) => {
        const seen = watch(dialect.observer({ hideUsage: true }), `${chunk}${chunk}${last}data: [DONE]\n\n`, at);
        assert.equal(seen.out, `${chunk}${chunk}data: [DONE]\n\n`.replaceAll(',"usage":null', ""));
        assert.deepEqual([seen.ended, seen.usage?.completion, seen.contentLength], [true, 2, 14]);
      }),
    );
  });
});
