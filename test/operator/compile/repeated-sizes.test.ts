/** A pass serializes what has changed, and nothing else. */
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

const budgetOf = (index: number, amount: number): WorldObject =>
  objectOf("Budget", `budget-${index}`, {
    amount: String(amount),
    period: "Daily",
    scope: { teams: [`team-${index}`] },
  });

for (const [what, make] of [
  ["policies", policyOf],
  ["budgets", budgetOf],
] as const)
  it(`compiling ${what} again serializes none that is unchanged`, () => {
    const memo = new CompileMemo();
    const pass = (objects: WorldObject[], previous: RenderedConfig | null): RenderedConfig => {
      const world = { objects: [provider, ...objects], namespaces: { a: {} }, secrets: {} };
      const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] };
      return compile({ world, settings, previous, nowMs: 1 }, capabilitiesByType, memo).config;
    };
    const objects = Array.from({ length: count }, (_, index) => make(index, 100));
    const first = pass(objects, null);
    const again = pass(objects, first);
    const serialized = mock.method(JSON, "stringify");
    try {
      const { routes, budgets } = pass(objects, again);
      assert.equal(routes.length + budgets.length, count);
      const unchanged = serialized.mock.callCount();
      assert.ok(unchanged < count / 4, `${unchanged} texts with nothing changed`);
      pass(objects.with(7, make(7, 200)), again);
      const changed = serialized.mock.callCount() - unchanged;
      assert.ok(changed < count / 4, `${changed} texts with one changed`);
    } finally {
      serialized.mock.restore();
    }
  });
