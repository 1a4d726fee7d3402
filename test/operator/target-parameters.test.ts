/** `spec.routing.targets[].parameters`: what is accepted, and what is said of the rest. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compile } from "../../operator/compile/compile.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";

const object = (kind: WorldObject["kind"], name: string, spec: unknown): WorldObject => ({
  kind,
  meta: { name, namespace: "a", uid: name, generation: 1, createdAtMs: 1, labels: {} },
  spec,
  status: {},
});

function run(parameters: Record<string, unknown>) {
  const objects = [
    object("LLMProvider", "p", { type: "OpenAICompatible", endpoint: "http://p.example.com", models: [{ name: "m" }] }),
    object("RoutingPolicy", "r", {
      match: { models: ["m"] },
      routing: { targets: [{ provider: { name: "p" }, parameters }] },
    }),
  ];
  const { config, verdicts } = compile(
    {
      world: { objects, secrets: {}, namespaces: {} },
      settings: { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*" },
      previous: null,
      nowMs: 0,
    },
    capabilitiesByType,
  );
  const verdict = verdicts.find(({ kind }) => kind === "RoutingPolicy");
  return { target: config.routes[0]?.routing.targets[0], problems: verdict?.accepted.map(({ message }) => message) };
}

describe("a target's parameters", () => {
  for (const parameters of [
    { temperature: 0.7, top_p: 1, max_tokens: 100, stop: ["a", "b"], seed: -1 },
    { reasoning_effort: "high", service_tier: "flex", parallel_tool_calls: false, verbosity: "low" },
    { chat_template_kwargs: { enable_thinking: false }, repetition_penalty: 1.1 },
  ])
    it(`are published: ${Object.keys(parameters)}`, () => {
      const { target, problems } = run(parameters);
      assert.deepEqual(problems, []);
      assert.deepEqual(target?.parameters, parameters);
    });

  const where = "spec.routing.targets[0].parameters";
  for (const [parameters, message] of [
    [{ temperature: 2.1 }, `${where}.temperature must be a number from 0 to 2`],
    [{ temperature: "0.5" }, `${where}.temperature must be a number from 0 to 2`],
    [{ max_tokens: 0 }, `${where}.max_tokens must be a whole number from 1 to 10000000`],
    [
      { reasoning_effort: "much" },
      `${where}.reasoning_effort must be one of none, minimal, low, medium, high, xhigh, max`,
    ],
    [{ stop: [] }, `${where}.stop must be a text, or a list of 1 to 16 texts`],
    [{ parallel_tool_calls: "no" }, `${where}.parallel_tool_calls must be true or false`],
    [{ model: "other" }, `${where} must not set model: set the target's model`],
    [{ n: 3 }, `${where} must not set n: it is the caller's, or the same for all targets`],
    [{ models: ["x"] }, `${where} must not set models: it is the caller's, or the same for all targets`],
    [{ note: "x".repeat(5_000) }, `${where} must be at most 4096 characters of JSON`],
  ] as const)
    it(`are refused: ${JSON.stringify(parameters).slice(0, 60)}`, () => {
      const { target, problems } = run(parameters);
      assert.deepEqual(problems, [message]);
      assert.equal(target, undefined);
    });
});
