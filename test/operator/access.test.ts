import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Kind } from "../../crds/kinds.ts";
import { type Compiled, compile } from "../../operator/compile/compile.ts";
import type { CompileSettings, WorldObject } from "../../operator/compile/world.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { builtinRoles } from "../../proxy/config/roles.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";

function object(kind: Kind, name: string, spec: unknown): WorldObject {
  return {
    kind,
    meta: { name, namespace: "a", uid: name, generation: 1, createdAtMs: 1, labels: {} },
    spec,
    status: {},
  };
}

const provider = (name: string, region?: string): WorldObject =>
  object("LLMProvider", name, {
    type: "OpenAICompatible",
    endpoint: "https://llm.example.com/v1",
    models: [{ name: "m" }],
    ...(region ? { region } : {}),
  });
const policy = (access: object, more: object = {}): WorldObject =>
  object("RoutingPolicy", "r", {
    match: { models: ["m"] },
    access,
    routing: { targets: [{ provider: { name: "eu" } }, { provider: { name: "us" } }] },
    ...more,
  });

const providers = [provider("eu", "eu-west-1"), provider("us", "us-east-1")];

function run(
  objects: WorldObject[],
  previous: RenderedConfig | null = null,
  more: Partial<CompileSettings> = {},
): Compiled {
  const settings: CompileSettings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [], ...more };
  return compile(
    { world: { objects, namespaces: { a: {} }, secrets: {} }, settings, previous, nowMs: 0 },
    capabilitiesByType,
  );
}

const found = (compiled: Compiled) => {
  const verdict = compiled.verdicts.find((verdict) => verdict.kind === "RoutingPolicy");
  assert.ok(verdict);
  return {
    live: verdict.live,
    problems: verdict.accepted.map((one) => `${one.severity} ${one.reason} ${one.path.join(".")}: ${one.message}`),
  };
};

describe("rules of access, compiled", () => {
  const rows: [what: string, access: object, live: string, problem: RegExp | null][] = [
    ["networks", { networks: ["10.0.0.0/8", "2001:db8::/32"] }, "current", null],
    [
      "a prefix that is too long",
      { networks: ["10.0.0.0/8", "10.0.0.0/33"] },
      "none",
      /^error Invalid spec\.access\.networks\.1: .*four numbers from 0 to 255, and after a \/ at most 32/,
    ],
    [
      "an address that can't be",
      { networks: ["10.0.0.999"] },
      "none",
      /^error Invalid spec\.access\.networks\.0: .*four numbers from 0 to 255/,
    ],
    ["an address with a zero in front", { networks: ["010.0.0.1"] }, "none", /four numbers from 0 to 255/],
    ["an IPv6 address that is too short", { networks: ["2001:db8:1/48"] }, "none", /is not a network/],
    [
      "bits behind the prefix",
      { networks: ["10.1.2.3/8"] },
      "current",
      /^warning Invalid .*10\.1\.2\.3\/8 covers all of 10\.0\.0\.0\/8/,
    ],
    [
      "a time zone that isn't",
      { hours: { from: "08:00", to: "18:00", timeZone: "Europe/Bärlin" } },
      "none",
      /spec\.access\.hours\.timeZone/,
    ],
    [
      "a time zone that nobody knows",
      { hours: { from: "08:00", to: "18:00", timeZone: "Europe/Nowhere" } },
      "none",
      /Europe\/Nowhere is not an IANA time zone/,
    ],
    [
      "a target outside",
      { residency: { regions: ["eu-west-1"] } },
      "current",
      /^warning NotResident .*target us is never used: .*us-east-1/,
    ],
    [
      "no target inside",
      { residency: { regions: ["ap-northeast-1"] } },
      "none",
      /^error NotResident .*allows ap-northeast-1 only/,
    ],
  ];
  for (const [what, access, live, problem] of rows) {
    it(`${what}: ${live}${problem === null ? "" : `, ${problem.source}`}`, () => {
      const verdict = found(run([...providers, policy(access)]));
      assert.equal(verdict.live, live);
      if (problem === null) assert.deepEqual(verdict.problems, []);
      else assert.match(verdict.problems[0] ?? "", problem);
    });
  }

  it("a provider that does not say where it is can't meet residency", () => {
    const verdict = found(run([provider("eu"), provider("us"), policy({ residency: { regions: ["eu-west-1"] } })]));
    assert.match(verdict.problems.join("\n"), /LLMProvider a\/eu does not say in spec\.region/);
    assert.equal(verdict.live, "none");
  });

  it("warns of countries that can't be determined, and says nothing if the installation is unknown", () => {
    const access = { countries: { allow: ["DE"] } };
    assert.match(
      found(run([...providers, policy(access)], null, { knowsCountries: false })).problems.join(),
      /warning Unsupported .*every call will be refused/,
    );
    assert.deepEqual(found(run([...providers, policy(access)], null, { knowsCountries: true })).problems, []);
    assert.deepEqual(found(run([...providers, policy(access)])).problems, []);
  });

  it("warns of a client token's origins whose pages can't read answers", () => {
    const origins = ["https://chat.example.com:443", "https://other.example.com"];
    const key = object("ApiKey", "k", { user: "u", writeTo: { name: "k" }, clientTokens: { origins } });
    const warnings = (more: Partial<CompileSettings>): string[] =>
      run([key], null, more).verdicts.flatMap(({ accepted }) =>
        accepted.map((one) => `${one.severity} ${one.reason} ${one.path.join(".")}`),
      );
    const proxy = { maxBodyBytes: 1_000_000, cors: { allowedOrigins: ["https://chat.example.com"] } };
    assert.deepEqual(warnings({ proxy, knowsRoles: true }), ["warning OriginNotAllowed spec.clientTokens.origins.1"]);
    assert.deepEqual(warnings({ proxy }), []);
  });

  it("warns of roles that nobody has, and says nothing if the installation is unknown", () => {
    const objects = [...providers, policy({ roles: ["developer", "enginer"] })];
    const proxy = { maxBodyBytes: 1_000_000, roles: { ...builtinRoles, engineer: builtinRoles.developer } };
    const said = found(run(objects, null, { proxy, knowsRoles: true } as Partial<CompileSettings>));
    assert.deepEqual(said, {
      live: "current",
      problems: [
        "warning RoleNotFound spec.access.roles.1: this installation has no role enginer, so this entry lets nobody in; did you mean engineer?",
      ],
    });
    assert.deepEqual(found(run(objects)).problems, []);
  });

  it("hours come as minutes and days as numbers", () => {
    const compiled = run([
      ...providers,
      policy({ hours: { from: "22:30", to: "24:00", timeZone: "Asia/Tokyo", days: ["Fri", "Sun"] } }),
    ]);
    assert.deepEqual(compiled.config.routes[0]?.access.hours, {
      fromMinute: 1350,
      toMinute: 1440,
      timeZone: "Asia/Tokyo",
      days: [0, 5],
    });
  });

  describe("and a mistake elsewhere", () => {
    const before = run([...providers, policy({})]).config;

    it("does not delay what is closed now", () => {
      const broken = policy(
        { networks: ["10.0.0.0/8"], residency: { regions: ["eu-west-1"] } },
        { routing: { targets: [{ provider: { name: "gone" } }] } },
      );
      const compiled = run([...providers, broken], before);
      assert.equal(found(compiled).live, "lastGood");
      const [route] = compiled.config.routes;
      assert.deepEqual(route?.access.networks, ["10.0.0.0/8"]);
      assert.deepEqual(
        route?.routing.targets.map((target) => target.provider),
        ["a/eu"],
      );
    });

    it("in the rules themselves leaves those that held before", () => {
      const closed = run([...providers, policy({ networks: ["10.0.0.0/8"] })]).config;
      const compiled = run([...providers, policy({ networks: ["10.0.0.0/99"] })], closed);
      assert.equal(found(compiled).live, "lastGood");
      assert.deepEqual(compiled.config.routes[0]?.access.networks, ["10.0.0.0/8"]);
    });

    it("does not open what was closed to callers without a key", () => {
      const path = { match: { models: ["m"], pathPrefix: "/chat" } };
      const closed = run([...providers, policy({}, path)]).config;
      const compiled = run(
        [
          ...providers,
          policy({ anonymous: true }, { ...path, routing: { targets: [{ provider: { name: "gone" } }] } }),
        ],
        closed,
      );
      assert.equal(compiled.config.routes[0]?.access.anonymous, false);
    });
  });
});

describe("providers at private addresses", () => {
  const inside = object("LLMProvider", "eu", {
    type: "OpenAICompatible",
    endpoint: "http://10.0.0.7:8000/v1",
    allowPrivateEndpoint: true,
    models: [{ name: "m" }],
  });
  const of = (compiled: Compiled) => compiled.verdicts.find((verdict) => verdict.kind === "LLMProvider");

  it("are for the namespaces that the installation names", () => {
    for (const permitted of [["*"], ["a"], ["b", "a"]]) {
      const compiled = run([inside], null, { privateEndpointNamespaces: permitted });
      assert.equal(of(compiled)?.live, "current");
    }
    const refused = run([inside], null, { privateEndpointNamespaces: ["b"] });
    assert.deepEqual([of(refused)?.live, of(refused)?.accepted[0]?.reason], ["none", "PrivateEndpointNotPermitted"]);
    assert.match(of(refused)?.accepted[0]?.message ?? "", /namespace a .* operator\.privateEndpointNamespaces/);
  });

  it("go at once when that is taken back, last good forms included", () => {
    const before = run([inside], null, { privateEndpointNamespaces: ["a"] }).config;
    const after = run([inside], before, { privateEndpointNamespaces: [] });
    assert.deepEqual([of(after)?.live, after.config.providers], ["none", []]);
    assert.equal(of(run([...providers], before, { privateEndpointNamespaces: [] }))?.live, "current");
  });
});
