/** `spec.pool`: which servers are published, and what the status says of a pool without any. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { podsIn, poolServices } from "../../operator/cluster/pods.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { ServicePods, WorldObject } from "../../operator/compile/world.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";

function run(
  pool: Record<string, unknown>,
  pods: ServicePods | null,
  previous: RenderedConfig | null = null,
  more = {},
) {
  const object: WorldObject = {
    kind: "LLMProvider",
    meta: { name: "p", namespace: "a", uid: "u", generation: 1, createdAtMs: 1, labels: {} },
    spec: {
      type: "OpenAICompatible",
      preset: "VLLM",
      endpoint: "http://vllm.a.svc:8000/v1",
      allowPrivateEndpoint: true,
      models: [{ name: "m" }],
      pool,
      ...more,
    },
    status: {},
  };
  const { config, verdicts } = compile(
    {
      world: { objects: [object], secrets: {}, namespaces: {}, ...(pods === null ? {} : { pods: { "a/vllm": pods } }) },
      settings: { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*" },
      previous,
      nowMs: 0,
    },
    capabilitiesByType,
  );
  const [verdict] = verdicts;
  return {
    object,
    config,
    pool: config.providers[0]?.pool,
    ready: verdict?.conditions.find(({ type }) => type === "PoolReady"),
    problems: [...(verdict?.accepted ?? []), ...(verdict?.resolvedRefs ?? [])].map(({ message }) => message),
  };
}
const service = { service: { name: "vllm" } };
const pod = (address: string, ...ports: number[]) => ({ address, ports });

describe("a pool", () => {
  it("has the ready Pods of its Service, sorted", () => {
    const { pool, ready, problems, object } = run(service, [
      pod("10.0.0.9", 8000),
      pod("fd00::1", 8000),
      pod("10.0.0.10", 8000),
    ]);
    assert.deepEqual(pool, {
      pods: ["10.0.0.10:8000", "10.0.0.9:8000", "[fd00::1]:8000"],
      strategy: "LeastLoad",
      mostInFlight: null,
    });
    assert.deepEqual([ready?.status, ready?.message, problems], ["True", "ready servers: 3", []]);
    assert.deepEqual([...poolServices([object])], ["a/vllm"]);
  });

  it("without Pods is shown in the status, and published as empty", () => {
    const { pool, ready } = run(service, []);
    assert.deepEqual(pool?.pods, []);
    assert.deepEqual([ready?.status, ready?.reason], ["False", "NoPods"]);
    assert.match(
      ready?.message ?? "",
      /no server is ready, so calls go to the policy's next target; check that the Service/,
    );
  });

  it("has what is published until EndpointSlices are read, else its endpoint alone", () => {
    assert.equal(run(service, null).pool, undefined);
    const { config } = run(service, [pod("10.0.0.1", 8000)]);
    assert.deepEqual(run(service, null, config).pool?.pods, ["10.0.0.1:8000"]);
  });

  it("of a Service with several ports needs one of them", () => {
    const pods = [pod("10.0.0.1", 8000, 9090), pod("10.0.0.2", 8000, 9090)];
    assert.match(
      run(service, pods).problems.join(),
      /Service vllm has Pods with the ports 8000, 9090; set spec.pool.service.port/,
    );
    assert.deepEqual(run({ service: { name: "vllm", port: 9090 } }, pods).pool?.pods, [
      "10.0.0.1:9090",
      "10.0.0.2:9090",
    ]);
  });

  it("may be addresses outside the cluster, with a strategy and a limit", () => {
    const { pool } = run({ addresses: ["gpu-2:8000", "10.1.0.1:8000"], strategy: "Prefix", maxInFlight: 16 }, null);
    assert.deepEqual(pool, { pods: ["10.1.0.1:8000", "gpu-2:8000"], strategy: "Prefix", mostInFlight: 16 });
  });

  for (const [what, pool, more, said] of [
    ["neither of the two", {}, {}, /set exactly one of service and addresses/],
    ["both of the two", { ...service, addresses: ["a:1"] }, {}, /set exactly one of service and addresses/],
    ["a scheme", { addresses: ["http://10.0.0.1:8000"] }, {}, /must be without a scheme, such as 10.0.0.7:8000/],
    [
      "public addresses only",
      service,
      { allowPrivateEndpoint: false },
      /spec.pool needs an endpoint and allowPrivateEndpoint: true/,
    ],
  ] as const)
    it(`is refused with ${what}`, () => {
      const { problems, pool: published } = run(pool, [], null, more);
      assert.match(problems.join("\n"), said);
      assert.equal(published, undefined);
    });
});

describe("EndpointSlices", () => {
  it("give the addresses of ready Pods, one for each", () => {
    const slice = (endpoints: object[], more = {}) =>
      ({ addressType: "IPv4", endpoints, ports: [{ port: 8000 }], ...more }) as Parameters<typeof podsIn>[0][number];
    const pods = podsIn([
      slice([
        { addresses: ["10.0.0.1"], conditions: { ready: true } },
        { addresses: ["10.0.0.2"], conditions: { ready: false } },
        { addresses: ["10.0.0.3"], conditions: {} },
      ]),
      slice([{ addresses: ["vllm.example.com"] }], { addressType: "FQDN" }),
      slice([{ addresses: ["fd00::1"] }], {
        addressType: "IPv6",
        ports: [{ name: "http", port: 8000 }, { name: "odd" }],
      }),
    ]);
    assert.deepEqual(pods, [pod("10.0.0.1", 8000), pod("10.0.0.3", 8000), pod("fd00::1", 8000)]);
  });
});
