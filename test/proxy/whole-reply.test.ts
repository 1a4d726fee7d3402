/** The usage read from a whole answer that passes through equals the usage from parsing all of it. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import type { Usage } from "../../proxy/dialects/canonical.ts";
import { dialects } from "../../proxy/dialects/registry.ts";
import { passedReply } from "../../proxy/pipeline/whole-reply.ts";
import type { JsonObject } from "../../proxy/wire/json.ts";
import fc, { runs } from "../harness/property.ts";

/** The member itself, for the test to inspect. */
function read(text: string): { usage: unknown } | "unreadable" {
  let seen: unknown;
  const reply = passedReply(Buffer.from(text), (body: JsonObject) => {
    seen = body["usage"];
    return seen as Usage | null;
  });
  return "code" in reply ? "unreadable" : { usage: seen };
}

describe("the usage of a whole answer", () => {
  it("is the answer's own, wherever else the name occurs", () => {
    const name = fc.constantFrom("usage", "id", "choices", 'a "usage":{} within');
    const word = fc.oneof(fc.constantFrom("usage", '"usage"', '"usage":{"a":1}}', "}", '\\"'), fc.string());
    const leaf = fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(name, tie("value"), { maxKeys: 4 }),
      ),
    }));
    const answers = fc.tuple(
      fc.dictionary(name, value),
      fc.constantFrom("", " ", "\n  "),
      fc.constantFrom("", " ", "\r\n\t"),
    );
    fc.assert(
      fc.property(answers, ([answer, indent, before]) => {
        const text = before + JSON.stringify(answer, null, indent) + before;
        // Text is read as Latin-1, because only the numbers matter.
        const all = JSON.parse(Buffer.from(text).toString("latin1")) as JsonObject;
        assert.deepEqual(read(text), { usage: all["usage"] });
      }),
      { numRuns: runs(2_000) },
    );
  });

  it("is never a member that the caller named the same, however large the answer", () => {
    const text = "x".repeat(70_000);
    const usage = { output_tokens: 9_000 };
    for (const own of ["{}", '{"output_tokens":0}', "x"]) {
      const said = JSON.stringify({ output: [{ text }], usage, user: "usage", metadata: { usage: own, more: "{}" } });
      assert.deepEqual(read(said), { usage });
    }
  });

  const usage = { prompt_tokens: 3, total_tokens: 4 };
  const vectors = Array.from({ length: 9_000 }, (_, at) => at / 7);
  const cases: Record<string, [text: string, result: ReturnType<typeof read>]> = {
    "before long vectors": [JSON.stringify({ object: "list", usage, data: vectors }), { usage }],
    "behind long vectors": [JSON.stringify({ object: "list", data: vectors, usage }), { usage }],
    "with its name twice": [`{"usage":{"prompt_tokens":1},"usage":${JSON.stringify(usage)}}`, { usage }],
    "of no JSON": ["<html>usage</html>", "unreadable"],
    "of a list": [`[${JSON.stringify({ usage })}]`, "unreadable"],
    "of an answer that is cut off": [`{"id":"1","usage":${JSON.stringify(usage)}`, "unreadable"],
    "of a long answer that is cut off": [JSON.stringify({ data: vectors, usage }).slice(0, -3), "unreadable"],
    "of an answer with something behind it": [`${JSON.stringify({ id: "1", usage })}}`, "unreadable"],
    "of nothing": ["", "unreadable"],
  };
  for (const [name, [text, result]] of Object.entries(cases)) it(name, () => assert.deepEqual(read(text), result));
});

describe("the tier of a whole answer", () => {
  const counts = { prompt_tokens: 3, completion_tokens: 4, input_tokens: 3, output_tokens: 4, total_tokens: 7 };
  const long = "x".repeat(70_000);
  for (const format of ["openai.chat", "openai.completions", "openai.responses"] as const) {
    const usageOf = dialects[format]?.usageOf;
    assert.ok(usageOf !== undefined);
    const modesOf = (text: string): readonly string[] | undefined => {
      const reply = passedReply(Buffer.from(text), usageOf, format === "openai.responses");
      assert.ok(!("code" in reply));
      assert.equal(reply.usage?.prompt, 3);
      return reply.usage?.modes;
    };
    for (const [what, text] of [
      ["before the usage", JSON.stringify({ id: "1", service_tier: "priority", usage: counts })],
      ["behind the usage", JSON.stringify({ id: "1", usage: counts, service_tier: "priority" })],
      ["in a long answer", JSON.stringify({ service_tier: "priority", output: [long], usage: counts })],
      [
        "behind the usage of a long answer",
        JSON.stringify({ output: [long], usage: counts, service_tier: "priority" }),
      ],
      ["on lines of its own", JSON.stringify({ service_tier: "priority", usage: counts }, null, 2)],
      [
        "next to the caller's own",
        JSON.stringify({ metadata: { service_tier: "flex" }, service_tier: "priority", usage: counts }),
      ],
    ] as const)
      it(`is read ${what}: ${format}`, () => assert.deepEqual(modesOf(text), ["priority"]));

    for (const [what, text] of [
      ["the caller's", JSON.stringify({ usage: counts, metadata: { service_tier: "flex" } })],
      ["the caller's, before the usage", JSON.stringify({ metadata: { service_tier: "flex" }, usage: counts })],
      ["within a text", JSON.stringify({ text: '"service_tier":"flex"', usage: counts })],
      ["the usual one", JSON.stringify({ service_tier: "default", usage: counts })],
      ["null", JSON.stringify({ service_tier: null, usage: counts })],
    ] as const)
      it(`is none where it is ${what}: ${format}`, () => assert.deepEqual(modesOf(text) ?? [], []));
  }
});
