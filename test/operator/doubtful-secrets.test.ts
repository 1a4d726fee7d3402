/** Secret values that were probably copied with something around them: used as they are, with a warning. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { compile } from "../../operator/compile/compile.ts";
import { secretFact } from "../../operator/secrets.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";

const pepper = Buffer.alloc(32, 1);
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("the value of a provider's Secret", () => {
  const cases: [value: string, warning: RegExp | null][] = [
    ['"sk-abcdefghijklmnop"', /quotation marks/],
    ["'sk-abcdefghijklmnop'", /quotation marks/],
    ["Bearer sk-abcdefghijklmnop", /begins with Bearer/],
    ["bearer sk-abcdefghijklmnop", /begins with Bearer/],
    [" sk-abcdefghijklmnop", /begins or ends with a blank/],
    ["sk-abcdefghijklmnop ", /begins or ends with a blank/],
    [base64("sk-abcdefghijklmnop"), /Base64/],
    [base64("gsk_abcdefghijklmnop\n"), /Base64/],
    ["sk-abcdefghijklmnop", null],
    ["bearersk-abcdefghijklmnop", null],
    ['sk-"abcdefghijklmnop', null],
    ["3f9b2c7d8e1a4f60b5c2d7e8f9a0b1c2", null],
    [base64("some bytes that are a key as they are"), null],
  ];
  for (const [value, warning] of cases)
    it(`${value} ${warning === null ? "is fine" : "is used with a warning"}`, () => {
      const meta = { name: "up", namespace: "a", uid: "up", generation: 1, createdAtMs: 1, labels: {} };
      const spec = { type: "OpenAI", credentials: { secretRef: { name: "up" } }, models: [{ name: "m" }] };
      const objects = [{ kind: "LLMProvider" as const, meta, spec, status: {} }];
      const world = { objects, namespaces: { a: {} }, secrets: { "a/up": { apiKey: secretFact(pepper, value) } } };
      const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] };
      const [verdict] = compile({ world, settings, previous: null, nowMs: 1 }, capabilitiesByType).verdicts;
      assert.equal(verdict?.live, "current");
      const refs = verdict?.resolvedRefs ?? [];
      assert.equal(refs.length, warning === null ? 0 : 1);
      if (warning === null) return;
      assert.equal(refs[0]?.severity, "warning");
      assert.match(refs[0]?.message ?? "", warning);
      assert.doesNotMatch(refs[0]?.message ?? "", /abcdef/, "no part of the value");
    });
});
