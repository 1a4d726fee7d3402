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

describe("a provider's spec that can't be meant", () => {
  const nowMs = Date.parse("2027-03-01T12:00:00Z");
  const model = (sunset: string): object => ({ models: [{ name: "m", sunset }] });
  const retired = "model m was withdrawn by its provider on 2027-03-01";
  const useless = (part: string, time: string, total = "30m", member = "timeouts"): string =>
    `spec.${member}.${part} of ${time} has no effect, since spec.timeouts.total ends the call after ${total}`;
  for (const [what, spec, says] of [
    ["a sunset that has begun", model("2027-03-01"), retired],
    ["a sunset to come", model("2027-03-02"), null],
    ["a response time above the total", { timeouts: { response: "2m", total: "1m" } }, useless("response", "2m", "1m")],
    ...(["connect", "write", "response", "firstToken", "idle"] as const).flatMap(
      (part) =>
        [
          [`${part} above the default total`, { timeouts: { [part]: "31m" } }, useless(part, "31m")],
          [`${part} as long as the default total`, { timeouts: { [part]: "30m" } }, null],
        ] as const,
    ),
    ...(["initialDelay", "maxDelay"] as const).flatMap(
      (delay) =>
        [
          [`${delay} above the default total`, { retry: { [delay]: "31m" } }, useless(delay, "31m", "30m", "retry")],
          [
            `${delay} above the total`,
            { timeouts: { total: "1m" }, retry: { [delay]: "2m" } },
            useless(delay, "2m", "1m", "retry"),
          ],
        ] as const,
    ),
    ["a total below the default delay", { timeouts: { total: "1s" }, retry: { initialDelay: "500ms" } }, null],
    ["a connection above the total", { timeouts: { connect: "20s", total: "15s" } }, useless("connect", "20s", "15s")],
    ["a response time as long as the total", { timeouts: { response: "1m", total: "1m" } }, null],
    [
      "a host of another type",
      { endpoint: "https://contoso.openai.azure.com/v1" },
      "spec.endpoint is a server of Azure OpenAI, and spec.type is OpenAICompatible; set type: AzureOpenAI",
    ],
    [
      "a host of another type, under the path of this one",
      { endpoint: "https://contoso.openai.azure.com/openai/v1" },
      null,
    ],
    [
      "a host of the type itself",
      { type: "AzureOpenAI", endpoint: "https://contoso.openai.azure.com", credentials: { secretRef: { name: "up" } } },
      null,
    ],
    ["a host that only ends alike", { endpoint: "https://notopenai.azure.com/v1" }, null],
    ["a total below the default times of the parts", { timeouts: { total: "5s" } }, null],
  ] as const)
    it(`${what} is ${says === null ? "fine" : "served with a warning"}`, () => {
      const meta = { name: "up", namespace: "a", uid: "up", generation: 1, createdAtMs: 1, labels: {} };
      const common = { type: "OpenAICompatible", endpoint: "https://llm.example.com/v1", models: [{ name: "m" }] };
      const objects = [{ kind: "LLMProvider" as const, meta, spec: { ...common, ...spec }, status: {} }];
      const world = {
        objects,
        namespaces: { a: {} },
        secrets: { "a/up": { apiKey: { digest: "0".repeat(64), displayPrefix: "" } } },
      };
      const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] };
      const [verdict] = compile({ world, settings, previous: null, nowMs }, capabilitiesByType).verdicts;
      const warnings = verdict?.accepted.map(({ severity, message }) => `${severity}: ${message}`) ?? [];
      assert.equal(warnings.length, says === null ? 0 : 1, warnings.join("; "));
      if (says !== null) assert.ok(warnings[0]?.startsWith(`warning: ${says}`), warnings[0]);
      assert.equal(verdict?.live, "current");
    });
});
