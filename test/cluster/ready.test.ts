/** When an operator is ready to take over, on a real API server. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connectCluster } from "../../operator/cluster/api.ts";
import { PooledKubeConfig } from "../../operator/cluster/kube-config.ts";
import { ClusterSource } from "../../operator/cluster/source.ts";
import { operatorSettings } from "../../operator/settings/settings.ts";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { keyedProvider } from "../harness/cluster-objects.ts";
import { run } from "../harness/command.ts";
import { type FaultyFront, startFaultyFront, tooManyRequests } from "../harness/faulty-front.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithout("etcd", "kube-apiserver", "kubectl");
const crds = join(import.meta.dirname, "../../crds");

describe("an operator that stands by", { skip }, () => {
  let server: ApiServer;
  let front: FaultyFront;
  let source: ClusterSource;
  before(async () => {
    server = await startApiServer();
    front = await startFaultyFront(server.url);
    const env = { ...process.env, KUBECONFIG: server.adminKubeconfigPath, HOME: server.dir };
    const kubectl = async (args: readonly string[], input = ""): Promise<void> => {
      const done = await run(await ensureTool("kubectl"), args, { env, input });
      assert.equal(done.code, 0, done.stderr);
    };
    await kubectl(["apply", "-f", crds]);
    await kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"]);
    await kubectl(["create", "namespace", "team-a"]);
    await kubectl(["apply", "-f", "-"], keyedProvider("up", "https://llm.example.com/v1", "[{ name: small }]"));
    const config = new PooledKubeConfig();
    config.loadFromFile(server.adminKubeconfigPath);
    config.clusters = config.clusters.map((one) => ({ ...one, server: front.url, skipTLSVerify: true }));
    const events = { changed: () => undefined, failed: () => undefined };
    source = new ClusterSource(connectCluster(config), operatorSettings.parse({ namespace: "sluice-system" }), events);
    await until("the caches are filled", () => assert.ok(source.synced()));
  });
  after(async () => {
    await source?.stop();
    await front?.close();
    await server?.stop();
  });

  it("is not ready before it has read the Secrets that objects refer to", async () => {
    front.fault((asked, response) => /\/secrets\/\w/.test(asked.url ?? "") && tooManyRequests(asked, response));
    await assert.rejects(source.warm());
    assert.equal(source.holdsSecrets(), false);
    front.fault(null);
    await source.warm();
    assert.equal(source.holdsSecrets(), true);
  });
});
