import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import {
  type Cluster,
  conditionsOf,
  type OperatorProcess,
  skipWithoutCluster,
  startCluster,
  systemNamespace,
  untilCondition,
} from "../harness/cluster.ts";
import { providerWithKey, secretOf } from "../harness/cluster-objects.ts";
import { type OpenAiUpstream, startOpenAiUpstream } from "../harness/openai-upstream.ts";
import { sluice } from "../harness/sluice.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithoutCluster();

const canary = (name: string): string => `planted-${name}-${randomBytes(12).toString("hex")}`;
const decode = (base64: string): string => Buffer.from(base64, "base64").toString("utf8");

const provider = (name: string, endpoint: string, secret: string): string =>
  providerWithKey(name, endpoint, secret, "[{ name: small }, { name: large }]");
const policy = (name: string, model: string, providerName: string, more = "") => `
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: ${name}, namespace: team-a }
spec:
  match: { models: [${model}] }
  routing: { targets: [{ provider: { name: ${providerName} } }] }
${more}`;
const key = (name: string) => `
apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: ${name}, namespace: team-a }
spec: { user: ${name}@example.com, team: a, writeTo: { name: ${name}-key } }
`;
/** A namespace that refuses Secrets, as one with a full quota does, without the controller that quotas need. */
const noSecretsIn = (namespace: string) => `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: no-secrets }
spec:
  matchConstraints:
    resourceRules: [{ apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets] }]
  validations: [{ expression: "false", message: no Secrets here }]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: no-secrets }
spec:
  policyName: no-secrets
  validationActions: [Deny]
  matchResources: { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ${namespace} } } }
`;

describe("from kubectl apply to an answered call", { skip }, () => {
  let cluster: Cluster;
  let upstream: OpenAiUpstream;
  let operator: OperatorProcess;
  let alice = "";
  const planted = { first: canary("credential"), second: canary("rotated") };

  before(async () => {
    upstream = await startOpenAiUpstream();
    cluster = await startCluster({
      set: [
        "operator.lease.durationMs=3000",
        "operator.lease.renewDeadlineMs=2000",
        "operator.lease.retryMs=500",
        "operator.resyncMs=3000",
      ],
    });
    await cluster.namespace("team-a");
    operator = await cluster.startOperator();
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.stop();
  });

  const client = (at = 0, apiKey = alice) =>
    new OpenAI({ apiKey, baseURL: `${cluster.proxies[at]?.url}/v1`, maxRetries: 0 });
  const ask = async (at = 0, model = "small") => {
    const answer = await client(at).chat.completions.create({ model, messages: [{ role: "user", content: "ping" }] });
    return answer.choices[0]?.message.content;
  };
  const onAllProxies = async (check: (at: number) => Promise<void>) => {
    for (const at of cluster.proxies.keys()) await check(at);
  };

  it("proxies get ready on an empty config, so an installation without objects is healthy", async () => {
    await until("both proxies are ready", async () => {
      for (const proxy of cluster.proxies) assert.equal((await proxy.status()).ready, true);
    });
  });

  it("a provider, a policy and a key become Programmed, and the key is in the Secret that was asked for", async () => {
    await cluster.apply(
      [
        secretOf("upstream", planted.first),
        provider("main", upstream.baseUrl, "upstream"),
        policy("chat", "small", "main"),
        key("alice"),
      ].join("---"),
    );
    for (const object of ["llmprovider/main", "routingpolicy/chat", "apikey/alice"]) {
      const { message } = await untilCondition(cluster, "team-a", object, {
        type: "Programmed",
        status: "True",
        reason: "Live",
      });
      assert.match(message, /^2\/2 proxies at [0-9a-f]{12}$/);
    }
    const made = JSON.parse(await cluster.kubectl("get", "secret", "alice-key", "-n", "team-a", "-o", "json"));
    alice = decode(made.data.apiKey);
    assert.match(alice, /^slc_[0-9A-Za-z]{49}$/);
    assert.equal(decode(made.data.baseURL), "http://sluice.sluice-system.svc/v1");
    assert.equal(made.metadata.ownerReferences[0].kind, "ApiKey");
  });

  it("the official SDK gets an answer from each proxy, streamed and not", async () => {
    await onAllProxies(async (at) => {
      assert.equal(await ask(at), "echo: ping");
      const stream = await client(at).chat.completions.create({
        model: "small",
        messages: [{ role: "user", content: "one two" }],
        stream: true,
      });
      let text = "";
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
      assert.equal(text, "echo: one two");
    });
    assert.deepEqual([...new Set(upstream.seen)], [planted.first]);
  });

  it("the provider says how many proxies reach it", async () => {
    const { message } = await untilCondition(cluster, "team-a", "llmprovider/main", {
      type: "Healthy",
      status: "True",
      reason: "Reachable",
    });
    assert.equal(message, "2/2 proxies reach it");
  });

  it("explain reads the cluster and says where a request would go, with and without a right to Secrets", async () => {
    const explain = (kubeconfig: string, ...more: string[]) =>
      sluice("explain", "--kubeconfig", kubeconfig, "--key", "team-a/alice", "--model", "small", ...more);
    const { code, stdout, stderr } = await explain(cluster.apiServer.adminKubeconfigPath);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /route {5}team-a\/chat\ntargets\n {2}1\. {2}main \(team-a\/main small\): Priority: 1/);
    await cluster.kubectl("create", "serviceaccount", "reader", "-n", "team-a");
    await cluster.kubectl(
      "create",
      "clusterrole",
      "reader",
      "--verb=get,list,watch",
      "--resource=llmproviders,routingpolicies,budgets,apikeys,namespaces",
    );
    await cluster.kubectl(
      "create",
      "clusterrolebinding",
      "reader",
      "--clusterrole=reader",
      "--serviceaccount=team-a:reader",
    );
    const limited = await explain(await cluster.apiServer.kubeconfigFor("team-a", "reader"), "-o", "json");
    assert.equal(limited.code, 0, limited.stderr);
    const { route, notes } = JSON.parse(limited.stdout) as { route: string; notes: string[] };
    assert.equal(route, "team-a/chat");
    assert.match(notes.join("\n"), /Secrets? that can't be read/);
  });

  it("a call without a known key is refused", async () => {
    await assert.rejects(
      client(0, "slc_wrong").models.list(),
      (error: unknown) => error instanceof OpenAI.AuthenticationError,
    );
  });

  it("kubectl get shows a table that is worth reading", async () => {
    const providers = await cluster.kubectl("get", "llmproviders", "-n", "team-a");
    assert.match(
      providers,
      /^NAME\s+TYPE\s+MODELS\s+ACCEPTED\s+PROGRAMMED\s+HEALTHY\s+AGE\nmain\s+OpenAICompatible\s+2\s+True\s+True\s+True\s+/,
    );
    const keys = await cluster.kubectl("get", "ak", "-n", "team-a");
    assert.match(keys, new RegExp(`alice\\s+alice@example.com\\s+a\\s+developer\\s+${alice.slice(0, 8)}`));
    assert.match(
      await cluster.kubectl("get", "sluice", "-n", "team-a", "-o", "wide"),
      /routingpolicy.sluice.dev\/chat/,
    );
  });

  it("a provider whose Secret is missing says so, and harms nobody", async () => {
    await cluster.apply(provider("dangling", upstream.baseUrl, "nowhere"));
    const condition = await untilCondition(cluster, "team-a", "llmprovider/dangling", {
      type: "ResolvedRefs",
      status: "False",
      reason: "SecretNotFound",
    });
    assert.match(condition.message, /nowhere/);
    const { Programmed } = await conditionsOf(cluster, "team-a", "llmprovider/dangling");
    assert.equal(Programmed?.status, "False");
    assert.equal(await ask(), "echo: ping");
  });

  it("a policy that names an unknown provider says so", async () => {
    await cluster.apply(policy("lost", "lost-model", "no-such-provider"));
    const condition = await untilCondition(cluster, "team-a", "routingpolicy/lost", {
      type: "ResolvedRefs",
      status: "False",
      reason: "ProviderNotFound",
    });
    assert.match(condition.message, /no-such-provider/);
    await untilCondition(cluster, "team-a", "routingpolicy/lost", { type: "Programmed", status: "False" });
  });

  it("of two policies that claim one model the younger loses, and hears who won", async () => {
    await cluster.apply(policy("late", "small", "main"));
    const condition = await untilCondition(cluster, "team-a", "routingpolicy/late", {
      type: "Accepted",
      status: "False",
      reason: "Conflicted",
    });
    assert.match(condition.message, /team-a\/chat/);
    await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Accepted", status: "True" });
    const events = await until("an Event tells of it", async () => {
      const text = await cluster.kubectl("get", "events.events.k8s.io", "-n", "team-a");
      assert.match(text, /Conflicted/);
      return text;
    });
    assert.match(events, /SecretNotFound/);
    await cluster.kubectl("delete", "routingpolicy", "late", "lost", "-n", "team-a");
  });

  it("the API server refuses an unknown field and a URL that isn't one", async () => {
    const unknown = await cluster.tryApply(policy("typo", "m", "main", "  limts: []\n"));
    assert.match(unknown.stderr, /unknown field "spec.limts"/);
    const url = await cluster.tryApply(provider("bad-url", "ftp://example.com", "upstream"));
    assert.match(url.stderr, /spec\.endpoint: .*must be an http or https URL/);
  });

  it("an object that was good and is broken now keeps its last good form", async () => {
    await cluster.kubectl(
      "patch",
      "llmprovider",
      "main",
      "-n",
      "team-a",
      "--type=merge",
      "-p",
      '{"spec":{"credentials":{"secretRef":{"name":"gone"}}}}',
    );
    await untilCondition(cluster, "team-a", "llmprovider/main", {
      type: "Programmed",
      status: "False",
      reason: "LastGood",
    });
    await onAllProxies(async (at) => assert.equal(await ask(at), "echo: ping"));
    await cluster.kubectl(
      "patch",
      "llmprovider",
      "main",
      "-n",
      "team-a",
      "--type=merge",
      "-p",
      '{"spec":{"credentials":{"secretRef":{"name":"upstream"}}}}',
    );
    await untilCondition(cluster, "team-a", "llmprovider/main", { type: "Programmed", status: "True" });
  });

  it("a rotated Secret takes effect without a restart, and the old value is removed", async () => {
    const pids = cluster.proxies.map(({ child }) => child.pid);
    await cluster.apply(secretOf("upstream", planted.second));
    await onAllProxies((at) =>
      until(`proxy ${at} uses the new credential`, async () => {
        await ask(at);
        assert.equal(upstream.seen.at(-1), planted.second);
      }),
    );
    await until("the old credential is gone", async () => {
      const stored = JSON.parse(
        await cluster.kubectl("get", "secret", "sluice-credentials", "-n", systemNamespace, "-o", "json"),
      );
      const values = Object.values(stored.data as Record<string, string>).map(decode);
      assert.equal(values.includes(planted.second), true);
      assert.equal(values.includes(planted.first), false);
    });
    assert.deepEqual(
      cluster.proxies.map(({ child }) => child.pid),
      pids,
    );
  });

  it("a hand-edit of what is published is put right", async () => {
    const read = async () =>
      JSON.parse(await cluster.kubectl("get", "configmap", "sluice-config", "-n", systemNamespace, "-o", "json"))
        .data as Record<string, string>;
    const wanted = await read();
    await cluster.kubectl(
      "patch",
      "configmap",
      "sluice-config",
      "-n",
      systemNamespace,
      "--type=merge",
      "-p",
      '{"data":{"config.json":"{}"}}',
    );
    await until("it is as before", async () => assert.deepEqual(await read(), wanted));
    await cluster.kubectl("delete", "secret", "sluice-credentials", "-n", systemNamespace);
    await until("the Secret is back", async () => {
      const stored = JSON.parse(
        await cluster.kubectl("get", "secret", "sluice-credentials", "-n", systemNamespace, "-o", "json"),
      );
      assert.equal(
        Object.values(stored.data as Record<string, string>)
          .map(decode)
          .includes(planted.second),
        true,
      );
    });
    await untilCondition(cluster, "team-a", "llmprovider/main", { type: "Programmed", status: "True" });
    await onAllProxies(async (at) => assert.equal(await ask(at), "echo: ping"));
  });

  it("a key whose Secret is there is used as it is, and a revoked one is refused", async () => {
    const own = `slc_${"a".repeat(40)}`;
    await cluster.apply([secretOf("bob-key", own), key("bob")].join("---"));
    await untilCondition(cluster, "team-a", "apikey/bob", { type: "Programmed", status: "True" });
    assert.equal(
      decode(await cluster.kubectl("get", "secret", "bob-key", "-n", "team-a", "-o", "jsonpath={.data.apiKey}")),
      own,
    );
    assert.equal((await client(0, own).models.list()).data.length > 0, true);
    await cluster.kubectl("patch", "apikey", "bob", "-n", "team-a", "--type=merge", "-p", '{"spec":{"revoked":true}}');
    await onAllProxies((at) =>
      until(`proxy ${at} refuses it`, () => assert.rejects(client(at, own).models.list(), OpenAI.APIError)),
    );
  });

  it("keys of several ApiKeys live in one Secret without disturbing one another or what else is in it", async () => {
    await cluster.apply(
      'apiVersion: v1\nkind: Secret\nmetadata: { name: shared, namespace: team-a, labels: { sluice.dev/writable: "true" } }\nstringData: { baseURL: https://own.example }\n',
    );
    const names = ["one", "two", "three"];
    const read = async () => JSON.parse(await cluster.kubectl("get", "secret", "shared", "-n", "team-a", "-o", "json"));
    for (const name of names) {
      await cluster.apply(key(name).replace(`${name}-key`, `shared, key: ${name}`));
      await untilCondition(cluster, "team-a", `apikey/${name}`, { type: "Programmed", status: "True" });
    }
    const { data, metadata } = await read();
    assert.deepEqual(Object.keys(data).sort(), ["baseURL", "one", "three", "two"]);
    assert.equal(decode(data.baseURL), "https://own.example");
    assert.equal(metadata.ownerReferences, undefined, "a Secret that was there before its ApiKey doesn't go with it");
    for (const name of names)
      await until(`${name} calls`, async () =>
        assert.ok((await client(0, decode(data[name])).models.list()).data.length > 0),
      );
    assert.deepEqual((await read()).data, data);
  });

  it("a namespace in which no Secret may be made holds up nobody else", async () => {
    await cluster.namespace("full");
    await cluster.apply(noSecretsIn("full"));
    // Policies take effect a moment after they are there.
    await until("Secrets are refused", async () =>
      assert.match(
        (await cluster.tryKubectl("create", "secret", "generic", "probe", "-n", "full", "--dry-run=server")).stderr,
        /no Secrets here/,
      ),
    );
    await cluster.apply(key("carol").replace("team-a", "full"));
    await untilCondition(cluster, "full", "apikey/carol", {
      type: "ResolvedRefs",
      status: "False",
      reason: "SecretNotFound",
    });
    await cluster.apply(key("dave"));
    await untilCondition(cluster, "team-a", "apikey/dave", { type: "Programmed", status: "True" });
  });

  it("another operator takes over when the leader is killed", async () => {
    const second = await cluster.startOperator();
    await until("the second stands by", async () =>
      assert.equal((await fetch(`${second.statusUrl}/readyz`)).status, 200),
    );
    const leads = async (one: OperatorProcess) =>
      /^sluice_operator_leader 1$/m.test(await (await fetch(`${one.statusUrl}/metrics`)).text());
    assert.deepEqual([await leads(operator), await leads(second)], [true, false]);
    await operator.end("SIGKILL");
    await until("the second leads", async () => assert.equal(await leads(second), true));
    operator = second;
    await cluster.apply(policy("after-takeover", "large", "main"));
    await untilCondition(cluster, "team-a", "routingpolicy/after-takeover", { type: "Programmed", status: "True" });
  });

  it("without an operator proxies serve on, and what changed meanwhile is live after it is back", async () => {
    await operator.end("SIGKILL");
    await cluster.kubectl("delete", "routingpolicy", "after-takeover", "-n", "team-a");
    await onAllProxies(async (at) => assert.equal(await ask(at, "large"), "echo: ping"));
    await cluster.proxies[1]?.restart();
    await until("a restarted proxy serves what is mounted", async () =>
      assert.equal(await ask(1, "large"), "echo: ping"),
    );
    operator = await cluster.startOperator();
    await onAllProxies((at) =>
      until(`proxy ${at} no longer serves the model`, () => assert.rejects(ask(at, "large"), OpenAI.NotFoundError)),
    );
  });

  it("without an API server proxies serve on, and everything catches up when it is back", async () => {
    await cluster.apiServer.stopApiServer();
    await onAllProxies(async (at) => assert.equal(await ask(at), "echo: ping"));
    await cluster.proxies[0]?.restart();
    await until("a proxy that was restarted meanwhile serves what is mounted", async () =>
      assert.equal(await ask(0), "echo: ping"),
    );
    await cluster.apiServer.startApiServerAgain();
    await cluster.apply(policy("after-outage", "large", "main"));
    await untilCondition(
      cluster,
      "team-a",
      "routingpolicy/after-outage",
      { type: "Programmed", status: "True" },
      90_000,
    );
    await onAllProxies(async (at) => assert.equal(await ask(at, "large"), "echo: ping"));
  });

  it("an operator that stops releases its lease", async () => {
    await operator.end("SIGTERM");
    const holder = await cluster.kubectl(
      "get",
      "lease",
      "sluice-operator",
      "-n",
      systemNamespace,
      "-o",
      "jsonpath={.spec.holderIdentity}",
    );
    assert.equal(holder, "");
    operator = await cluster.startOperator();
  });

  it("no planted secret is in any log, metric, ConfigMap, status or Event of the whole run", async () => {
    const metrics = await until("the operator answers", async () =>
      (await fetch(`${operator.statusUrl}/metrics`)).text(),
    );
    const sources: Record<string, string> = {
      logs: cluster.logs(),
      metrics:
        metrics +
        (
          await Promise.all(cluster.proxies.map(async ({ statusUrl }) => (await fetch(`${statusUrl}/metrics`)).text()))
        ).join(""),
      objects: await cluster.kubectl("get", "configmaps,sluice,pods,leases,events.events.k8s.io", "-A", "-o", "yaml"),
    };
    for (const [where, text] of Object.entries(sources)) {
      assert.equal(text.length > 100, true, `${where} is empty`);
      for (const value of [planted.first, planted.second, alice]) {
        for (const form of [value, Buffer.from(value).toString("base64"), value.slice(0, 24)])
          assert.equal(text.includes(form), false, `a secret is in ${where}`);
      }
    }
  });
});
