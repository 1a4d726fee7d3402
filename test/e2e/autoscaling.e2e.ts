/** The chart's HorizontalPodAutoscaler with metrics-server: the fleet follows the load up and down. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "../harness/until.ts";
import { type Installation, type LoadResult, startInstallation, system } from "./installation.ts";
import { startMetricsServer } from "./metrics-server.ts";

const autoscaling = {
  enabled: true,
  minReplicas: 1,
  maxReplicas: 3,
  targetCPUUtilizationPercentage: 60,
  behavior: { scaleDown: { stabilizationWindowSeconds: 10 } },
};

describe("autoscaling", () => {
  let release: Installation;
  before(async () => {
    ({ release } = await startInstallation());
    await startMetricsServer(release);
    const values = ["operator.privateEndpointNamespaces={team-a}", "proxy.resources.requests.cpu=100m"];
    await release.helm("install", ...values, `--set-json=proxy.autoscaling=${JSON.stringify(autoscaling)}`);
    await release.applyTenant();
    await until("calls are answered", async () => {
      const { ok } = await (await release.startLoad(1, "fresh", 1, 50))();
      assert.ok(ok > 0);
    });
  });
  after(() => release?.stop());

  const path = "jsonpath={.status.currentReplicas} {.status.desiredReplicas}";
  const scaledTo = (what: string, count: number): Promise<void> =>
    until(
      what,
      async () => {
        const replicas = await release.node.kubectl("-n", system, "get", "hpa", "sluice-proxy", "-o", path);
        if (replicas !== `${count} ${count}`)
          throw new Error(await release.node.kubectl("-n", system, "describe", "hpa", "sluice-proxy"));
        await release.rolledOut("sluice-proxy");
      },
      180_000,
      1_000,
    );

  it("adds proxies under load and removes them after it, and fails no call", async () => {
    await scaledTo("one proxy is enough", 1);
    const steady = await release.startLoad(10, "kept", 2, 200);
    const streams = await release.startLoad(10, "stream", 2, 50);
    const heavy = await release.startLoad(10, "kept", 12, 20);
    await scaledTo("three proxies share the load", 3);
    const results: LoadResult[] = [await heavy()];
    await scaledTo("the load is over", 1);
    results.push(await steady(), await streams());
    assert.deepEqual(
      results.flatMap(({ failures }) => failures),
      [],
    );
  });
});
