/** `spec.discovery`: what compile makes of found models, and what policies say while nothing is found. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Compiled, compile } from "../../operator/compile/compile.ts";
import { checkDiscovery, discoveryCondition } from "../../operator/compile/discovery.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { DiscoveryBook } from "../../operator/loops/discovery/book.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { DiscoveryReading } from "../../proxy/config/discovery.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";

const object = (kind: WorldObject["kind"], name: string, spec: unknown): WorldObject => ({
  kind,
  meta: { name, namespace: "a", uid: name, generation: 1, createdAtMs: 1, labels: {} },
  spec,
  status: {},
});
const provider = (spec: Record<string, unknown> = {}): WorldObject =>
  object("LLMProvider", "p", {
    type: "OpenAICompatible",
    endpoint: "http://p.example.com/v1",
    discovery: {},
    ...spec,
  });
const policy = (models: string[], target: Record<string, unknown> = {}): WorldObject =>
  object("RoutingPolicy", "r", { match: { models }, routing: { targets: [{ provider: { name: "p" }, ...target }] } });

function run(objects: WorldObject[], found: string[] | null, previous: RenderedConfig | null = null): Compiled {
  return compile(
    {
      world: { objects, secrets: {}, namespaces: {} },
      settings: { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*" },
      previous,
      ...(found === null ? {} : { discovered: new Map([["a/p", found]]) }),
      nowMs: 0,
    },
    capabilitiesByType,
  );
}
const modelsOf = ({ config }: Compiled): string[] => Object.keys(config.providers[0]?.models ?? {});
function of(compiled: Compiled, kind: WorldObject["kind"]) {
  const verdict = compiled.verdicts.find((one) => one.kind === kind);
  const problems = [...(verdict?.accepted ?? []), ...(verdict?.resolvedRefs ?? [])];
  return { live: verdict?.live, problems: problems.map(({ severity, message }) => `${severity}: ${message}`) };
}

describe("discovered models", () => {
  it("are added to the declared ones, which keep their settings", () => {
    const declared = { models: [{ name: "b", upstream: "b-2024" }] };
    const { config } = run([provider(declared)], ["c", "b", "a"]);
    const { models = {} } = config.providers[0] ?? {};
    assert.deepEqual(Object.keys(models).sort(), ["a", "b", "c"]);
    assert.deepEqual([models["b"]?.upstream, models["b"]?.discovered], ["b-2024", undefined]);
    assert.deepEqual([models["a"]?.upstream, models["a"]?.discovered], ["a", true]);
  });

  it("are those that match, with names that can be used, in bounds", () => {
    const odd = ["gpt-1", "gpt-2", "gpt-3", "o3", "gpt-\u0000", "gpt-<x>", `gpt-${"x".repeat(200)}`, "-gpt", ""];
    const discovery = { models: ["gpt-*"], maxModels: 2 };
    assert.deepEqual(modelsOf(run([provider({ discovery })], odd)), ["gpt-1", "gpt-2"]);
    const many = Array.from({ length: 500 }, (_, index) => `m${1000 + index}`);
    const declared = Array.from({ length: 200 }, (_, index) => ({ name: `d${index}` }));
    assert.equal(modelsOf(run([provider({ models: declared, discovery: { maxModels: 256 } })], many)).length, 256);
  });

  it("are those that are published until proxies report, as long as the server is the same", () => {
    const { config } = run([provider()], ["a", "b"]);
    assert.deepEqual(modelsOf(run([provider()], null, config)), ["a", "b"]);
    assert.deepEqual(modelsOf(run([provider()], ["b"], config)), ["b"]);
    assert.deepEqual(modelsOf(run([provider({ endpoint: "http://q.example.com/v1" })], null, config)), []);
    assert.deepEqual(modelsOf(run([provider({ discovery: undefined, models: [{ name: "x" }] })], null, config)), ["x"]);
  });

  it("without a price are in the condition PriceUnknown", () => {
    const { verdicts } = run([provider()], ["a"]);
    assert.match(JSON.stringify(verdicts[0]?.conditions), /"PriceUnknown".*no price is known for a/);
  });

  it("are not for types whose models can't be listed", () => {
    const [problem, ...more] = checkDiscovery({
      ...capabilitiesByType["OpenAI"],
      type: "NoList",
      discovers: undefined,
    } as never);
    assert.match(problem?.message ?? "", /can't list the models of type NoList; take spec.discovery out/);
    assert.deepEqual(more, []);
    for (const known of Object.values(capabilitiesByType)) assert.deepEqual(checkDiscovery(known), []);
  });

  const yet = (names: string): string =>
    `warning: LLMProvider a/p has not listed ${names} yet; calls are served once it does`;
  const rows: [what: string, objects: WorldObject[], problems: RegExp | string | null][] = [
    ["a name that may be found", [provider(), policy(["gpt-4o"])], yet("gpt-4o")],
    [
      "a wildcard that may be found",
      [provider({ discovery: { models: ["gpt-4*"] } }), policy(["gpt-*"])],
      yet("gpt-*"),
    ],
    ["a target's model that may be found", [provider(), policy(["x"], { model: "gpt-4o" })], yet("gpt-4o")],
    [
      "a name that can't be found",
      [provider({ discovery: { models: ["o*"] } }), policy(["gpt-4o"])],
      /^error: .* has no model gpt-4o; it has none yet/,
    ],
    [
      "a wildcard that can't be found",
      [provider({ discovery: { models: ["o*"] } }), policy(["gpt-*"])],
      /^error: .* has no model gpt-\*/,
    ],
    ["a name that is declared", [provider({ models: [{ name: "m" }] }), policy(["m"])], null],
  ];
  for (const [what, objects, said] of rows)
    it(`leave a policy ${typeof said === "string" || said === null ? "in place" : "refused"} with ${what}`, () => {
      const { live, problems } = of(run(objects, null), "RoutingPolicy");
      assert.equal(live, said instanceof RegExp ? "none" : "current");
      if (said instanceof RegExp) assert.match(problems[0] ?? "", said);
      else assert.deepEqual(problems, said === null ? [] : [said]);
    });
});

describe("what proxies found", () => {
  const report = (models: string[] | null, reason: string | null = null) =>
    new Map([["a/p", { discovered: { models, matching: models?.length ?? 0, reason } }]]);

  it("counts while any proxy has it, and is news only if it changed", () => {
    const book = new DiscoveryBook();
    assert.equal(book.learn([report(null)]), false);
    assert.equal(book.learn([report(["b"]), report(["a", "b"])]), true);
    assert.deepEqual(book.facts().get("a/p"), ["a", "b"]);
    assert.equal(book.learn([report(["a"]), report(["b"])]), false);
    assert.equal(book.learn([report(["a"]), report(null, "status 500")]), true);
    assert.equal(book.learn([report(null, "status 500")]), false);
    assert.equal(book.learn([]), false);
    assert.deepEqual(book.facts().get("a/p"), ["a"]);
    assert.equal(book.learn([new Map([["a/p", {}]])]), false);
    assert.equal(book.facts().size, 0);
  });

  const reading = (more: Partial<DiscoveryReading>): DiscoveryReading => ({
    models: null,
    matching: 0,
    reason: null,
    ...more,
  });
  for (const [readings, reason, message] of [
    [[], null, ""],
    [[reading({})], "NotYetKnown", "no proxy has read the provider's models yet"],
    [[reading({ reason: "status 401" })], "DiscoveryFailed", "GET of the provider's models: status 401"],
    [[reading({ models: ["a"], matching: 1 })], "Discovered", "1 of the provider's models match"],
    [
      [reading({ models: ["a"], matching: 3 })],
      "Discovered",
      "1 of the provider's models match; 2 more match: raise spec.discovery.maxModels, or narrow spec.discovery.models",
    ],
  ] as const)
    it(`is said in the status: ${reason}`, () => {
      const condition = discoveryCondition(readings);
      assert.equal(condition?.reason ?? null, reason);
      assert.equal(condition?.message ?? "", message);
    });
});
