/** Wildcards in `match.models`: what they need, and the warnings where others take models from them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compile } from "../../operator/compile/compile.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";

let age = 0;
const object = (kind: WorldObject["kind"], id: string, spec: unknown): WorldObject => {
  const [namespace = "", name = ""] = id.split("/");
  return {
    kind,
    meta: { name, namespace, uid: id, generation: 1, createdAtMs: ++age, labels: {} },
    spec,
    status: {},
  };
};
const provider = (id: string, ...names: string[]): WorldObject =>
  object("LLMProvider", id, {
    type: "OpenAICompatible",
    endpoint: "http://p.example.com",
    models: names.map((name) => ({ name, price: { inputPerMillion: "1", outputPerMillion: "1" } })),
  });
const policy = (id: string, models: string[], spec: Record<string, unknown> = {}): WorldObject =>
  object("RoutingPolicy", id, {
    match: { models },
    routing: { targets: [{ provider: { name: "p" } }] },
    ...spec,
  });

function run(objects: readonly WorldObject[]) {
  const { config, verdicts } = compile(
    {
      world: { objects: [...objects], secrets: {}, namespaces: { a: {}, b: {} } },
      settings: { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*" },
      previous: null,
      nowMs: 0,
    },
    capabilitiesByType,
  );
  const of = (id: string) => {
    const verdict = verdicts.find(
      ({ kind, meta }) => kind !== "LLMProvider" && `${meta.namespace}/${meta.name}` === id,
    );
    const all = [...(verdict?.accepted ?? []), ...(verdict?.resolvedRefs ?? [])];
    return {
      live: verdict?.live,
      problems: all.map(({ reason, severity, message }) => `${severity} ${reason}: ${message}`),
      full: all.map(({ fullMessage }) => fullMessage),
      models: config.routes.find((route) => route.id === id)?.models,
    };
  };
  return of;
}

const p = provider("a/p", "gpt-4o", "gpt-4o-mini", "o3");

describe("a wildcard in match.models", () => {
  it("is published as it is written", () => {
    const { live, problems, models } = run([p, policy("a/r", ["gpt-*", "o3"])])("a/r");
    assert.deepEqual([live, problems, models], ["current", [], ["gpt-*", "o3"]]);
  });

  it("needs a target whose provider has a model that it matches", () => {
    const { live, problems } = run([p, policy("a/r", ["claude-*"])])("a/r");
    assert.equal(live, "none");
    assert.match(problems[0] ?? "", /^error ModelNotFound: LLMProvider a\/p has no model claude-\*; it has gpt-4o, /);
  });

  it("may be for another target than its neighbour", () => {
    const targets = [{ provider: { name: "p" } }, { provider: { name: "q" } }];
    const objects = [p, provider("a/q", "claude-5"), policy("a/r", ["gpt-*", "claude-*"], { routing: { targets } })];
    assert.deepEqual(run(objects)("a/r").problems, []);
  });

  it("is no one's twice, and neither is everything", () => {
    const objects = [p, policy("a/old", ["gpt-*", "*"]), policy("a/new", ["gpt-*", "*"])];
    assert.match(
      run(objects)("a/new").problems[0] ?? "",
      /^error Conflicted: .* a\/old is older .* \*, gpt-\* to the same/,
    );
  });

  const rule = "a name comes before a wildcard, and a longer prefix before a shorter one";
  const rows: [what: string, others: WorldObject[], mine: string[], said: string | null][] = [
    ["a name of its own", [], ["gpt-*", "gpt-4o"], `gpt-*, which also matches gpt-4o of its own; ${rule}`],
    [
      "a name of another policy",
      [policy("a/named", ["gpt-4o"])],
      ["gpt-*"],
      `gpt-*, which also matches gpt-4o of RoutingPolicy a/named; ${rule}`,
    ],
    [
      "a longer wildcard of another policy",
      [policy("a/mini", ["gpt-*-mini"])],
      ["gpt-*"],
      `gpt-*, which also matches gpt-*-mini of RoutingPolicy a/mini; ${rule}`,
    ],
    ["a shorter wildcard", [policy("a/all", ["*"])], ["gpt-*"], null],
    ["a name that it doesn't match", [policy("a/o", ["o3"])], ["gpt-*"], null],
    [
      "a name under another path",
      [policy("a/x", ["gpt-4o"], { match: { models: ["gpt-4o"], pathPrefix: "/x" } })],
      ["gpt-*"],
      null,
    ],
    [
      "a name of a policy for other callers",
      [provider("b/p", "gpt-4o"), policy("b/named", ["gpt-4o"])],
      ["gpt-*"],
      null,
    ],
  ];
  for (const [what, others, mine, said] of rows)
    it(`${said === null ? "is fine" : "is warned of"} with ${what}`, () => {
      const { live, problems } = run([p, ...others, policy("a/r", mine)])("a/r");
      assert.equal(live, "current");
      assert.deepEqual(problems, said === null ? [] : [`warning ModelsOverlap: match.models has ${said}`]);
    });

  it("does not reveal another namespace's policy", () => {
    const shared = policy("a/r", ["gpt-*"], { allowedNamespaces: { from: "All" } });
    const { problems, full } = run([p, provider("b/p", "gpt-4o"), policy("b/hidden", ["gpt-4o"]), shared])("a/r");
    assert.match(problems[0] ?? "", /gpt-4o of a RoutingPolicy of namespace b;/);
    assert.match(full[0] ?? "", /gpt-4o of RoutingPolicy b\/hidden;/);
  });

  it("counts as served for a key that names a model", () => {
    const key = (id: string, model: string): WorldObject =>
      object("ApiKey", id, { user: "u", writeTo: { name: "s" }, models: [model] });
    const of = run([p, policy("a/r", ["gpt-*"]), key("a/served", "gpt-4o"), key("a/not", "o3")]);
    const served = (id: string) => of(id).problems.filter((text) => text.includes("ModelNotFound")).length === 0;
    assert.deepEqual([served("a/served"), served("a/not")], [true, false]);
  });

  it("makes a rule for a model that it matches reachable", () => {
    const rules = (model: string) => [{ when: { models: [model] }, use: ["p"] }];
    const routing = (model: string) => ({ routing: { targets: [{ provider: { name: "p" } }], rules: rules(model) } });
    assert.deepEqual(run([p, policy("a/r", ["gpt-*"], routing("gpt-4o"))])("a/r").problems, []);
    assert.match(
      run([p, policy("a/r", ["gpt-*"], routing("o3"))])("a/r").problems[0] ?? "",
      /UnreachableRule: .*match\.models has none of its models/,
    );
  });
});
