/** What an API server in trouble does to the operator's caches, on a real one. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { CoreV1Api, V1Namespace } from "@kubernetes/client-node";
import { connectCluster } from "../../operator/cluster/api.ts";
import { ObjectCache } from "../../operator/cluster/cache.ts";
import { PooledKubeConfig } from "../../operator/cluster/kube-config.ts";
import { observeCluster } from "../../operator/observe.ts";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { run } from "../harness/command.ts";
import { compacted, type FaultyFront, isWatch, startFaultyFront, tooManyRequests } from "../harness/faulty-front.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithout("etcd", "kube-apiserver", "kubectl");
const crds = join(import.meta.dirname, "../../crds");

describe("a cache of objects", { skip }, () => {
  let server: ApiServer;
  let front: FaultyFront;
  let direct: CoreV1Api;
  let names = 0;
  const failures: unknown[] = [];
  let cache: ObjectCache<V1Namespace>;

  before(async () => {
    server = await startApiServer();
    front = await startFaultyFront(server.url);
    const admin = new PooledKubeConfig();
    admin.loadFromFile(server.adminKubeconfigPath);
    direct = connectCluster(admin).core;
    const config = new PooledKubeConfig(3_000);
    config.loadFromFile(server.adminKubeconfigPath);
    for (const cluster of config.clusters) {
      // Plain HTTP, which the client allows only so.
      Object.assign(cluster, { server: front.url, skipTLSVerify: true });
    }
    const through = connectCluster(config);
    cache = new ObjectCache(through, {
      path: "/api/v1/namespaces",
      list: () => through.core.listNamespace(),
      changed: () => undefined,
      failed: (_, cause) => failures.push(cause),
    });
    await until("the first list", () => assert.ok(cache.synced()));
  });
  after(async () => {
    await cache?.stop();
    await front?.close();
    await server?.stop();
  });

  const create = async (): Promise<string> => {
    const name = `made-${names++}`;
    await direct.createNamespace({ body: { metadata: { name } } });
    return name;
  };
  const has = (name: string): boolean => cache.list().some(({ metadata }) => metadata?.name === name);
  const seen = (name: string): Promise<unknown> => until(`${name} is seen`, () => assert.ok(has(name)), 120_000);

  it("lists again after the watch's version was compacted", async () => {
    let refused = 0;
    front.fault((asked, response) => refused < 3 && isWatch(asked) && ++refused > 0 && compacted(asked, response));
    const name = await create();
    await seen(name);
    assert.ok(refused > 0);
    front.fault(null);
    await seen(await create());
  });

  it("waits longer and longer where the API server has no room, keeps what it has, and catches up", async () => {
    const known = cache.list().length;
    front.fault(tooManyRequests);
    const before = front.asked.length;
    await until("several refusals", () => assert.ok(front.asked.length - before >= 4), 120_000);
    const name = await create();
    assert.equal(cache.list().length, known);
    assert.ok(failures.length > 0);
    front.fault(null);
    await seen(name);
    // A second between two requests at least, and then two and four: nobody floods an API server in trouble.
    assert.ok(front.asked.length - before < 60, `${front.asked.length - before} requests`);
  });

  it("outlives a restart of etcd", async () => {
    const earlier = await create();
    await seen(earlier);
    await server.restartEtcd(async () => {
      assert.ok(has(earlier));
    });
    const name = await until("a namespace made afterwards", create, 120_000);
    await seen(name);
    assert.ok(has(earlier));
  });
});

describe("a command that reads the cluster", { skip }, () => {
  it("waits for an API server that has no room for a moment", async () => {
    const server = await startApiServer();
    const front = await startFaultyFront(server.url);
    try {
      const env = { ...process.env, KUBECONFIG: server.adminKubeconfigPath, HOME: server.dir };
      const applied = await run(await ensureTool("kubectl"), ["apply", "-f", crds], { env });
      assert.equal(applied.code, 0, applied.stderr);
      const waiting = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"];
      const established = await run(await ensureTool("kubectl"), waiting, { env });
      assert.equal(established.code, 0, established.stderr);
      const kubeconfig = join(server.dir, "front.kubeconfig");
      const config = new PooledKubeConfig();
      config.loadFromFile(server.adminKubeconfigPath);
      config.clusters = config.clusters.map((one) => ({ ...one, server: front.url, skipTLSVerify: true }));
      await writeFile(kubeconfig, config.exportConfig());
      // An API server also refuses watches while it fills the cache of a kind that is new.
      const refused = { lists: 0, watches: 0 };
      front.fault((asked, response) => {
        const what = isWatch(asked) ? "watches" : "lists";
        const refuses = asked.url?.startsWith("/apis/sluice.dev/") === true && refused[what] < 3;
        return refuses && ++refused[what] > 0 && tooManyRequests(asked, response);
      });
      const { compiled } = await observeCluster(
        { kubeconfig, systemNamespace: "sluice-system", settings: null },
        Buffer.alloc(32, 1),
        Date.now(),
      );
      assert.equal(compiled.verdicts.length, 0);
      assert.deepEqual(refused, { lists: 3, watches: 3 });
    } finally {
      await front.close();
      await server.stop();
    }
  });
});
