import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { startSidecar } from "../../proxy/sidecar/main.ts";
import { parseSidecarSettings } from "../../proxy/sidecar/settings.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { type Cluster, skipWithoutCluster, startCluster, untilCondition } from "../harness/cluster.ts";
import { keyedProvider, workloadChat } from "../harness/cluster-objects.ts";
import { type OpenAiUpstream, startOpenAiUpstream } from "../harness/openai-upstream.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithoutCluster();

describe("workloads by their ServiceAccount", { skip }, () => {
  let cluster: Cluster;
  let upstream: OpenAiUpstream;

  before(async () => {
    upstream = await startOpenAiUpstream();
    cluster = await startCluster({
      proxies: 1,
      namespaces: ["team-a", "team-b"],
      set: [
        "operator.resyncMs=2000",
        "identity.issuers[0].name=cluster",
        "identity.issuers[0].kind=Kubernetes",
        "identity.issuers[0].audiences={sluice}",
        "identity.issuers[0].defaults.role=workload",
        "roles.workload.permissions={use_models}",
      ],
    });
    await cluster.startOperator();
    await cluster.apply(`${keyedProvider("main", upstream.baseUrl, "[{ name: small }]")}---
${workloadChat}---
apiVersion: v1
kind: ServiceAccount
metadata: { name: worker, namespace: team-b }
`);
    await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Programmed", status: "True" });
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.stop();
  });

  const token = async (namespace: string, audience: string): Promise<string> =>
    (
      await cluster.kubectl("create", "token", "worker", "-n", namespace, `--audience=${audience}`, "--duration=10m")
    ).trim();
  const call = async (bearer: string, url = cluster.proxies[0]?.url): Promise<string> => {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "small", messages: [{ role: "user", content: "ping" }] }),
    });
    const body = (await answer.json()) as { error?: { code: string } };
    return `${answer.status} ${body.error?.code ?? "ok"}`;
  };

  it("call with a projected token of their own, and nothing else", async () => {
    const mine = await token("team-a", "sluice");
    await until("the token is taken", async () => assert.equal(await call(mine), "200 ok"));
  });

  it("of another namespace don't see the policy", async () =>
    assert.equal(await call(await token("team-b", "sluice")), "404 model_not_found"));

  it("through a sidecar need no credential at all", async () => {
    const folder = await temporaryFolder("sidecar");
    await writeFile(join(folder, "token"), await token("team-a", "sluice"));
    const flags = [
      "--fleet",
      cluster.proxies[0]?.url ?? "",
      "--token-file",
      join(folder, "token"),
      "--port",
      "0",
      "--status-port",
      "0",
    ];
    const sidecar = await startSidecar(parseSidecarSettings(flags, {}), pino({ level: "silent" }));
    try {
      assert.equal(await call("nothing", sidecar.url), "200 ok");
    } finally {
      await sidecar.close();
      removeFolder(folder);
    }
  });

  it("with a token for the API server are refused, so that a stolen one is no use here", async () => {
    assert.equal(await call(await token("team-a", "https://kubernetes.default.svc")), "401 invalid_token");
  });
});
