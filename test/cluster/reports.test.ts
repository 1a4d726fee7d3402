/** `sluice cost-report` through a real API server, with no more rights than the chart's Role for it gives. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { after, before, describe, it } from "node:test";
import { CoreV1Api, DiscoveryV1Api } from "@kubernetes/client-node";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { type Cluster, skipWithoutCluster, startCluster, systemNamespace } from "../harness/cluster.ts";
import { ledgerRow } from "../harness/ledger-row.ts";
import { sluice } from "../harness/sluice.ts";
import { until } from "../harness/until.ts";

/** The API server proxies to no loopback address. */
const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === "IPv4" && !one.internal)?.address;
const skip = address === undefined ? "this machine has no address but loopback" : await skipWithoutCluster();

const row = (user: string, costNanoUsd: number): LedgerRow =>
  ledgerRow({
    ...{ hourMs: Date.parse("2027-02-01T00:00:00Z"), namespace: "team-a", user, key: "team-a/k" },
    ...{ route: "team-a/chat", model: "gpt-4o", provider: "team-a/up", costNanoUsd },
  });

describe("reports through the API server", { skip }, () => {
  let cluster: Cluster;
  let kubeconfig = "";
  const servers: Server[] = [];
  const asked: string[] = [];

  /** A Pod whose status port is a server of this process. */
  async function pod(name: string, usage: object): Promise<void> {
    const server = createServer((request, response) => {
      asked.push(`${name} ${request.url}`);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(usage));
    });
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    servers.push(server);
    const { port } = server.address() as AddressInfo;
    const [core, discovery] = [cluster.admin.makeApiClient(CoreV1Api), cluster.admin.makeApiClient(DiscoveryV1Api)];
    const namespace = systemNamespace;
    const securityContext = {
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    };
    await core.createNamespacedPod({
      namespace,
      body: {
        metadata: { name },
        spec: {
          serviceAccountName: "finance",
          automountServiceAccountToken: false,
          containers: [{ name: "proxy", image: "none", securityContext }],
        },
      },
    });
    const body = [
      { op: "add", path: "/status/podIP", value: address },
      { op: "add", path: "/status/podIPs", value: [{ ip: address }] },
    ];
    await core.patchNamespacedPodStatus({ namespace, name, body });
    await discovery.createNamespacedEndpointSlice({
      namespace,
      body: {
        metadata: {
          name: `${name}-status`,
          labels: {
            "kubernetes.io/service-name": "sluice-proxy-status",
            "app.kubernetes.io/component": "proxy-status",
          },
        },
        addressType: "IPv4",
        endpoints: [
          { addresses: [address ?? ""], conditions: { ready: true }, targetRef: { kind: "Pod", name, namespace } },
        ],
        ports: [{ name: "status", port }],
      },
    });
  }

  const here = (...args: string[]) => sluice(...args, "--kubeconfig", kubeconfig);
  const report = () =>
    here(
      "cost-report",
      "--from",
      "2027-02-01T00:00:00Z",
      "--to",
      "2027-02-02T00:00:00Z",
      "--group-by",
      "user",
      "-o",
      "csv",
    );

  before(async () => {
    cluster = await startCluster({ proxies: 0 });
    await cluster.kubectl("create", "serviceaccount", "finance", "-n", systemNamespace);
    await until(
      "the account is there",
      async () => void (kubeconfig = await cluster.apiServer.kubeconfigFor(systemNamespace, "finance")),
    );
  });
  after(async () => {
    await cluster?.stop();
    for (const server of servers) server.close();
  });

  it("are refused without the rights, in the API server's words", async () => {
    const { code, stderr } = await report();
    assert.equal(code, 1);
    assert.match(stderr, /endpointslices.* is forbidden: User .*finance.* cannot list/);
  });

  it("say so where no proxy is ready", async () => {
    await cluster.kubectl(
      "create",
      "rolebinding",
      "finance",
      "-n",
      systemNamespace,
      "--role=sluice-reports",
      `--serviceaccount=${systemNamespace}:finance`,
    );
    const { code, stderr } = await report();
    assert.deepEqual(
      [code, stderr],
      [1, "sluice: namespace sluice-system has no ready proxy; is Sluice installed there?\n"],
    );
  });

  it("add up what proxies tell that share no store, and name the one that does not answer", async () => {
    await pod("one", { instance: "1", shared: false, rows: [row("alice", 1_000_000_000)] });
    await pod("two", { instance: "2", shared: false, rows: [row("alice", 500_000_000)] });
    const { code, stdout, stderr } = await report();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^alice,2,.*,1\.50\r?$/m);
    assert.match(asked[0] ?? "", /^one \/usage\?from=2027-02-01T00%3A00%3A00\.000Z&to=2027-02-02T00%3A00%3A00\.000Z$/);
    const top = await here(
      "top-users",
      "--from",
      "2026-02-01T00:00:00Z",
      "--limit",
      "1",
      "--system-namespace",
      systemNamespace,
    );
    assert.equal(top.code, 0, top.stderr);
    assert.match(top.stdout, /alice/);
    servers[0]?.close();
    servers[0]?.closeAllConnections();
    const broken = await report();
    assert.equal(broken.code, 0);
    assert.match(broken.stdout, /^alice,1,.*,0\.50\r?$/m);
    assert.match(
      broken.stderr,
      /warning: use is missing: no ledger of Pod sluice-system\/one: the API server answered 503: .*refused/,
    );
    servers[1]?.close();
    servers[1]?.closeAllConnections();
    const none = await report();
    assert.equal(none.code, 1);
    assert.match(none.stderr, /no ledger of Pod sluice-system\/one: the API server answered 503: .*refused/);
  });
});
