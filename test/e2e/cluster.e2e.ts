/** The chart and the image on a real node. `make e2e`; needs root. Prints its figures as a table at the end. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually } from "../harness/gateway.ts";
import { until } from "../harness/until.ts";
import { type Installation, type LoadResult, startInstallation, system } from "./installation.ts";
import { liveTimes, quantile } from "./live-time.ts";
import type { KubeNode } from "./node.ts";

const root = join(import.meta.dirname, "../..");
const figures: [what: string, figure: string][] = [];

/** The shell commands of README's section, without those that build and push the image and install the chart. */
function readmeCommands(): string {
  const section = readFileSync(join(root, "README.md"), "utf8").split("## In a cluster")[1] ?? "";
  const block = /```\n([\s\S]*?)```/.exec(section)?.[1] ?? "";
  return block.slice(block.indexOf("kubectl create namespace"));
}

describe("an installation on a real node", () => {
  let node: KubeNode;
  let release: Installation;
  before(async () => {
    const started = await startInstallation();
    release = started.release;
    node = release.node;
    // README's commands make it.
    await node.kubectl("delete", "namespace", "team-a", "--wait=true");
    figures.push(["image, MB", String(started.images.sluice.megabytes)]);
  });
  after(async () => {
    await release?.stop();
    const width = Math.max(...figures.map(([what]) => what.length));
    for (const [what, figure] of figures) process.stdout.write(`${what.padEnd(width)}  ${figure}\n`);
  });

  /** What a component's first Pod has used. */
  const usedBy = async (component: string): Promise<{ mebibytes: string; cpuSeconds: string }> => {
    const [pod] = await release.pods(component);
    assert.ok(pod);
    const folder = `/proc/${await release.processOf(pod.name)}`;
    const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(await node.must("cat", `${folder}/status`))?.[1]);
    const [, fields = ""] = (await node.must("cat", `${folder}/stat`)).split(") ");
    const ticks = fields.split(" ").slice(11, 13).map(Number);
    const cpuSeconds = ticks.reduce((sum, count) => sum + count, 0) / 100;
    return { mebibytes: String(Math.round(kilobytes / 1024)), cpuSeconds: cpuSeconds.toFixed(2) };
  };

  it("gets ready where the strictest pod security is enforced", async () => {
    const began = performance.now();
    await release.helm("install", "operator.privateEndpointNamespaces={team-a}", "sidecar.injection.enabled=true");
    figures.push(["helm install to ready, s", ((performance.now() - began) / 1000).toFixed(1)]);
    for (const component of ["operator", "proxy"])
      figures.push([`CPU time to ready, ${component}, s`, (await usedBy(component)).cpuSeconds]);
    const path = 'jsonpath={range .items[*]}{.message} ({.count}){"\\n"}{end}';
    const select = ["--field-selector", "type=Warning", "-o", path];
    figures.push([
      "Warning Events of the start",
      (await node.kubectl("-n", system, "get", "events", ...select)) || "none",
    ]);
  });

  it("follows the README", async () => {
    const printed = await node.must("bash", "-euc", readmeCommands());
    assert.match(printed, /slc_/);
    const models = await release.call("/v1/models");
    assert.deepEqual([models.status, /gpt-4o/.test(models.text)], [200, true], models.text);
    await node.kubectl("delete", "namespace", "team-a", "--wait=true");
  });

  it("answers a call through the Service", async () => {
    await release.namespace("team-a");
    await release.applyTenant();
    const request = { model: "fast", messages: [{ role: "user", content: "hi" }] };
    await eventually(async () => (await release.call("/v1/chat/completions", request)).status === 200);
    const { text } = await release.call("/v1/chat/completions", request);
    assert.match(text, /hello/);
  });

  it("passes helm test", async () => {
    const told = await node.must("helm", "test", "sluice", "-n", system, "--timeout", "180s");
    assert.match(told, /Phase:\s+Succeeded/);
  });

  it("has `sluice` on the PATH of its containers", async () => {
    const version = await node.kubectl("-n", system, "exec", "deploy/sluice-proxy", "--", "sluice", "version");
    assert.match(version, /^sluice \d/);
  });

  it("puts a change live on every proxy", async () => {
    const took = await liveTimes(release, 20, (round) => {
      const patch = JSON.stringify({ spec: { request: { defaults: { max_tokens: 100 + round } } } });
      return node.kubectl("-n", "team-a", "patch", "routingpolicy", "chat", "--type=merge", "-p", patch);
    });
    figures.push(["apply to live on 2 proxies, ms: p50, p99", `${quantile(took, 0.5)}, ${quantile(took, 0.99)}`]);
  });

  const underLoad = async (what: string, disturb: () => Promise<void>): Promise<LoadResult[]> => {
    const results = await release.loadDuring(disturb, { kept: 10, stream: 10, fresh: 4 });
    const failed = results.flatMap(({ others }) => Object.values(others)).reduce((sum, count) => sum + count, 0);
    const answered = results.reduce((sum, { ok }) => sum + ok, 0);
    figures.push([`${what}: failed calls of all`, `${failed} of ${answered + failed}`]);
    return results;
  };
  const failuresOf = (results: readonly LoadResult[]): string[] => results.flatMap(({ failures }) => failures);

  it("fails no call in rolling restarts, on fresh and kept connections and in streams", async () => {
    const results = await underLoad("two rolling restarts", async () => {
      for (let round = 0; round < 2; round++) {
        await node.kubectl("-n", system, "rollout", "restart", "deployment/sluice-proxy");
        await release.rolledOut("sluice-proxy");
      }
    });
    assert.deepEqual(failuresOf(results), []);
  });

  it("fails no call in helm upgrade", async () => {
    const results = await underLoad("helm upgrade", () =>
      release.helm(
        "upgrade",
        "operator.privateEndpointNamespaces={team-a}",
        "sidecar.injection.enabled=true",
        "proxy.podAnnotations.changed=yes",
      ),
    );
    assert.deepEqual(failuresOf(results), []);
  });

  it("fails no call when Pods are evicted, one at a time by the disruption budget", async () => {
    const results = await underLoad("eviction of every proxy", async () => {
      for (const { name } of await release.pods("proxy")) {
        await until("the Pod is evicted", async () => {
          const eviction = JSON.stringify({
            apiVersion: "policy/v1",
            kind: "Eviction",
            metadata: { name, namespace: system },
          });
          const path = `/api/v1/namespaces/${system}/pods/${name}/eviction`;
          await node.mustWith({ input: eviction }, "kubectl", "create", "--raw", path, "-f", "-");
        });
        await release.ready("proxy", 2);
      }
    });
    assert.deepEqual(failuresOf(results), []);
  });

  it("serves on while the operator is gone, and after a proxy was killed outright", async () => {
    const [first] = await release.pods("proxy");
    assert.ok(first);
    const results = await underLoad("SIGKILL of one proxy", async () => {
      await node.must("kill", "-9", await release.processOf(first.name));
      await until("it was started again", async () => assert.equal((await release.restartsOf(first.name)).count, 1));
      await release.ready("proxy", 2);
    });
    // What was on the killed process is lost, and nothing after its restart.
    const lost = results.flatMap(({ others }) => Object.values(others)).reduce((sum, count) => sum + count, 0);
    assert.ok(lost < 200, failuresOf(results).join("\n"));
    await release.ready("proxy", 2);
    await node.kubectl("-n", system, "scale", "deployment/sluice-operator", "--replicas=0");
    await node.kubectl("-n", system, "delete", "pod", first.name);
    await release.ready("proxy", 2);
    const { status } = await release.call("/v1/models");
    assert.equal(status, 200);
    await node.kubectl("-n", system, "scale", "deployment/sluice-operator", "--replicas=2");
    await release.rolledOut("sluice-operator");
  });

  it("goes on with the other operator when the leader is killed", async () => {
    const began = performance.now();
    const holder = await node.kubectl("-n", system, "get", "lease", "-o", "jsonpath={.items[*].spec.holderIdentity}");
    const operators = await release.pods("operator");
    const leader = operators.find(({ name }) => holder.includes(name)) ?? operators[0];
    assert.ok(leader);
    await node.must("kill", "-9", await release.processOf(leader.name));
    const models = ["fast", "mid", "slow", "after-leader"];
    for (const [object, spec] of [
      ["llmprovider/up", { models: models.map((name) => ({ name })) }],
      ["routingpolicy/chat", { match: { models } }],
    ] as const)
      await node.kubectl("-n", "team-a", "patch", object, "--type=merge", "-p", JSON.stringify({ spec }));
    await eventually(async () => (await release.call("/v1/models")).text.includes("after-leader"), 120_000);
    figures.push(["change live after the leader was killed, s", ((performance.now() - began) / 1000).toFixed(1)]);
  });

  it("gives an application that holds a dummy key its identity through a sidecar", async () => {
    await release.helm(
      "upgrade",
      "operator.privateEndpointNamespaces={team-a}",
      "sidecar.injection.enabled=true",
      "identity.issuers[0].name=cluster",
      "identity.issuers[0].kind=Kubernetes",
      "identity.issuers[0].audiences={sluice}",
      "identity.issuers[0].defaults.role=workload",
      "roles.workload.permissions={use_models}",
    );
    const program = [
      'import OpenAI from "openai"; const client = new OpenAI({ maxRetries: 5 });',
      'for (;;) { try { const answer = await client.chat.completions.create({ model: "fast", messages: [{ role: "user", content: "hi" }] });',
      "console.log(answer.choices[0].message.content); } catch (error) { console.log(error.status, error.message); }",
      "await new Promise((resolve) => setTimeout(resolve, 1000)); }",
    ].join("\n");
    const manifest = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "app", namespace: "team-a", annotations: { "sluice.dev/sidecar": "true" } },
      spec: {
        terminationGracePeriodSeconds: 5,
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "app",
            image: "localhost/app:1",
            imagePullPolicy: "IfNotPresent",
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            env: [
              { name: "OPENAI_BASE_URL", value: "http://127.0.0.1:8787/v1" },
              { name: "OPENAI_API_KEY", value: "unused" },
            ],
            command: ["node", "--input-type=module", "-e", program],
          },
        ],
      },
    };
    await node.apply(JSON.stringify(manifest));
    await until(
      "the application has its answer",
      async () => {
        const log = await node.kubectl("-n", "team-a", "logs", "app", "-c", "app", "--tail=3");
        assert.match(log, /^hello$/m);
      },
      120_000,
      1_000,
    );
    const sidecar = ["exec", "app", "-c", "sluice", "--", "node", "-p"];
    const heap = await node.kubectl(
      "-n",
      "team-a",
      ...sidecar,
      'require("node:v8").getHeapStatistics().heap_size_limit',
    );
    assert.ok(Number(heap) < 200 * 2 ** 20, `V8 may take ${heap} of the sidecar's 256 MiB`);
  });

  it("uses little memory", async () => {
    for (const component of ["operator", "proxy"])
      figures.push([`memory at the end, ${component}, MiB`, (await usedBy(component)).mebibytes]);
  });

  it("starts an operator that gets no more CPU time than it requests", async () => {
    const began = performance.now();
    const slow = ["operator.replicas=1", "operator.resources.limits.cpu=50m"];
    await release.helm("upgrade", "operator.privateEndpointNamespaces={team-a}", ...slow);
    figures.push(["operator with 50m of CPU to ready, s", ((performance.now() - began) / 1000).toFixed(1)]);
    const path = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    const selector = "app.kubernetes.io/component=operator";
    assert.match(await node.kubectl("-n", system, "get", "pods", "-l", selector, "-o", path), /^0( 0)*$/);
  });
});
