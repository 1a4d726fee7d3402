import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compile } from "../../operator/compile/compile.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";

describe("an endpoint that ends with the path of a call", () => {
  const cases: [endpoint: string, added: string | null][] = [
    ["https://llm.example.com/v1/chat/completions", "/chat/completions"],
    ["https://llm.example.com/v1/chat/completions/", "/chat/completions"],
    ["https://llm.example.com/v1/embeddings", "/embeddings"],
    ["https://llm.example.com/v1", null],
    ["https://llm.example.com/models", null],
    ["https://chat.example.com/completionist", null],
  ];
  for (const [endpoint, added] of cases)
    it(`${endpoint} ${added === null ? "is fine" : "is served with a warning"}`, () => {
      const meta = { name: "up", namespace: "a", uid: "up", generation: 1, createdAtMs: 1, labels: {} };
      const spec = { type: "OpenAICompatible", endpoint, models: [{ name: "m" }] };
      const objects = [{ kind: "LLMProvider" as const, meta, spec, status: {} }];
      const world = { objects, namespaces: { a: {} }, secrets: {} };
      const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] };
      const [verdict] = compile({ world, settings, previous: null, nowMs: 1 }, capabilitiesByType).verdicts;
      const said = verdict?.accepted.map(({ severity, message }) => `${severity}: ${message.split(",")[0]}`);
      assert.deepEqual(said, added === null ? [] : [`warning: spec.endpoint ends with ${added}`]);
      assert.equal(verdict?.live, "current");
    });
});
