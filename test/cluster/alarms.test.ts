/** Alerts of providers and policies in a cluster: from a provider that fails to the channels notified, and that it is over. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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
import { sluice } from "../harness/sluice.ts";
import { until } from "../harness/until.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const skip = await skipWithoutCluster();

const clear = "slc_alice_key_for_tests_0001";
const signingKey = "signing-key-0001-of-the-hook";
const webhookOf = (secret: string): string =>
  `{ webhook: { secretRef: { name: ${secret}, key: url }, signingKeyRef: { name: ${secret}, key: signingKey } } }`;
const webhook = webhookOf("alerts");
const provider = (name: string, url: string, more = ""): string =>
  compatibleProvider(name, url, `  circuitBreaker: { failureThreshold: 3, successThreshold: 1, openFor: 1s }\n${more}`);
/** What goes while an alert of it is on: its Secret with it. */
const passing = (url: string, hook: string): string => `
apiVersion: v1
kind: Secret
metadata: { name: passing, namespace: team-a, labels: { sluice.dev/readable: "true" } }
stringData: { url: "${hook}/hook-secret-token", signingKey: "${signingKey}" }
---${provider("passing", url, `  alertWhen: { window: 1m }\n  alerts: [${webhookOf("passing")}]`)}
---
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: passing, namespace: team-a }
spec:
  match: { models: [passing] }
  routing: { targets: [{ provider: { name: passing }, model: gpt-4o }] }
`;
const objects = (first: string, second: string, hook: string): string => `
apiVersion: v1
kind: Secret
metadata: { name: alerts, namespace: team-a, labels: { sluice.dev/readable: "true" } }
stringData: { url: "${hook}/hook-secret-token", signingKey: "${signingKey}" }
---${alice(clear)}
---${provider("first", first, `  alertWhen: { window: 1m }\n  alerts: [${webhook}]`)}
---${provider("second", second)}
---
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: chat, namespace: team-a }
spec:
  match: { models: [gpt-4o] }
  routing: { targets: [{ provider: { name: first } }, { provider: { name: second } }] }
  alertWhen: { failover: ">0%", minimumRequests: 1, window: 1m }
  alerts: [${webhook}]
`;

describe("alerts of providers and policies in a cluster", { skip }, () => {
  let cluster: Cluster;
  let operator: OperatorProcess;
  let first: Upstream;
  let second: Upstream;
  const hooks: string[] = [];
  /** What a hook waits for before it answers. */
  let held: Promise<unknown> = Promise.resolve();
  const hook = createServer((request, response) => {
    let text = "";
    request.on("data", (data: Buffer) => (text += data.toString("utf8")));
    request.on("end", () => {
      const { object, event, state } = JSON.parse(text) as Record<string, string>;
      const { "x-sluice-timestamp": timestamp, "x-sluice-signature": signature } = request.headers;
      const genuine =
        signature === `sha256=${createHmac("sha256", signingKey).update(`${timestamp}.${text}`).digest("hex")}`;
      hooks.push(`${object} ${event} ${state}${genuine ? "" : ", not signed"}`);
      void held.then(() =>
        response.writeHead(object?.startsWith("RoutingPolicy/") && state === "Over" ? 410 : 200).end(),
      );
    });
  });
  const ask = (model: string): Promise<Response> =>
    fetch(`${cluster.proxies[0]?.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
    });
  const call = async (): Promise<string | null> => {
    const answer = await ask("gpt-4o");
    assert.equal(answer.status, 200, await answer.text());
    return answer.headers.get("x-provider-used");
  };
  const alertsOf = async (what: string) =>
    JSON.parse((await cluster.kubectl("get", what, "-n", "team-a", "-o", "jsonpath={.status.alerts}")) || "[]") as {
      event: string;
      state: string;
      told: string[];
      toldOver: string[];
    }[];
  const settled = (what: string, state: string) =>
    until(
      `${what} is reported as ${state}`,
      async () => {
        const [one] = await alertsOf(what);
        assert.deepEqual([one?.state, state === "Active" ? one?.told : one?.toldOver], [state, ["webhook-1"]]);
      },
      200_000,
      500,
    );

  before(async () => {
    first = await startUpstream((_request, response) => json(response, 500, { error: { message: "no" } }));
    second = await startUpstream();
    await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
    cluster = await startCluster({ proxies: 1, namespaces: ["team-a"], set: ["operator.resyncMs=1000"] });
    operator = await cluster.startOperator();
    await cluster.apply(objects(first.url, second.url, `http://127.0.0.1:${(hook.address() as AddressInfo).port}`));
    await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Programmed", status: "True" });
    await untilCondition(cluster, "team-a", "apikey/alice", { type: "Programmed", status: "True" });
    await untilCondition(cluster, "team-a", "llmprovider/first", { type: "AlertsReady", status: "True" });
  });
  after(async () => {
    await cluster?.stop();
    await first?.close();
    await second?.close();
    hook.close();
  });

  it("tell of a breaker and of failover, once, over a restart of the operator", async () => {
    for (let count = 0; count < 4; count++) assert.equal(await call(), "second");
    await settled("llmprovider/first", "Active");
    await settled("routingpolicy/chat", "Active");
    await operator.end("SIGKILL");
    operator = await cluster.startOperator();
    assert.equal(await call(), "second");
    assert.match(await cluster.kubectl("get", "llmproviders", "-n", "team-a", "-o", "wide"), /first .*BreakerOpen/);
  });

  it("can be tried out", async () => {
    const inTeamA = (...args: string[]) =>
      sluice(...args, "-n", "team-a", "--kubeconfig", cluster.apiServer.adminKubeconfigPath);
    const done = await inTeamA("alerts", "test", "llmprovider/first");
    assert.equal(done.code, 0, done.stderr + done.stdout);
    assert.match(done.stdout, /^webhook-1 +sent\n$/);
    assert.match(
      (await inTeamA("alerts", "test", "llmprovider/second")).stderr,
      /LLMProvider team-a\/second has no spec\.alerts/,
    );
    assert.match(
      (await inTeamA("alerts", "test", "apikey/alice")).stderr,
      /llmprovider\/NAME or routingpolicy\/NAME, not apikey\/alice/,
    );
  });

  it("are reported once though the operator is stopped while one is on its way, and over when the provider is deleted with its Secret", async () => {
    const answer = Promise.withResolvers<void>();
    held = answer.promise;
    const file = passing(first.url, `http://127.0.0.1:${(hook.address() as AddressInfo).port}`);
    await cluster.apply(file);
    await untilCondition(cluster, "team-a", "routingpolicy/passing", { type: "Programmed", status: "True" });
    await untilCondition(cluster, "team-a", "llmprovider/passing", { type: "AlertsReady", status: "True" });
    for (let count = 0; count < 4; count++) assert.notEqual((await ask("passing")).status, 200);
    await until(
      "the hook is called",
      () => assert.ok(hooks.includes("LLMProvider/team-a/passing BreakerOpen Active")),
      90_000,
      100,
    );
    const ended = operator.end("SIGTERM");
    answer.resolve();
    await ended;
    const [one] = await alertsOf("llmprovider/passing");
    assert.deepEqual([one?.state, one?.told], ["Active", ["webhook-1"]], "the last thing that it wrote");
    operator = await cluster.startOperator();
    // It knows where the channel leads once it has had a look.
    await until(
      "the operator leads",
      async () =>
        assert.match(
          await (await fetch(`${operator.statusUrl}/metrics`)).text(),
          /sluice_operator_reconciles_total\{result="ok"\} [1-9]/,
        ),
      90_000,
      100,
    );
    for (const what of ["secret", "llmprovider", "routingpolicy"])
      await cluster.kubectl("delete", what, "passing", "-n", "team-a");
    await until(
      "who was notified of the start is notified of the end",
      () => assert.ok(hooks.includes("LLMProvider/team-a/passing BreakerOpen Over")),
      90_000,
      100,
    );
  });

  it("report the end, and notify nobody twice", async () => {
    first.answer(openai);
    await until("the provider is back", async () => assert.equal(await call(), "first"));
    await settled("llmprovider/first", "Over");
    await settled("routingpolicy/chat", "Over");
    assert.deepEqual([...hooks].sort(), [
      "LLMProvider/team-a/first BreakerOpen Active",
      "LLMProvider/team-a/first BreakerOpen Over",
      "LLMProvider/team-a/first Test Active",
      "LLMProvider/team-a/passing BreakerOpen Active",
      "LLMProvider/team-a/passing BreakerOpen Over",
      "RoutingPolicy/team-a/chat Failover Active",
      "RoutingPolicy/team-a/chat Failover Over",
    ]);
    const events = await eventsIn(cluster, "team-a", ".type", ".reason", ".regarding.name");
    const provider = ["Warning BreakerOpened first", "Normal BreakerClosed first"];
    for (const line of [
      ...provider,
      "Warning FailoverBegan chat",
      "Normal FailoverEnded chat",
      "Warning AlertNotDelivered chat",
    ])
      assert.equal(events.filter((event) => event === line).length, 1, `${line} once in\n${events.join("\n")}`);
    assert.doesNotMatch(
      events.join("\n"),
      /(BreakerOpen|Unreachable|Reachable) first/,
      "the condition says nothing that the alert says",
    );
    for (const kind of ["llmproviders", "routingpolicies", "events", "configmaps"])
      assert.doesNotMatch(await cluster.kubectl("get", kind, "-A", "-o", "yaml"), /hook-secret-token|signing-key-0001/);
  });
});
