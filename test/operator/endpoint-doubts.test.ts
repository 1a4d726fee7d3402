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

describe("a provider with a credential at an http:// endpoint", () => {
  const credentials = { secretRef: { name: "up" } };
  for (const [what, spec, warns] of [
    ["at a public address", { endpoint: "http://llm.example.com/v1", credentials }, true],
    ["at a private address", { endpoint: "http://llm:8000/v1", credentials, allowPrivateEndpoint: true }, false],
    ["without a credential", { endpoint: "http://llm.example.com/v1" }, false],
    ["with https", { endpoint: "https://llm.example.com/v1", credentials }, false],
  ] as const)
    it(`is ${warns ? "served with a warning" : "fine"} ${what}`, () => {
      const meta = { name: "up", namespace: "a", uid: "up", generation: 1, createdAtMs: 1, labels: {} };
      const objects = [
        {
          kind: "LLMProvider" as const,
          meta,
          spec: { type: "OpenAICompatible", models: [{ name: "m" }], ...spec },
          status: {},
        },
      ];
      const world = {
        objects,
        namespaces: { a: {} },
        secrets: { "a/up": { apiKey: { digest: "0".repeat(64), displayPrefix: "" } } },
      };
      const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] };
      const [verdict] = compile({ world, settings, previous: null, nowMs: 1 }, capabilitiesByType).verdicts;
      const said = verdict?.accepted.map(({ severity, message }) => `${severity}: ${message.split(",")[0]}`);
      assert.deepEqual(said, warns ? ["warning: spec.endpoint begins with http://"] : []);
      assert.equal(verdict?.live, "current");
    });
});
