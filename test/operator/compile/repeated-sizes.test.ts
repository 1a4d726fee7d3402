/** A pass computes the size of what has changed, and of nothing else. */
import assert from "node:assert/strict";
import { it, mock } from "node:test";
import { compile } from "../../../operator/compile/compile.ts";
import { CompileMemo } from "../../../operator/compile/memo.ts";
import type { WorldObject } from "../../../operator/compile/world.ts";
import { capabilitiesByType } from "../../../proxy/config/capabilities.generated.ts";
import type { RenderedConfig } from "../../../proxy/config/schema.ts";

const count = 100;
const objectOf = (kind: WorldObject["kind"], name: string, spec: object): WorldObject => ({
  kind,
  meta: { name, namespace: "a", uid: `${kind}/${name}`, generation: 1, createdAtMs: 1, labels: {} },
  spec,
  status: {},
});
const provider = objectOf("LLMProvider", "up", {
  type: "OpenAICompatible",
  endpoint: "https://llm.example.com/v1",
  models: [{ name: "m" }],
});
const policyOf = (index: number, maxTokens: number): WorldObject =>
  objectOf("RoutingPolicy", `policy-${index}`, {
    match: { models: [`model-${index}`] },
    routing: { targets: [{ provider: { name: "up" }, model: "m" }] },
    request: { defaults: { max_tokens: maxTokens } },
  });

it("compiling policies again serializes none that is unchanged", () => {
  const memo = new CompileMemo();
  const pass = (policies: WorldObject[], previous: RenderedConfig | null): RenderedConfig => {
    const world = { objects: [provider, ...policies], namespaces: { a: {} }, secrets: {} };
    const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] };
    return compile({ world, settings, previous, nowMs: 1 }, capabilitiesByType, memo).config;
  };
  const policies = Array.from({ length: count }, (_, index) => policyOf(index, 100));
  const first = pass(policies, null);
  const again = pass(policies, first);
  const serialized = mock.method(JSON, "stringify");
  try {
    assert.equal(pass(policies, again).routes.length, count);
    const unchanged = serialized.mock.callCount();
    assert.ok(unchanged < count / 4, `${unchanged} texts with nothing changed`);
    pass(policies.with(7, policyOf(7, 200)), again);
    const changed = serialized.mock.callCount() - unchanged;
    assert.ok(changed < count / 4, `${changed} texts with one policy changed`);
  } finally {
    serialized.mock.restore();
  }
});
