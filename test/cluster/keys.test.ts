/** The life of a key in a cluster: made, rotated, revoked, by command, under the chart's rights. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type Cluster,
  type OperatorProcess,
  skipWithoutCluster,
  startCluster,
  untilCondition,
} from "../harness/cluster.ts";
import { keyedProvider } from "../harness/cluster-objects.ts";
import { sluice } from "../harness/sluice.ts";
import { until } from "../harness/until.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const skip = await skipWithoutCluster();

const objects = (url: string) => `${keyedProvider("up", `${url}/v1`, "[{ name: gpt-4o }]")}
---
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: chat, namespace: team-a }
spec: { match: { models: [gpt-4o] }, routing: { targets: [{ provider: { name: up } }] } }
`;

describe("the life of a key in a cluster", { skip }, () => {
  let cluster: Cluster;
  let upstream: Upstream;
  let operator: OperatorProcess;
  const keys = (...args: string[]) =>
    sluice("keys", ...args, "-n", "team-a", "--kubeconfig", cluster.apiServer.adminKubeconfigPath);
  /** By each proxy's own answer. */
  const codes = (clear: string): Promise<(string | null)[]> =>
    Promise.all(
      cluster.proxies.map(async ({ url }) => {
        const response = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${clear}` } });
        return ((await response.json()) as { error?: { code: string } }).error?.code ?? null;
      }),
    );

  before(async () => {
    upstream = await startUpstream();
    cluster = await startCluster({ namespaces: ["team-a"], set: ["operator.resyncMs=1000"] });
    operator = await cluster.startOperator();
    await cluster.apply(objects(upstream.url));
    await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Programmed", status: "True" });
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.close();
  });

  it("is made, works at once on every proxy, is rotated with a grace, and listed without the key", async () => {
    const created = await keys(
      "create",
      "--user",
      "alice@example.com",
      "--role",
      "data-scientist",
      "--expires-in",
      "90d",
      "--show",
    );
    assert.equal(created.code, 0, created.stderr);
    const first = created.stdout.trim().split("\n").at(-1) ?? "";
    assert.match(first, /^slc_/);
    assert.deepEqual(await codes(first), [null, null]);

    const rotated = await keys("rotate", "--user", "alice@example.com", "--grace-period", "7d");
    assert.equal(rotated.code, 0, rotated.stderr);
    const second = Buffer.from(
      await cluster.kubectl(
        "get",
        "secret",
        "alice-example-com-llm-key",
        "-n",
        "team-a",
        "-o",
        "jsonpath={.data.apiKey}",
      ),
      "base64",
    ).toString();
    assert.notEqual(second, first);
    assert.deepEqual(
      [await codes(first), await codes(second)],
      [
        [null, null],
        [null, null],
      ],
    );
    const status = JSON.parse(
      await cluster.kubectl("get", "apikey", "alice-example-com", "-n", "team-a", "-o", "jsonpath={.status}"),
    ) as Record<string, string>;
    assert.ok(Date.parse(status["previousExpiresAt"] ?? "") - Date.parse(status["rotatedAt"] ?? "") === 7 * 86_400_000);
    assert.match(
      await cluster.kubectl("get", "events", "-n", "team-a", "-o", "jsonpath={.items[*].reason}"),
      /InGrace/,
    );

    const listed = await keys("list");
    assert.match(
      listed.stdout,
      /team-a +alice-example-com +alice@example\.com +data-scientist +slc_\S+… +\d{4}-\S+Z +live, rotating/,
    );
    assert.ok(!listed.stdout.includes(first) && !listed.stdout.includes(second) && !cluster.logs().includes(second));
  });

  it("is rotated by its schedule, and the key before goes when its grace is over", async () => {
    await cluster.apply(`
apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: often, namespace: team-a }
spec: { user: often, writeTo: { name: often }, rotation: { every: 20s, grace: 5s } }
`);
    await untilCondition(cluster, "team-a", "apikey/often", { type: "Programmed", status: "True" });
    const data = async () =>
      JSON.parse(await cluster.kubectl("get", "secret", "often", "-n", "team-a", "-o", "jsonpath={.data}")) as Record<
        string,
        string
      >;
    const first = Buffer.from((await data())["apiKey"] ?? "", "base64").toString();
    await until(
      "it is rotated",
      async () => assert.notEqual(Buffer.from((await data())["apiKey"] ?? "", "base64").toString(), first),
      90_000,
      200,
    );
    await until(
      "the key before is refused",
      async () =>
        assert.ok((await codes(first)).every((code) => code === "expired_api_key" || code === "invalid_api_key")),
      90_000,
      200,
    );
    await until(
      "the key before is forgotten",
      async () => assert.equal((await data())["apiKey-previous"], undefined),
      90_000,
      200,
    );
    // It would go on, and make a new revision for every proxy each time.
    await cluster.kubectl("delete", "apikey", "often", "-n", "team-a");
  });

  it("is refused on every proxy soon after it is revoked", async (context) => {
    const delays: number[] = [];
    for (let at = 0; at < 5; at++) {
      const created = await keys("create", "--user", `user-${at}`, "--show");
      assert.equal(created.code, 0, created.stderr);
      const clear = created.stdout.trim().split("\n").at(-1) ?? "";
      assert.deepEqual(await codes(clear), [null, null]);
      await cluster.kubectl(
        "patch",
        "apikey",
        `user-${at}`,
        "-n",
        "team-a",
        "--type=merge",
        "-p",
        '{"spec":{"revoked":true}}',
      );
      const began = performance.now();
      await until(
        "it is refused everywhere",
        async () => assert.deepEqual(await codes(clear), ["revoked_api_key", "revoked_api_key"]),
        90_000,
        20,
      );
      delays.push(performance.now() - began);
    }
    delays.sort((a, b) => a - b);
    context.diagnostic(
      `from kubectl patch to refused on all proxies, ms: min ${delays[0]?.toFixed(0)}, median ${delays[2]?.toFixed(0)}, max ${delays[4]?.toFixed(0)}`,
    );
  });

  it("meets an emergency limit on every proxy when the command returns, until it is removed", async () => {
    const created = await keys("create", "--user", "hasty", "--show");
    const clear = created.stdout.trim().split("\n").at(-1) ?? "";
    const set = (...args: string[]) =>
      sluice(
        "set-rate-limit",
        "--user",
        "hasty",
        ...args,
        "-n",
        "team-a",
        "--kubeconfig",
        cluster.apiServer.adminKubeconfigPath,
      );
    const statuses = (count: number): Promise<number[]> =>
      Promise.all(
        Array.from({ length: count }, async (_, at) => {
          const url = cluster.proxies[at % cluster.proxies.length]?.url;
          const headers = { authorization: `Bearer ${clear}`, "content-type": "application/json" };
          const body = JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] });
          const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
          await answer.text();
          return answer.status;
        }),
      );
    assert.deepEqual(await statuses(4), [200, 200, 200, 200]);
    const limited = await set("--limit", "1", "--period", "1h");
    assert.equal(limited.code, 0, limited.stderr);
    assert.match(limited.stdout, /Budget team-a\/rate-limit-hasty made; it is in force on all proxies/);
    assert.ok(
      (await statuses(4)).filter((status) => status === 429).length >= 2,
      "each proxy has its own count without a shared store",
    );
    assert.match(await cluster.kubectl("get", "budgets", "-n", "team-a"), /rate-limit-hasty/);
    const wide = await set("--limit", "1000");
    assert.match(wide.stdout, /changed; it is in force/, wide.stderr);
    assert.deepEqual(await statuses(2), [200, 200]);
    const removed = await set("--remove");
    assert.match(removed.stdout, /removed/, removed.stderr);
    assert.equal((await set("--remove")).code, 1);
  });

  it("is distinguished from one that can't be made", async () => {
    const again = await keys("create", "--user", "alice@example.com");
    assert.equal(again.code, 1);
    assert.match(again.stderr, /is there already/);
    const nowhere = await keys("create", "--user", "bob", "--name", "Not A Name");
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /Invalid value|must/i);
  });

  it("gets the gateway's new address in its Secret, unless somebody stored another one there", async () => {
    await cluster.apply(
      [
        'apiVersion: v1\nkind: Secret\nmetadata: { name: own-address, namespace: team-a, labels: { sluice.dev/writable: "true" } }\nstringData: { baseURL: https://own.example/v1 }\n',
        ...["moved", "own-address"].map(
          (name) =>
            `apiVersion: sluice.dev/v1alpha1\nkind: ApiKey\nmetadata: { name: ${name}, namespace: team-a }\nspec: { user: ${name}, writeTo: { name: ${name} } }\n`,
        ),
      ].join("---\n"),
    );
    for (const name of ["moved", "own-address"])
      await untilCondition(cluster, "team-a", `apikey/${name}`, { type: "Programmed", status: "True" });
    const value = async (secret: string, key: string): Promise<string> =>
      Buffer.from(
        await cluster.kubectl("get", "secret", secret, "-n", "team-a", "-o", `jsonpath={.data.${key}}`),
        "base64",
      ).toString();
    const before = await value("moved", "apiKey");
    assert.equal(await value("moved", "baseURL"), "http://sluice.sluice-system.svc/v1");

    await operator.end("SIGTERM");
    operator = await cluster.startOperator((settings) =>
      settings.replace(/^baseURL: .*$/m, "baseURL: https://sluice.sluice-system.svc/v1"),
    );
    await until("the Secret has the new address", async () =>
      assert.equal(await value("moved", "baseURL"), "https://sluice.sluice-system.svc/v1"),
    );
    assert.equal(await value("moved", "apiKey"), before);
    assert.equal(await value("own-address", "baseURL"), "https://own.example/v1");
  });
});
