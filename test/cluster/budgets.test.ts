/** Budgets in a cluster: status, Events and alerts, over a restart of the operator and of everything that counts. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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

/** A scripted answer is 11 tokens in and 7 out: USD 0.0000975. */
const models = '[{ name: gpt-4o, maxOutputTokens: 100, price: { inputPerMillion: "2.5", outputPerMillion: "10" } }]';
const objects = (url: string, hook: string) => `${keyedProvider("up", `${url}/v1`, models)}
---
apiVersion: v1
kind: Secret
metadata: { name: alerts, namespace: team-a, labels: { sluice.dev/readable: "true" } }
stringData: { url: "${hook}/hook-secret-token" }
---
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: chat, namespace: team-a }
spec: { match: { models: [gpt-4o] }, routing: { targets: [{ provider: { name: up } }] } }
---
apiVersion: sluice.dev/v1alpha1
kind: Budget
metadata: { name: small, namespace: team-a }
spec:
  amount: "0.0001"
  period: Total
  enforcement: Soft
  alerts: [{ webhook: { secretRef: { name: alerts, key: url } } }]
---
apiVersion: sluice.dev/v1alpha1
kind: Budget
metadata: { name: each, namespace: team-a }
spec: { amount: "5", period: Monthly, per: User }
`;

describe("budgets in a cluster", { skip }, () => {
  let cluster: Cluster;
  let upstream: Upstream;
  let operator: OperatorProcess;
  let clear = "";
  const hooks: { event: string; facts: Record<string, string> }[] = [];
  let failures = 1;
  const hook = createServer((request, response) => {
    let text = "";
    request.on("data", (data: Buffer) => (text += data.toString("utf8")));
    request.on("end", () => {
      if (failures-- > 0) {
        response.writeHead(503).end();
        return;
      }
      hooks.push(JSON.parse(text) as (typeof hooks)[number]);
      response.end();
    });
  });
  const inTeamA = (...args: string[]) =>
    sluice(...args, "-n", "team-a", "--kubeconfig", cluster.apiServer.adminKubeconfigPath);
  const statusOf = async (name: string) =>
    JSON.parse(await cluster.kubectl("get", "budget", name, "-n", "team-a", "-o", "jsonpath={.status}")) as Record<
      string,
      unknown
    > & {
      crossings?: { percent: number; told: string[] }[];
    };
  const call = async () => {
    const answer = await fetch(`${cluster.proxies[0]?.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
    });
    assert.equal(answer.status, 200, await answer.text());
  };

  before(async () => {
    upstream = await startUpstream();
    await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
    cluster = await startCluster({ proxies: 1, namespaces: ["team-a"], set: ["operator.resyncMs=1000"] });
    operator = await cluster.startOperator();
    await cluster.apply(objects(upstream.url, `http://127.0.0.1:${(hook.address() as AddressInfo).port}`));
    const created = await inTeamA("keys", "create", "--user", "alice", "--show");
    assert.equal(created.code, 0, created.stderr);
    clear = created.stdout.trim().split("\n").at(-1) ?? "";
    for (const name of ["small", "each"])
      await untilCondition(cluster, "team-a", `budget/${name}`, { type: "Programmed", status: "True" });
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.close();
    hook.close();
  });

  it("shows what was spent and what is left, and tells by Event and alert what was crossed, once, though the first try fails", async () => {
    await call();
    await until(
      "the threshold is crossed",
      async () => assert.equal((await statusOf("small")).crossings?.[0]?.percent, 80),
      90_000,
      100,
    );
    // Events are a courtesy, written once, behind the status.
    const eventsOf = () =>
      cluster.kubectl(
        "get",
        "events",
        "-n",
        "team-a",
        "-o",
        "jsonpath={range .items[*]}{.reason} {.note}{.message}{'\\n'}{end}",
      );
    await until(
      "an Event tells of it",
      async () => assert.match(await eventsOf(), /BudgetThreshold .*80 % of the limit reached: USD 0\.0000975 spent/),
      90_000,
      100,
    );
    // In the middle of its retries.
    await operator.end("SIGKILL");
    operator = await cluster.startOperator();
    await until(
      "the alert is on record as told",
      async () => assert.deepEqual((await statusOf("small")).crossings?.[0]?.told, ["webhook-1"]),
      90_000,
      100,
    );
    const status = await statusOf("small");
    assert.deepEqual([status["spent"], status["remaining"]], ["0.0000975", "0.0000025"]);
    assert.deepEqual(
      hooks.map(({ event, facts }) => [event, facts["percent"], facts["spent"]]),
      [["Threshold", "80", "0.0000975"]],
    );
    assert.equal((await eventsOf()).match(/BudgetThreshold/g)?.length, 1);
    assert.match(
      await cluster.kubectl("get", "budgets", "-n", "team-a"),
      /small +0\.0001 +Total +Soft +0\.0000975 +0\.0000025/,
    );
  });

  it("remembers what was spent when every counter is lost", async () => {
    await until(
      "the proxy knows what was spent",
      async () => {
        const config = await cluster.kubectl(
          "get",
          "configmap",
          "sluice-config",
          "-n",
          "sluice-system",
          "-o",
          "jsonpath={.data.seeds\\.json}",
        );
        assert.match(config, /"spentNanoUsd":97500/);
      },
      90_000,
      100,
    );
    await until(
      "it has it",
      async () => assert.equal((await (cluster.proxies[0] as Cluster["proxies"][number]).status()).rejected, null),
      90_000,
      100,
    );
    await untilCondition(cluster, "team-a", "budget/small", { type: "Programmed", status: "True" });
    await cluster.proxies[0]?.restart();
    await call();
    await until(
      "both calls count",
      async () => assert.equal((await statusOf("small"))["spent"], "0.000195"),
      90_000,
      100,
    );
    assert.equal(
      (await untilCondition(cluster, "team-a", "budget/small", { type: "Exceeded", status: "True" })).reason,
      "AmountReached",
    );
  });

  it("has a figure for each user where it says so", async () => {
    await until(
      "a call is seen",
      async () => assert.deepEqual((await statusOf("each"))["groups"], [{ subject: "alice", spent: "0.0000975" }]),
      90_000,
      100,
    );
    assert.equal((await statusOf("each"))["groupCount"], 1);
  });

  it("tries its channels when asked to", async () => {
    const done = await inTeamA("alerts", "test", "small");
    assert.equal(done.code, 0, done.stderr + done.stdout);
    assert.match(done.stdout, /^webhook-1 +sent\n$/);
    assert.equal(hooks.at(-1)?.event, "Test");
    await cluster.kubectl("delete", "secret", "alerts", "-n", "team-a");
    await untilCondition(cluster, "team-a", "budget/small", { type: "ResolvedRefs", status: "False" });
    const broken = await inTeamA("alerts", "test", "small");
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /no channel is usable/);
    assert.match((await inTeamA("alerts", "test", "each")).stderr, /has no spec\.alerts/);
    assert.match((await inTeamA("alerts", "test", "none")).stderr, /has no Budget none/);
  });

  it("tells nobody what its Secrets hold", async () => {
    assert.doesNotMatch(cluster.logs(), /hook-secret-token/);
    for (const kind of ["budgets", "events", "configmaps"])
      assert.doesNotMatch(await cluster.kubectl("get", kind, "-A", "-o", "yaml"), /hook-secret-token/);
  });
});
