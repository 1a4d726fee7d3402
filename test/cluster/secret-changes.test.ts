/** Changes of Secrets and dead connections, on a real API server. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connectCluster, loadConfig } from "../../operator/cluster/api.ts";
import { ObjectCache } from "../../operator/cluster/cache.ts";
import { eachOf } from "../../operator/cluster/each.ts";
import { PooledKubeConfig } from "../../operator/cluster/kube-config.ts";
import { SecretReader, type SecretValues } from "../../operator/cluster/secrets.ts";
import { operatorMetrics } from "../../operator/metrics.ts";
import { operatorStatusServer } from "../../operator/status-server.ts";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { startFreezingForwarder } from "../harness/freezing-forwarder.ts";
import { skipWithout } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithout("etcd", "kube-apiserver");
/** More than were ever watched by name. */
const many = 80;
const refs = Array.from({ length: many }, (_, at) => `default/s${at}`);

describe("on a real API server", { skip }, () => {
  let server: ApiServer;
  let cluster: Cluster;
  before(async () => {
    server = await startApiServer();
    cluster = connectCluster(loadConfig(server.adminKubeconfigPath));
    await eachOf(refs, 4, (ref) => write(ref.split("/")[1] ?? "", "old"));
  });
  after(() => server?.stop());

  const write = async (name: string, value: string): Promise<void> => {
    const body = { metadata: { name }, stringData: { apiKey: value } };
    await cluster.core
      .createNamespacedSecret({ namespace: "default", body })
      .catch(() => cluster.core.replaceNamespacedSecret({ namespace: "default", name, body }));
  };

  describe("a Secret that objects refer to", () => {
    for (const place of [null, "default"])
      it(`is read again whenever it changes, and no other is: watched in ${place ?? "all namespaces"}`, async () => {
        let reads = 0;
        const core = new Proxy(cluster.core, {
          get(target, name) {
            const member: unknown = Reflect.get(target, name);
            if (typeof member !== "function") return member;
            return (...args: unknown[]) => {
              if (name === "readNamespacedSecret") reads += 1;
              return Reflect.apply(member, target, args);
            };
          },
        });
        const failures: unknown[] = [];
        let stale = false;
        const changed = (): void => {
          stale = true;
        };
        const failed = (_: string, cause: unknown): void => void failures.push(cause);
        const reader = new SecretReader({ ...cluster, core }, { access: "Namespace" }, { changed, failed }, [place]);
        try {
          reader.track({ come: refs, gone: [] });
          await reader.read();
          const next = (what: string, fits: (known: ReadonlyMap<string, SecretValues>) => boolean): Promise<unknown> =>
            until(what, async () => {
              // Nothing but the watch says that there is something to read.
              if (!stale) throw new Error("no change was reported");
              const known = await reader.read();
              if (!fits(known)) throw new Error("it is not read yet");
            });
          for (const at of [0, many - 1]) {
            const value = `new for ${place}`;
            await write(`s${at}`, value);
            await next(`change of s${at}`, (known) => known.get(`default/s${at}`)?.["apiKey"] === value);
          }
          await cluster.core.deleteNamespacedSecret({ namespace: "default", name: "s70" });
          await next("deletion of s70", (known) => !known.has("default/s70"));
          await write("s70", "back");
          await next("return of s70", (known) => known.get("default/s70")?.["apiKey"] === "back");
          // Secrets that no object refers to are none of the operator's business.
          await write("of-others", "x");
          const before = reads;
          await reader.read();
          assert.equal(reads, before);
          assert.ok(reads < many + 20, `${reads} reads of ${many} Secrets`);
          assert.deepEqual(failures, []);
        } finally {
          reader.stop();
        }
      });
  });

  describe("a connection that dies silently", () => {
    it("is replaced, calls and watches alike", async () => {
      const { hostname, port } = new URL(server.url);
      const forwarder = await startFreezingForwarder({ host: hostname, port: Number(port) });
      // A busy machine may need a second for a call.
      const config = new PooledKubeConfig(3_000);
      config.loadFromFile(server.adminKubeconfigPath);
      for (const cluster of config.clusters) Object.assign(cluster, { server: `https://127.0.0.1:${forwarder.port}` });
      const through = connectCluster(config);
      const failures: string[] = [];
      const namespaces = new ObjectCache(through, {
        path: "/api/v1/namespaces",
        list: () => through.core.listNamespace(),
        changed: () => undefined,
        failed: (path) => failures.push(path),
      });
      try {
        await until("the first list", () => assert.ok(namespaces.synced()));
        forwarder.freeze();
        const made = forwarder.made();
        await cluster.core.createNamespace({ body: { metadata: { name: "later" } } });
        await until(
          "a call that succeeds",
          async () => {
            await through.core.listNamespace();
            return true;
          },
          120_000,
        );
        await until(
          "the watch",
          () => assert.ok(namespaces.list().some((one) => one.metadata?.name === "later")),
          120_000,
        );
        assert.ok(forwarder.made() > made);
        assert.ok(failures.length > 0, "the watch ended");
      } finally {
        await namespaces.stop();
        await forwarder.close();
      }
    });
  });
});

describe("the operator's /livez", () => {
  const answerAfter = async (silentMs: number): Promise<number> => {
    const app = operatorStatusServer(
      operatorMetrics(),
      () => "",
      () => silentMs,
    );
    const { statusCode } = await app.inject("/livez");
    await app.close();
    return statusCode;
  };
  it("fails once the API server has sent nothing for minutes", async () => {
    assert.deepEqual([await answerAfter(60_000), await answerAfter(180_000)], [200, 503]);
  });
});
