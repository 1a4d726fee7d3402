/** A cache on a real API server: every page of a list, what it keeps of an object, and what changes afterwards. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { V1ConfigMap } from "@kubernetes/client-node";
import { type Cluster, connectCluster, loadConfig } from "../../operator/cluster/api.ts";
import { ObjectCache } from "../../operator/cluster/cache.ts";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { skipWithout } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithout("etcd", "kube-apiserver");
const namespace = "default";
const pageSize = 500;
const count = pageSize + 30;

describe("a cache of objects", { skip }, () => {
  let server: ApiServer;
  let cluster: Cluster;
  let cache: ObjectCache<V1ConfigMap>;
  const asked: { limit: number; continued: boolean }[] = [];

  before(async () => {
    server = await startApiServer();
    cluster = connectCluster(loadConfig(server.adminKubeconfigPath));
    const annotations = { "kubectl.kubernetes.io/last-applied-configuration": "{}", mine: "kept" };
    for (let from = 0; from < count; from += 50)
      await Promise.all(
        Array.from({ length: Math.min(50, count - from) }, (_, at) =>
          cluster.core.createNamespacedConfigMap({
            namespace,
            body: { metadata: { name: `map-${from + at}`, labels: { cached: "yes" }, annotations } },
          }),
        ),
      );
    cache = new ObjectCache<V1ConfigMap>(cluster, {
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      labelSelector: "cached=yes",
      list: (page) => {
        asked.push({ limit: page.limit, continued: page._continue !== undefined });
        return cluster.core.listNamespacedConfigMap({ namespace, labelSelector: "cached=yes", ...page });
      },
      changed: () => undefined,
      failed: (_path, cause) => assert.fail(String(cause)),
    });
    await until("the cache is filled", () => assert.equal(cache.list().length, count));
  });
  after(async () => {
    await cache?.stop();
    await server?.stop();
  });

  it("reads a long list in pages", () => {
    assert.deepEqual(asked, [
      { limit: pageSize, continued: false },
      { limit: pageSize, continued: true },
    ]);
    assert.equal(new Set(cache.list().map(({ metadata }) => metadata?.name)).size, count);
  });

  it("keeps nothing of an object that nobody reads, of listed and of changed ones", async () => {
    const lean = ({ metadata }: V1ConfigMap): void => {
      assert.equal(metadata?.managedFields, undefined);
      assert.deepEqual(metadata?.annotations, { mine: "kept" });
      assert.notEqual(metadata?.resourceVersion, undefined);
    };
    for (const map of cache.list()) lean(map);
    const name = "map-7";
    const stored = await cluster.core.readNamespacedConfigMap({ namespace, name });
    assert.ok((stored.metadata?.managedFields ?? []).length > 0);
    await cluster.core.replaceNamespacedConfigMap({ namespace, name, body: { ...stored, data: { changed: "yes" } } });
    await until("the change is in the cache", () => assert.equal(cache.get(name, namespace)?.data?.["changed"], "yes"));
    lean(cache.get(name, namespace) as V1ConfigMap);
    await cluster.core.deleteNamespacedConfigMap({ namespace, name });
    await until("the deletion as well", () => assert.equal(cache.get(name, namespace), undefined));
  });
});
