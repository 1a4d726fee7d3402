/** The chart's NetworkPolicies where a network plug-in enforces them: what must work works, and nothing else. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually } from "../harness/gateway.ts";
import { until } from "../harness/until.ts";
import { type Installation, startInstallation, system } from "./installation.ts";
import { startPolicyAgent } from "./policy-agent.ts";
import { applyStore, storeValues } from "./shared-store.ts";

const request = { model: "fast", messages: [{ role: "user", content: "hi" }] };

/** A Pod from which connections are tried; its image has Node.js and no tools. */
const prober = (namespace: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "prober", namespace },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: "prober",
        image: "localhost/app:1",
        imagePullPolicy: "IfNotPresent",
        command: ["node", "-e", "setInterval(() => undefined, 1000)"],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
});

describe("NetworkPolicies that are enforced", () => {
  let release: Installation;
  before(async () => {
    ({ release } = await startInstallation());
    await startPolicyAgent(release);
    await release.startProvider(9001);
    await applyStore(release.node, "redis");
    await release.helm(
      "install",
      "operator.privateEndpointNamespaces={team-a}",
      "networkPolicy.monitoringNamespaceLabels.metrics=allowed",
      ...storeValues,
    );
    await release.applyTenant();
    for (const name of ["monitoring", "elsewhere"]) await release.namespace(name);
    await release.node.kubectl("label", "namespace", "monitoring", "metrics=allowed");
    for (const name of ["monitoring", "elsewhere", system]) {
      await release.node.apply(JSON.stringify(prober(name)));
      await release.node.kubectl("-n", name, "wait", "pod/prober", "--for=condition=Ready", "--timeout=90s");
    }
  });
  after(() => release?.stop());

  /** Whether a container can open a connection. Its program prints the outcome. */
  const reaches = async (namespace: string, pod: string, host: string, port: number): Promise<boolean> => {
    const program = [
      `const socket = require("node:net").connect(${port}, ${JSON.stringify(host)});`,
      "socket.setTimeout(4000, () => socket.destroy(new Error('timeout')));",
      "socket.on('connect', () => { console.log('open'); socket.destroy(); });",
      "socket.on('error', ({ message }) => console.log('closed', message));",
    ].join("");
    const told = await release.node.kubectl("-n", namespace, "exec", pod, "--", "node", "-e", program);
    assert.match(told, /^(open|closed)/);
    return told.startsWith("open");
  };

  it("let calls, config changes and the shared store work", async () => {
    await eventually(async () => (await release.call("/v1/chat/completions", request)).status === 200, 60_000);
    const models = ["fast", "mid", "slow", "later"].map((name) => ({ name }));
    for (const [object, spec] of [
      ["llmprovider/up", { models }],
      ["routingpolicy/chat", { match: { models: models.map(({ name }) => name) } }],
    ] as const)
      await release.node.kubectl("-n", "team-a", "patch", object, "--type=merge", "-p", JSON.stringify({ spec }));
    await eventually(async () => (await release.call("/v1/models")).text.includes("later"), 120_000);
    for (const { ip } of await release.pods("proxy"))
      await until("the store is reached", async () => {
        const metrics = await release.node.must("curl", "-s", "-m", "5", `http://${ip}:9090/metrics`);
        assert.match(metrics, /^sluice_state_reachable(\{[^}]*\})? 1$/m);
      });
    // The operator has asked every proxy, or the policy would not be live.
    await release.node.kubectl(
      ...["wait", "-n", "team-a", "--for=condition=Programmed", "--timeout=120s", "routingpolicy/chat"],
    );
  });

  it("let everybody reach the traffic port, and only the operator and monitoring the status port", async () => {
    const [proxy] = await release.pods("proxy");
    const [operator] = await release.pods("operator");
    assert.ok(proxy && operator);
    const paths: [from: string, pod: string, to: string, port: number, open: boolean][] = [
      ["elsewhere", "prober", proxy.ip, 8080, true],
      ["elsewhere", "prober", proxy.ip, 9090, false],
      [system, "prober", proxy.ip, 9090, false],
      ["monitoring", "prober", proxy.ip, 9090, true],
      ["monitoring", "prober", operator.ip, 8081, true],
      ["elsewhere", "prober", operator.ip, 8081, false],
      [system, operator.name, proxy.ip, 9090, true],
      [system, operator.name, proxy.ip, 8080, false],
    ];
    for (const [from, pod, to, port, open] of paths)
      assert.equal(await reaches(from, pod, to, port), open, `${from}/${pod} to ${to}:${port}`);
  });

  it("let proxies out only on the ports of what is configured", async () => {
    const [proxy] = await release.pods("proxy");
    const [store] = await release.pods("store");
    assert.ok(proxy && store);
    assert.equal(await reaches("elsewhere", "prober", release.host, 9001), true, "the second provider runs");
    assert.deepEqual(
      [
        await reaches(system, proxy.name, release.host, 9000),
        await reaches(system, proxy.name, store.ip, 6379),
        await reaches(system, proxy.name, release.host, 9001),
        await reaches(system, proxy.name, release.host, 6443),
      ],
      [true, true, false, false],
    );
  });
});
