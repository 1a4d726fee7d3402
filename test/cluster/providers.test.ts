/** What the operator learns of providers in a running cluster: Pods of pools, models that they list, headers from Secrets. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, skipWithoutCluster, startCluster, untilCondition } from "../harness/cluster.ts";
import { alice, secretOf } from "../harness/cluster-objects.ts";
import { until } from "../harness/until.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const skip = await skipWithoutCluster();
const clear = "slc_providers_alice_00001";

const pool = `
apiVersion: sluice.dev/v1alpha1
kind: LLMProvider
metadata: { name: gpus, namespace: team-a }
spec:
  type: OpenAICompatible
  endpoint: http://vllm.team-a.svc:8000/v1
  allowPrivateEndpoint: true
  pool: { service: { name: vllm }, strategy: Prefix }
  models: [{ name: llama, price: { inputPerMillion: "1", outputPerMillion: "1" } }]
`;
const slice = (ready: boolean): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: vllm-abcde
  namespace: team-a
  labels: { kubernetes.io/service-name: vllm }
addressType: IPv4
ports: [{ name: http, port: 8000, protocol: TCP }]
endpoints:
  - { addresses: [10.1.2.3], conditions: { ready: ${ready} } }
  - { addresses: [10.1.2.4], conditions: { ready: ${ready} } }
`;
/** The fields of the Gateway API Inference Extension's CRD that are read. */
const inferencePools = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: inferencepools.inference.networking.k8s.io
  annotations: { api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/gateway-api-inference-extension/pull/1173" }
spec:
  group: inference.networking.k8s.io
  names: { kind: InferencePool, plural: inferencepools, singular: inferencepool, listKind: InferencePoolList }
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, properties: { spec: { type: object, x-kubernetes-preserve-unknown-fields: true } } } }
`;
const picked = `
apiVersion: sluice.dev/v1alpha1
kind: LLMProvider
metadata: { name: picked, namespace: team-a }
spec:
  type: OpenAICompatible
  endpoint: http://vllm.team-a.svc:8000/v1
  allowPrivateEndpoint: true
  pool: { inferencePool: { name: llama } }
  models: [{ name: llama, price: { inputPerMillion: "1", outputPerMillion: "1" } }]
`;
const llama = `
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: { name: llama, namespace: team-a }
spec:
  selector: { matchLabels: { app: llama } }
  targetPorts: [{ number: 8000 }]
  endpointPickerRef: { name: epp, port: { number: 9002 }, failureMode: FailClose }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: default, namespace: team-a }
---
apiVersion: v1
kind: Pod
metadata: { name: llama-0, namespace: team-a, labels: { app: llama } }
spec: { containers: [{ name: vllm, image: vllm }] }
`;
const epp = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: epp-abcde, namespace: team-a, labels: { kubernetes.io/service-name: epp } }
addressType: IPv4
ports: [{ name: grpc, port: 9002, protocol: TCP }]
endpoints: [{ addresses: [10.1.9.1], conditions: { ready: true } }]
`;
const listing = (url: string): string => `
apiVersion: sluice.dev/v1alpha1
kind: LLMProvider
metadata: { name: listing, namespace: team-a }
spec:
  type: OpenAICompatible
  endpoint: ${url}/v1
  allowPrivateEndpoint: true
  discovery: { models: ["gpt-*"], interval: 1s }
  headers:
    - { name: ocp-apim-subscription-key, valueFrom: { secretKeyRef: { name: front, key: apiKey } } }
`;
const policy = `
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: all, namespace: team-a }
spec:
  match: { models: ["gpt-*"] }
  routing: { targets: [{ provider: { name: listing } }] }
`;

describe("providers in a cluster", { skip }, () => {
  let cluster: Cluster;
  let upstream: Upstream;
  let listed = ["gpt-a", "o3"];
  const status = async (path: string): Promise<string> =>
    cluster.kubectl("-n", "team-a", "get", "llmprovider", "listing", "-o", `jsonpath={${path}}`);

  before(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.method === "GET") json(response, 200, { object: "list", data: listed.map((id) => ({ id })) });
      else return openai(request, response);
    });
    cluster = await startCluster({ proxies: 1, set: ["operator.resyncMs=2000", "operator.inferencePools=true"] });
    await cluster.namespace("team-a");
    await cluster.startOperator();
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.close();
  });

  it("follow the ready Pods of a Service, and say when there are none", async () => {
    await cluster.apply(pool);
    await untilCondition(cluster, "team-a", "llmprovider/gpus", { type: "PoolReady", reason: "NoPods" });
    await cluster.apply(slice(true));
    const { message } = await untilCondition(cluster, "team-a", "llmprovider/gpus", {
      type: "PoolReady",
      status: "True",
    });
    assert.equal(message, "ready servers: 2");
    await until("the proxy has the Pods", async () => {
      const answer = (await cluster.proxies[0]?.status()) as unknown as { providers: { id: string; pods: unknown }[] };
      const pods = answer.providers.find(({ id }) => id === "team-a/gpus")?.pods as { pod: string }[] | undefined;
      assert.deepEqual(
        pods?.map((one) => one.pod),
        ["10.1.2.3:8000", "10.1.2.4:8000"],
      );
      return true;
    });
    await cluster.apply(slice(false));
    await untilCondition(cluster, "team-a", "llmprovider/gpus", { type: "PoolReady", reason: "NoPods" });
  });

  it("follow an InferencePool, its Pods and its endpoint picker, and say what is missing", async () => {
    const untilReason = (reason: string) =>
      untilCondition(cluster, "team-a", "llmprovider/picked", { type: "PoolReady", reason });
    await cluster.apply(picked);
    const { message } = await untilReason("PoolUnreadable");
    assert.match(message ?? "", /the cluster has no inference.networking.k8s.io\/v1; install the CRDs/);
    await cluster.apply(inferencePools);
    await untilReason("PoolNotFound");
    await until("the API takes InferencePools", async () => {
      await cluster.apply(llama);
      return true;
    });
    await untilReason("NoPods");
    const status = { podIP: "10.1.2.9", podIPs: [{ ip: "10.1.2.9" }], conditions: [{ type: "Ready", status: "True" }] };
    await cluster.kubectl(
      ...["-n", "team-a", "patch", "pod", "llama-0", "--subresource=status", "-p", JSON.stringify({ status })],
    );
    await untilReason("PickerNotReady");
    await cluster.apply(epp);
    await untilReason("Ready");
    await until("the proxy has the Pod and the picker", async () => {
      const answer = (await cluster.proxies[0]?.status()) as unknown as { providers: { id: string }[] };
      const found = answer.providers.find(({ id }) => id === "team-a/picked") as
        | { pods: { pod: string }[]; picker: unknown }
        | undefined;
      assert.deepEqual(
        [found?.pods.map((one) => one.pod), found?.picker],
        [["10.1.2.9:8000"], { pool: "llama", reason: null }],
      );
      return true;
    });
    await cluster.kubectl("-n", "team-a", "delete", "inferencepool", "llama");
    await untilReason("PoolNotFound");
  });

  it("take on the models that they list, asked with headers from a Secret", async () => {
    await cluster.apply(
      `${secretOf("front", "subscription-0001")}---${listing(upstream.url)}---${policy}---${alice(clear)}`,
    );
    await untilCondition(cluster, "team-a", "llmprovider/listing", { type: "ModelsDiscovered", status: "True" });
    await until("the model is served", async () => {
      const answer = await fetch(`${cluster.proxies[0]?.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-a", messages: [{ role: "user", content: "Hi" }] }),
      });
      assert.equal(answer.status, 200, await answer.text());
      return true;
    });
    assert.equal(await status(".status.models"), "1");
    listed = ["gpt-a", "gpt-b"];
    await until(
      "the status counts the new model",
      async () => assert.equal(await status(".status.models"), "2") ?? true,
    );
    for (const { headers } of upstream.requests)
      assert.equal(headers["ocp-apim-subscription-key"], "subscription-0001");
    const maps = await cluster.kubectl("get", "configmaps", "-A", "-o", "yaml");
    assert.ok(maps.includes("ocp-apim-subscription-key") && !maps.includes("subscription-0001"));
    assert.ok(!cluster.logs().includes("subscription-0001"));
  });
});
