/** A tenant that may create Sluice's objects and nothing else fills what is published; another one revokes a key. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { CustomObjectsApi, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { budgetShardOf, providerShardOf, routeShardOf } from "../../proxy/config/encode.ts";
import { parseDocuments } from "../../proxy/config/parse.ts";
import {
  type Cluster,
  conditionsOf,
  skipWithoutCluster,
  startCluster,
  systemNamespace,
  untilCondition,
} from "../harness/cluster.ts";
import { keyedProvider, secretOf } from "../harness/cluster-objects.ts";
import { type OpenAiUpstream, startOpenAiUpstream } from "../harness/openai-upstream.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithoutCluster();

const object = (kind: string, namespace: string, name: string, spec: object): object => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind,
  metadata: { name, namespace },
  spec,
});

/** Names whose objects all land in one shard. */
function namesInShard(count: number, shardOf: (id: string) => number): string[] {
  const names: string[] = [];
  for (let number = 0; names.length < count; number++)
    if (shardOf(`team-b/crowd-${number}`) === 0) names.push(`crowd-${number}`);
  return names;
}

interface ListedObject {
  metadata: { name: string; namespace: string; generation: number };
  status?: {
    conditions?: { type: string; status: string; reason: string; message: string; observedGeneration: number }[];
  };
}

describe("one tenant fills what is published, and another revokes a key", { skip }, () => {
  let cluster: Cluster;
  let upstream: OpenAiUpstream;
  let folder: string;
  const keys = ["providers", "policies", "credentials", "budgets", "keys", "stuck", "alone"];
  const clearOf = (name: string): string => `slc_crowding_test_key_of_${name}`;

  const applyAll = async (objects: readonly object[]): Promise<void> => {
    const file = join(folder, "objects.json");
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    await cluster.kubectl("apply", "--server-side", "-f", file);
  };
  const list = async (plural: string): Promise<ListedObject[]> =>
    (JSON.parse(await cluster.kubectl("get", plural, "-A", "-o", "json")) as { items: ListedObject[] }).items;
  const ask = async (url: string, name: string): Promise<number> => {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${clearOf(name)}` },
      body: JSON.stringify({ model: "small", messages: [{ role: "user", content: "ping" }] }),
    });
    await answer.arrayBuffer();
    return answer.status;
  };

  /** Milliseconds from the API server's answer until every proxy refuses the key. */
  const revoke = async (name: string): Promise<number> => {
    for (const { url } of cluster.proxies) assert.equal(await ask(url, name), 200);
    await cluster.admin.makeApiClient(CustomObjectsApi).patchNamespacedCustomObject(
      {
        group: "sluice.dev",
        version: "v1alpha1",
        namespace: "team-a",
        plural: "apikeys",
        name,
        body: { spec: { revoked: true } },
      },
      setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
    );
    const began = performance.now();
    await until(
      `every proxy refuses ${name}`,
      async () => {
        for (const { url } of cluster.proxies) assert.equal(await ask(url, name), 401);
      },
      60_000,
      10,
    );
    return performance.now() - began;
  };

  /** `kind/namespace/name` of all that proxies find. */
  const published = async (): Promise<Set<string>> => {
    const maps = JSON.parse(await cluster.kubectl("get", "configmap", "-n", systemNamespace, "-o", "json")) as {
      items: { metadata: { name: string }; data?: Record<string, string> }[];
    };
    const files = Object.assign({}, ...maps.items.map(({ data }) => data)) as Record<string, string>;
    const parsed = parseDocuments(files);
    assert.ok(parsed.ok, parsed.ok ? "" : parsed.reason);
    const { providers, routes, budgets } = parsed.config;
    return new Set([
      ...providers.map(({ id }) => `llmproviders/${id}`),
      ...routes.map(({ id }) => `routingpolicies/${id}`),
      ...budgets.map(({ id }) => `budgets/${id}`),
    ]);
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-crowding-"));
    upstream = await startOpenAiUpstream();
    cluster = await startCluster({
      set: ["operator.resyncMs=3000"],
    });
    for (const namespace of ["team-a", "team-b"]) await cluster.namespace(namespace);
    await cluster.startOperator();
    await cluster.apply(
      [
        keyedProvider("main", upstream.baseUrl, "[{ name: small }]"),
        ...keys.map((name) => secretOf(`${name}-key`, clearOf(name))),
      ].join("---"),
    );
    await applyAll([
      object("RoutingPolicy", "team-a", "chat", {
        match: { models: ["small"] },
        routing: { targets: [{ provider: { name: "main" } }] },
      }),
      ...keys.map((name) =>
        object("ApiKey", "team-a", name, { user: `${name}@example.com`, writeTo: { name: `${name}-key` } }),
      ),
    ]);
    for (const name of keys)
      await untilCondition(cluster, "team-a", `apikey/${name}`, { type: "Programmed", status: "True" });
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const letters = (length: number, seed: number): string => `${seed}-`.padEnd(length, "x");
  const small = { type: "OpenAICompatible", endpoint: "http://llm.example.com/v1" };
  const attacks: [key: string, plural: string, make: () => object[]][] = [
    [
      "providers",
      "llmproviders",
      () =>
        namesInShard(10, providerShardOf).map((name) =>
          object("LLMProvider", "team-b", name, {
            ...small,
            models: Array.from({ length: 256 }, (_, at) => ({ name: `m${at}`, upstream: letters(510, at) })),
          }),
        ),
    ],
    [
      "policies",
      "routingpolicies",
      () => [
        object("LLMProvider", "team-b", "own", { ...small, models: [{ name: "m" }] }),
        ...namesInShard(4, routeShardOf).map((name) =>
          object("RoutingPolicy", "team-b", name, {
            match: { models: [name] },
            request: {
              prompts: Array.from({ length: 16 }, (_, at) => ({ role: "system", content: letters(32_768, at) })),
            },
            routing: { targets: [{ provider: { name: "own" }, model: "m" }] },
          }),
        ),
      ],
    ],
    [
      "credentials",
      "llmproviders",
      () =>
        Array.from({ length: 70 * 4 }, (_, at) => [
          {
            apiVersion: "v1",
            kind: "Secret",
            metadata: { name: `large-${at}`, namespace: "team-b", labels: { "sluice.dev/readable": "true" } },
            stringData: { apiKey: letters(16_000, at) },
          },
          object("LLMProvider", "team-b", `credential-${at}`, {
            ...small,
            credentials: { secretRef: { name: `large-${at}`, key: "apiKey" } },
            models: [{ name: "m" }],
          }),
        ]).flat(),
    ],
    [
      "budgets",
      "budgets",
      () =>
        namesInShard(40, budgetShardOf).map((name) =>
          object("Budget", "team-b", name, {
            amount: "1",
            period: "Daily",
            scope: { users: Array.from({ length: 256 }, (_, at) => letters(120, at)) },
          }),
        ),
    ],
  ];
  for (const [key, plural, make] of attacks) {
    it(`${key}: the key is refused at once, what is too much is refused in words, and nothing lies`, async (test) => {
      await applyAll(make());
      const tookMs = await revoke(key);
      test.diagnostic(`${key}: revoked on every proxy after ${Math.round(tookMs)} ms`);
      await until("statuses tell what is published", async () => {
        const [all, objects] = [await published(), await list(plural)];
        for (const { metadata, status } of objects) {
          const id = `${metadata.namespace}/${metadata.name}`;
          const conditions = status?.conditions ?? [];
          const programmed = conditions.find(({ type }) => type === "Programmed");
          const accepted = conditions.find(({ type }) => type === "Accepted");
          assert.ok(programmed && accepted, `${id} has a status`);
          const there = all.has(`${plural}/${id}`);
          assert.equal(programmed.status, there ? "True" : "False", `${id}: ${programmed.message}`);
          assert.equal(accepted.status, there ? "True" : "False", `${id}: ${accepted.message}`);
          if (!there)
            assert.match(accepted.message, /it takes [\d,]+ bytes, .* of the [\d,]+ bytes that namespace team-b has/);
        }
        const refused = objects.filter(({ metadata }) => !all.has(`${plural}/${metadata.namespace}/${metadata.name}`));
        assert.ok(refused.length > 0 && refused.length < objects.length, `${refused.length} of ${objects.length}`);
        assert.ok(refused.every(({ metadata }) => metadata.namespace === "team-b"));
      });
      for (const name of ["llmprovider/main", "routingpolicy/chat"]) {
        const { Programmed } = await conditionsOf(cluster, "team-a", name);
        assert.equal(Programmed?.status, "True", `${name}: ${Programmed?.message}`);
      }
    });
  }

  it("an object that was refused is served once it fits", async () => {
    const names = namesInShard(10, providerShardOf);
    const served = async (): Promise<string[]> => {
      const all = await published();
      return names.filter((name) => all.has(`llmproviders/team-b/${name}`));
    };
    const before = await served();
    await cluster.kubectl("delete", "llmprovider", before[0] ?? "", "-n", "team-b");
    await until("another one of them is served", async () => {
      const now = await served();
      assert.deepEqual([now.length, now.includes(before[0] ?? "")], [before.length, false]);
    });
  });

  it("a revocation overtakes a pass that makes a thousand keys", async (test) => {
    const count = 1_000;
    const published = async (): Promise<string> =>
      cluster.kubectl("get", "configmap", "-n", systemNamespace, "-o", "jsonpath={.items[*].data}");
    await applyAll(
      Array.from({ length: count }, (_, index) =>
        object("ApiKey", "team-b", `many-${index}`, { user: "bob@example.com", writeTo: { name: `many-${index}` } }),
      ),
    );
    const tookMs = await revoke("keys");
    const publishedKeys = async (): Promise<number> => {
      const all = await published();
      const ids = Array.from({ length: count }, (_, index) => `"id\\":\\"team-b/many-${index}\\"`);
      return ids.filter((id) => all.includes(id)).length;
    };
    const done = await publishedKeys();
    test.diagnostic(`keys: revoked on every proxy after ${Math.round(tookMs)} ms, with ${done} keys published`);
    // The tests that follow measure from an operator that has nothing else to do.
    await until("all keys are published", async () => assert.equal(await publishedKeys(), count), 300_000);
    const live = { type: "Programmed", status: "True" } as const;
    for (const last of [0, count - 1]) await untilCondition(cluster, "team-b", `apikey/many-${last}`, live, 300_000);
  });

  const deny = (name: string, rule: string): string => `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: ${name} }
spec:
  matchConstraints:
    resourceRules: [{ apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps, secrets] }]
  validations: [{ expression: "${rule}", message: not here }]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: ${name} }
spec: { policyName: ${name}, validationActions: [Deny] }
`;

  /** An admission policy takes a moment to be in force. */
  const untilDenied = (name: string): Promise<unknown> =>
    until(`${name} can't be written`, async () => {
      const patch = ["--type=merge", "-p", '{"metadata":{"labels":{"a":"b"}}}'];
      const { stderr } = await cluster.tryKubectl("patch", name, "-n", systemNamespace, ...patch);
      assert.match(stderr, /not here/);
    });

  it("where nothing but keys can be published, a revocation is, and what isn't says so", async (test) => {
    await cluster.apply(deny("no-routes", "!object.metadata.name.startsWith('sluice-routes-')"));
    const shards = await cluster.kubectl("get", "configmap", "-n", systemNamespace, "-o", "name");
    const [shard = ""] = shards.split("\n").filter((name) => name.includes("sluice-routes-"));
    await untilDenied(shard);
    const late = (name: string): object =>
      object("RoutingPolicy", "team-b", name, {
        match: { models: [name] },
        routing: { targets: [{ provider: { name: "own" }, model: "m" }] },
      });
    await until("routes can't be written", async () => {
      await applyAll([late("late")]);
      const { Programmed } = await conditionsOf(cluster, "team-b", "routingpolicy/late");
      assert.equal(Programmed?.reason, "NotPublished");
    });
    const tookMs = await revoke("stuck");
    test.diagnostic(`stuck: revoked on every proxy after ${Math.round(tookMs)} ms`);
    await untilCondition(cluster, "team-a", "apikey/stuck", { type: "Programmed", status: "True" });
    const { Programmed } = await conditionsOf(cluster, "team-b", "routingpolicy/late");
    assert.equal(Programmed?.status, "False");
    await cluster.kubectl("delete", "validatingadmissionpolicybinding", "no-routes");
    await untilCondition(cluster, "team-b", "routingpolicy/late", { type: "Programmed", status: "True" });
  });

  it("where nothing at all can be published but revocations, a revocation is", async (test) => {
    const system = `object.metadata.namespace != '${systemNamespace}'`;
    await cluster.apply(deny("no-config", `${system} || object.metadata.name == 'sluice-revocations'`));
    await untilDenied("configmap/sluice-config");
    const revisions = (): Promise<(string | null)[]> =>
      Promise.all(cluster.proxies.map(async (proxy) => (await proxy.status()).revision));
    const before = await revisions();
    const tookMs = await revoke("alone");
    test.diagnostic(`alone: revoked on every proxy after ${Math.round(tookMs)} ms`);
    assert.deepEqual(await revisions(), before, "no other config was published");
    for (const proxy of cluster.proxies) await proxy.restart();
    for (const { url } of cluster.proxies) assert.equal(await ask(url, "alone"), 401, "a new process refuses it, too");
    await cluster.kubectl("delete", "validatingadmissionpolicybinding", "no-config");
    await untilCondition(cluster, "team-a", "apikey/alone", { type: "Programmed", status: "True" });
    await until("what the config says is not said twice", async () => {
      const document = await cluster.kubectl(
        "get",
        "configmap",
        "sluice-revocations",
        "-n",
        systemNamespace,
        "-o",
        "jsonpath={.data}",
      );
      assert.match(document, /digests\\":\[\]/);
    });
  });
});
