/** `spec.pool`: which servers are published, and what the status says of a pool without any. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { namedPools, poolFact } from "../../operator/cluster/inference-pools.ts";
import { podsIn, poolServices } from "../../operator/cluster/pods.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { InferencePoolFact, ServicePods, World, WorldObject } from "../../operator/compile/world.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";

function run(
  pool: Record<string, unknown>,
  pods: ServicePods | null,
  previous: RenderedConfig | null = null,
  more = {},
  world: Partial<World> = {},
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
      world: {
        objects: [object],
        secrets: {},
        namespaces: {},
        ...(pods === null ? {} : { pods: { "a/vllm": pods } }),
        ...world,
      },
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
      /no server is ready, so calls go to the policy's next target; check that the Service or InferencePool/,
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
    ["neither of the two", {}, {}, /set exactly one of service, addresses and inferencePool/],
    [
      "both of the two",
      { ...service, addresses: ["a:1"] },
      {},
      /set exactly one of service, addresses and inferencePool/,
    ],
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

describe("a pool that is an InferencePool", () => {
  const named = { inferencePool: { name: "llama" } };
  const known = (more: Partial<Extract<InferencePoolFact, { kind: "Pool" }>> = {}): InferencePoolFact => ({
    ...{ kind: "Pool", ports: [8000], picker: { service: "epp", port: 9002 }, failOpen: false },
    addresses: ["10.0.0.2", "10.0.0.1"],
    ...more,
  });
  const epp = (...pods: ServicePods[number][]) => ({ "a/epp": pods });
  const inWorld = (
    fact: InferencePoolFact | null,
    pods: World["pods"] = epp(pod("10.0.1.1", 9002, 9090)),
    previous: RenderedConfig | null = null,
    pool: object = named,
  ) =>
    run(
      pool as Record<string, unknown>,
      null,
      previous,
      {},
      { pods, inferencePools: fact === null ? {} : { "a/llama": fact } },
    );

  it("has the ready Pods that it selects, and its endpoint picker", () => {
    const { pool, ready, problems, object } = inWorld(known());
    assert.deepEqual(pool, {
      strategy: "LeastLoad",
      mostInFlight: null,
      pods: ["10.0.0.1:8000", "10.0.0.2:8000"],
      picker: {
        pool: "llama",
        addresses: ["10.0.1.1:9002"],
        tls: { ca: null, serverName: "epp.a.svc" },
        timeoutMs: 10_000,
        failOpen: false,
      },
    });
    assert.deepEqual(problems, []);
    assert.equal(ready?.message, "ready servers: 2, chosen by the endpoint picker of InferencePool llama");
    assert.deepEqual([...namedPools([object])], ["a/llama"]);
  });

  it("may have several ports, plaintext, and a longer time limit", () => {
    const pool = { inferencePool: { name: "llama", picker: { timeout: "30s", plaintext: true } } };
    const made = inWorld(known({ ports: [8000, 8001], failOpen: true }), undefined, null, pool).pool;
    assert.deepEqual(made?.pods, ["10.0.0.1:8000", "10.0.0.1:8001", "10.0.0.2:8000", "10.0.0.2:8001"]);
    assert.deepEqual([made?.picker?.tls, made?.picker?.timeoutMs, made?.picker?.failOpen], [null, 30_000, true]);
  });

  it("without an endpoint picker is one whose calls the proxies distribute", () => {
    const { pool, ready } = inWorld(known({ picker: poolFact({ spec: {} }, null).picker }));
    assert.deepEqual(pool, { strategy: "LeastLoad", mostInFlight: null, pods: ["10.0.0.1:8000", "10.0.0.2:8000"] });
    assert.equal(ready?.message, "ready servers: 2");
  });

  it("keeps what is published until it is read, else its endpoint alone", () => {
    assert.equal(inWorld(null).pool, undefined);
    const { config, pool } = inWorld(known());
    assert.deepEqual(inWorld(null, {}, config).pool, pool);
    assert.deepEqual(inWorld(known({ addresses: null }), {}, config).pool, pool);
    assert.deepEqual(inWorld({ kind: "Unreadable", why: "no right" }, {}, config).pool, pool);
    assert.deepEqual(inWorld({ kind: "Absent" }, {}, config).pool?.pods, []);
  });

  for (const [what, fact, pods, reason, said] of [
    [
      "does not exist",
      { kind: "Absent" },
      undefined,
      "PoolNotFound",
      /InferencePool llama is not in namespace a; create it; until then/,
    ],
    [
      "can't be read",
      { kind: "Unreadable", why: "the cluster has no API" },
      undefined,
      "PoolUnreadable",
      /can't be read: the cluster has no API/,
    ],
    [
      "selects nothing",
      known({ addresses: [] }),
      undefined,
      "NoPods",
      /check that Pods that match the selector of InferencePool llama are ready/,
    ],
    [
      "has no picker",
      known(),
      epp(),
      "PickerNotReady",
      /no endpoint picker of InferencePool llama is ready, and its failureMode is FailClose/,
    ],
  ] as const)
    it(`that ${what} is not ready, with the reason`, () => {
      const { ready, problems } = inWorld(fact, pods);
      assert.deepEqual([ready?.status, ready?.reason, problems], ["False", reason, []]);
      assert.match(ready?.message ?? "", said);
    });

  it("without a picker is ready where its failureMode is FailOpen", () => {
    const { ready } = inWorld(known({ failOpen: true }), epp());
    assert.equal(
      ready?.message,
      "ready servers: 2, chosen by the proxies, as no endpoint picker of InferencePool llama is ready",
    );
  });

  for (const [what, fact, pods, pool, said] of [
    [
      "a picker that is no Service",
      known({ picker: "NoService" }),
      undefined,
      named,
      /endpointPickerRef that is not a Service/,
    ],
    [
      "a picker at none of the ports",
      known(),
      epp(pod("10.0.1.1", 80, 90)),
      named,
      /ports 80, 90, and none is the port 9002/,
    ],
    [
      "authorities that can't be read",
      known(),
      undefined,
      { inferencePool: { name: "llama", picker: { caBundle: "-----BEGIN CERTIFICATE-----\nx" } } },
      /spec.pool.inferencePool.picker.caBundle /,
    ],
  ] as const)
    it(`is refused with ${what}`, () => assert.match(inWorld(fact, pods, null, pool).problems.join(), said));

  it("is read from the API's object, with its defaults", () => {
    const spec = { selector: { matchLabels: { app: "vllm" } }, targetPorts: [{ number: 8000 }] };
    const ready = (podIP: string, status: string, more = {}) => ({
      metadata: more,
      status: { podIP, conditions: [{ type: "Ready", status }] },
    });
    const pods = [
      ready("10.0.0.1", "True"),
      ready("10.0.0.2", "False"),
      ready("10.0.0.3", "True", { deletionTimestamp: new Date(0) }),
      {},
    ];
    assert.deepEqual(poolFact({ spec: { ...spec, endpointPickerRef: { name: "epp" } } }, pods), {
      ...{ kind: "Pool", ports: [8000], picker: { service: "epp", port: 9002 }, failOpen: false },
      addresses: ["10.0.0.1"],
    });
    const other = { kind: "Model", group: "x.example.com", name: "epp", failureMode: "FailOpen" };
    const fact = poolFact({ spec: { ...spec, endpointPickerRef: other } }, null);
    assert.deepEqual([fact.picker, fact.failOpen, fact.addresses], ["NoService", true, null]);
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
