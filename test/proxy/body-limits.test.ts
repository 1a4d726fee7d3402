import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { parseBody } from "../../proxy/call/received.ts";
import { type BodyLimits, defaultBodyLimits } from "../../proxy/config/body-limits.ts";

const list = (length: number): unknown[] => Array.from({ length }, () => ({ role: "user", content: "a" }));

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 1; level < levels; level++) value = [value];
  return { model: "m", messages: value };
}

const outcome = (body: unknown, limits?: BodyLimits): string => {
  const read = parseBody(Buffer.from(JSON.stringify(body)), limits);
  return "code" in read ? `${read.code} ${/proxy\.requestLimits\.\w+/.exec(read.message)?.[0] ?? ""}` : "read";
};

describe("what a request may have besides its size", () => {
  const few: BodyLimits = { entries: 3, tools: 2, jsonDepth: 8 };
  const rows: [string, unknown, BodyLimits | undefined, string][] = [
    ["100,000 messages, as Anthropic accepts", { messages: list(100_000) }, undefined, "read"],
    ["more messages", { messages: list(100_001) }, undefined, "invalid_value proxy.requestLimits.entries"],
    ["10,000 items of a response", { input: list(10_000) }, undefined, "read"],
    ["10,000 tools", { messages: list(1), tools: list(10_000) }, undefined, "read"],
    ["more tools", { messages: list(1), tools: list(10_001) }, undefined, "invalid_value proxy.requestLimits.tools"],
    ["128 levels", nested(128), undefined, "read"],
    ["129 levels", nested(129), undefined, "invalid_json proxy.requestLimits.jsonDepth"],
    ["as many messages as the installation allows", { messages: list(3) }, few, "read"],
    ["more than that", { messages: list(4) }, few, "invalid_value proxy.requestLimits.entries"],
    ["more tools than that", { tools: list(3) }, few, "invalid_value proxy.requestLimits.tools"],
    ["more functions than that", { functions: list(3) }, few, "invalid_value proxy.requestLimits.tools"],
    ["more levels than that", nested(9), few, "invalid_json proxy.requestLimits.jsonDepth"],
    ["a long prompt of token numbers", { prompt: [1, 2, 3, 4, 5] }, few, "read"],
  ];
  for (const [name, body, limits, expected] of rows)
    it(`${name}: ${expected}`, () => assert.equal(outcome(body, limits), expected));

  it("comes from the installation's settings", () => {
    assert.deepEqual(renderedSettings(installation.parse({})).bodyLimits, defaultBodyLimits);
    assert.equal(installation.parse({}).maxBodyBytes, 32 * 1024 * 1024);
    assert.deepEqual(renderedSettings(installation.parse({ bodyLimits: few })).bodyLimits, few);
  });
});
