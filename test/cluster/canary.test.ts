import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type Cluster,
  eventsIn,
  type OperatorProcess,
  skipWithoutCluster,
  startCluster,
  untilCondition,
} from "../harness/cluster.ts";
import { alice, compatibleProvider } from "../harness/cluster-objects.ts";
import { until } from "../harness/until.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const skip = await skipWithoutCluster();

const clear = "slc_alice_key_for_tests_0001";
const provider = (name: string, url: string): string =>
  compatibleProvider(name, url, "  circuitBreaker: { failureThreshold: 1000 }");
const policy = (percent: number): string => `
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: chat, namespace: team-a }
spec:
  match: { models: [gpt-4o] }
  routing:
    targets: [{ provider: { name: old } }, { provider: { name: new } }]
    canary:
      target: new
      percent: ${percent}
      for: 5s
      minimumRequests: 15
      succeedWhen: { errorRate: "<1%" }
      rollBackWhen: { errorRate: ">5%" }
`;

describe("a canary, from its start to the verdict", { skip }, () => {
  let cluster: Cluster;
  let operator: OperatorProcess;
  let old: Upstream;
  let tried: Upstream;

  before(async () => {
    old = await startUpstream();
    tried = await startUpstream((_request, response) => json(response, 500, { error: { message: "not yet" } }));
    cluster = await startCluster({
      set: [
        "operator.lease.durationMs=3000",
        "operator.lease.renewDeadlineMs=2000",
        "operator.lease.retryMs=500",
        "operator.resyncMs=1000",
      ],
    });
    await cluster.namespace("team-a");
    operator = await cluster.startOperator();
    await cluster.apply([provider("old", old.url), provider("new", tried.url), policy(50), alice(clear)].join("---"));
    await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Programmed", status: "True" });
    await untilCondition(cluster, "team-a", "apikey/alice", { type: "Programmed", status: "True" });
  });
  after(async () => {
    await cluster?.stop();
    await old?.close();
    await tried?.close();
  });

  const ask = async (): Promise<{ status: number; provider: string | null }> => {
    const proxy = cluster.proxies[Math.floor(Math.random() * cluster.proxies.length)];
    const reply = await fetch(`${proxy?.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
    });
    await reply.arrayBuffer();
    return { status: reply.status, provider: reply.headers.get("x-provider-used") };
  };
  const verdict = (reason: string): Promise<{ message: string }> =>
    until(
      `the canary's condition is ${reason}`,
      async () => {
        for (let call = 0; call < 10; call++) assert.equal((await ask()).status, 200, "no caller notices");
        const conditions = JSON.parse(
          await cluster.kubectl("get", "routingpolicy", "chat", "-n", "team-a", "-o", "jsonpath={.status.conditions}"),
        );
        const found = conditions.find((one: { type: string }) => one.type === "CanaryProgressing");
        assert.equal(found?.reason, reason, found?.message);
        return found;
      },
      90_000,
      200,
    );
  const served = async (): Promise<Set<string | null>> =>
    new Set((await Promise.all(Array.from({ length: 30 }, ask))).map((one) => one.provider));

  it("one that fails is rolled back, and no caller notices", async () => {
    const { message } = await verdict("RolledBack");
    assert.match(message, /^new gets no more traffic: error rate 100% is above 5%/);
    await until("no proxy tries it", async () => {
      const before = tried.requests.length;
      assert.deepEqual([...(await served())], ["old"]);
      assert.equal(tried.requests.length, before);
    });
  });

  it("a changed one starts over, survives the operator, and is promoted", async () => {
    tried.answer(openai);
    await cluster.apply(policy(40));
    await verdict("Progressing");
    await operator.end("SIGKILL");
    operator = await cluster.startOperator();
    const { message } = await verdict("Promoted");
    assert.match(message, /^new gets all traffic: \d+ requests, error rate 0%/);
    await until("all traffic goes there", async () => assert.deepEqual([...(await served())], ["new"]));
  });

  it("Events report it, and the spec is unchanged", async () => {
    const events = await eventsIn(cluster, "team-a", ".type", ".action", ".reason");
    for (const line of [
      "Normal CanaryProgressing Progressing",
      "Warning CanaryProgressing RolledBack",
      "Normal CanaryProgressing Promoted",
    ])
      assert.ok(events.includes(line), `${line} in\n${events.join("\n")}`);
    assert.equal(
      await cluster.kubectl(
        "get",
        "routingpolicy",
        "chat",
        "-n",
        "team-a",
        "-o",
        "jsonpath={.spec.routing.canary.percent}",
      ),
      "40",
    );
  });
});
