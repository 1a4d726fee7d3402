import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { ApiException, CoreV1Api, KubeConfig, VersionApi } from "@kubernetes/client-node";
import { type ApiServer, startApiServer } from "./apiserver.ts";
import { run } from "./command.ts";
import { ensureTool, pinnedVersion, skipWithout } from "./tools.ts";

const skip = await skipWithout("etcd", "kube-apiserver");

describe("the API server of the tests", { skip }, () => {
  let server: ApiServer;
  before(async () => {
    server = await startApiServer();
  });
  after(() => server.stop());

  const clients = (kubeconfig: string) => {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    return { core: config.makeApiClient(CoreV1Api), version: config.makeApiClient(VersionApi) };
  };
  const admin = () => clients(server.adminKubeconfigPath).core;

  it("says which Kubernetes it is", async () => {
    const { gitVersion, major, minor } = await clients(server.adminKubeconfigPath).version.getCode();
    if (process.env["KUBEBUILDER_ASSETS"] === undefined)
      assert.equal(gitVersion, `v${await pinnedVersion("kube-apiserver")}`);
    assert.equal(major, "1");
    assert.ok(Number.parseInt(minor, 10) >= 33, `${gitVersion} is older than what we support`);
  });

  it("keeps a namespace that was created", async () => {
    await admin().createNamespace({ body: { metadata: { name: "kept", labels: { mark: "first" } } } });
    const read = await admin().readNamespace({ name: "kept" });
    assert.equal(read.metadata?.labels?.["mark"], "first");
  });

  it("knows a ServiceAccount by its token, and denies what RBAC doesn't grant it", async () => {
    await admin().createNamespace({ body: { metadata: { name: "tenants" } } });
    await admin().createNamespacedServiceAccount({ namespace: "tenants", body: { metadata: { name: "reader" } } });
    const { core } = clients(await server.kubeconfigFor("tenants", "reader"));
    await assert.rejects(core.listNamespacedSecret({ namespace: "tenants" }), (error: unknown) => {
      assert.ok(error instanceof ApiException);
      assert.equal(error.code, 403);
      assert.match(error.body, /system:serviceaccount:tenants:reader.*cannot list resource/);
      return true;
    });
  });

  it("refuses a privileged Pod where the namespace asks for restricted ones", async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await admin().createNamespace({ body: { metadata: { name: "restricted", labels } } });
    await admin().createNamespacedServiceAccount({ namespace: "restricted", body: { metadata: { name: "default" } } });
    const spec = { containers: [{ name: "one", image: "none", securityContext: { privileged: true } }] };
    await assert.rejects(
      admin().createNamespacedPod({ namespace: "restricted", body: { metadata: { name: "bad" }, spec } }),
      /violates PodSecurity/,
    );
  });

  it("is not there while it is stopped, and has everything when it is back", async () => {
    await server.stopApiServer();
    await assert.rejects(admin().readNamespace({ name: "kept" }));
    await server.startApiServerAgain();
    const read = await admin().readNamespace({ name: "kept" });
    assert.equal(read.metadata?.labels?.["mark"], "first");
    // An earlier token is still good, since the signing key is the same.
    const { core } = clients(`${server.dir}/tenants.reader.kubeconfig`);
    await assert.rejects(
      core.readNamespace({ name: "kept" }),
      (error: unknown) => error instanceof ApiException && error.code === 403,
    );
  });

  it("is understood by kubectl", async () => {
    const kubectl = await ensureTool("kubectl");
    const env = { ...process.env, KUBECONFIG: server.adminKubeconfigPath };
    const got = await run(kubectl, ["get", "namespace", "kept", "-o", "jsonpath={.status.phase}"], { env });
    assert.deepEqual([got.code, got.stdout], [0, "Active"], got.stderr);
  });
});

it("what was started and stopped leaves nothing behind", { skip }, async () => {
  const server = await startApiServer();
  await server.stop();
  assert.equal(existsSync(server.dir), false);
  await assert.rejects(fetch(server.url, { signal: AbortSignal.timeout(2_000) }));
});

it("an API server that can't start says why", { skip }, async () => {
  await assert.rejects(
    startApiServer({ apiServerArgs: ["--no-such-flag"] }),
    /kube-apiserver ended while it was starting.*unknown flag: --no-such-flag/s,
  );
});
