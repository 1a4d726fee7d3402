/** A sidecar as the API server injects it, run as a process, with a gateway whose listener has TLS. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { certificateAuthority } from "../harness/certificates.ts";
import { type Child, removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { type Cluster, skipWithoutCluster, startCluster, untilCondition } from "../harness/cluster.ts";
import { keyedProvider, workloadChat } from "../harness/cluster-objects.ts";
import { freePort } from "../harness/free-port.ts";
import { type OpenAiUpstream, startOpenAiUpstream } from "../harness/openai-upstream.ts";
import { until } from "../harness/until.ts";
import { untilReady } from "../harness/until-ready.ts";

const skip = await skipWithoutCluster();
const main = join(import.meta.dirname, "../../cli/main.ts");

const objects = (baseUrl: string): string => `${keyedProvider("main", baseUrl, "[{ name: small }]")}---
${workloadChat}`;

const worker = JSON.stringify({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "worker", namespace: "team-a", annotations: { "sluice.dev/sidecar": "true" } },
  spec: {
    serviceAccountName: "worker",
    automountServiceAccountToken: false,
    containers: [{ name: "app", image: "app" }],
  },
});

interface Injected {
  spec: {
    initContainers?: [{ args: string[] }];
    volumes: { projected: { sources: { configMap?: { name: string; items: { key: string; path: string }[] } }[] } }[];
  };
}

describe("an injected sidecar and TLS on the gateway's listener", { skip }, () => {
  let folder: string;
  let cluster: Cluster;
  let upstream: OpenAiUpstream;
  let sidecar: Child | null = null;
  before(async () => {
    [folder, upstream] = await Promise.all([temporaryFolder("injected-tls"), startOpenAiUpstream()]);
    const authority = await certificateAuthority();
    const { cert, key } = await authority.issue("localhost");
    for (const [name, pem] of Object.entries({ "ca.crt": authority.cert, "tls.crt": cert, "tls.key": key }))
      await writeFile(join(folder, name), pem);
    cluster = await startCluster({
      proxies: 1,
      namespaces: ["team-a"],
      proxyArgs: [`--tls-cert=${join(folder, "tls.crt")}`, `--tls-key=${join(folder, "tls.key")}`],
      set: [
        "operator.resyncMs=2000",
        "proxy.tls.secretName=gateway-tls",
        "service.port=443",
        "sidecar.injection.enabled=true",
        "sidecar.caConfigMap.name=gateway-ca",
        "identity.issuers[0].name=cluster",
        "identity.issuers[0].kind=Kubernetes",
        "identity.issuers[0].audiences={sluice}",
        "identity.issuers[0].defaults.role=workload",
        "roles.workload.permissions={use_models}",
      ],
    });
    await cluster.startOperator();
    await cluster.apply(objects(upstream.baseUrl));
    await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Programmed", status: "True" });
  });
  after(async () => {
    await sidecar?.end("SIGTERM");
    await cluster?.stop();
    await upstream?.stop();
    removeFolder(folder);
  });

  const injected = (): Promise<Injected> =>
    until("the policy is in force", async () => {
      await cluster.apply(worker);
      const made = JSON.parse(await cluster.kubectl("get", "pod", "worker", "-n", "team-a", "-o", "json")) as Injected;
      if (made.spec.initContainers?.length === 1) return made;
      await cluster.kubectl("delete", "pod", "worker", "-n", "team-a", "--grace-period=0", "--force");
      throw new Error("the Pod has no sidecar");
    });

  it("work together: the application's calls are answered", async () => {
    const { spec } = await injected();
    const [{ args } = { args: [] }] = spec.initContainers ?? [];
    const authorities = spec.volumes.flatMap(({ projected }) =>
      projected.sources.flatMap((one) => one.configMap ?? []),
    );
    assert.deepEqual(authorities, [{ name: "gateway-ca", items: [{ key: "ca.crt", path: "ca.crt" }] }]);
    const issue = ["create", "token", "worker", "-n", "team-a", "--audience=sluice", "--duration=10m"];
    await writeFile(join(folder, "token"), (await cluster.kubectl(...issue)).trim());
    // The Service's name and the volume are the node's to provide.
    const service = "https://sluice.sluice-system";
    assert.ok(args.includes(`--fleet=${service}`), args.join(" "));
    const { port: gatewayPort } = new URL(cluster.proxies[0]?.url ?? "");
    const [port, statusPort] = [await freePort(), await freePort()];
    const own = args.map((argument) =>
      argument
        .replace(service, `https://localhost:${gatewayPort}`)
        .replace("/var/run/secrets/sluice", folder)
        .replace(/^--port=.*/, `--port=${port}`),
    );
    const added = [`--token-file=${join(folder, "token")}`, `--status-port=${statusPort}`];
    const logFile = join(folder, "sidecar.log");
    sidecar = await startChild(process.execPath, [main, ...own, ...added], { name: "sidecar", logFile });
    await untilReady(sidecar, async () => (await fetch(`http://127.0.0.1:${statusPort}/readyz`)).ok, 60_000);
    await until("a call is answered", async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer nothing", "content-type": "application/json" },
        body: JSON.stringify({ model: "small", messages: [{ role: "user", content: "ping" }] }),
      });
      assert.equal(answer.status, 200, await answer.text());
    });
  });
});
