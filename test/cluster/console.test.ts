/** The console of a cluster: login on a real API server, and what RBAC lets each viewer see. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import type { ConfigView } from "../../operator/console/views/config.ts";
import type { Overview } from "../../operator/console/views/overview.ts";
import type { ExplainedCall } from "../../operator/console/views/requests.ts";
import {
  type Cluster,
  chart,
  skipWithoutCluster,
  startCluster,
  systemNamespace,
  untilCondition,
} from "../harness/cluster.ts";
import { run } from "../harness/command.ts";
import { freePort } from "../harness/free-port.ts";
import { ensureTool } from "../harness/tools.ts";
import { until } from "../harness/until.ts";
import { openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const skip = await skipWithoutCluster();

const team = (namespace: string, url: string): string => `
apiVersion: v1
kind: Secret
metadata: { name: credentials, namespace: ${namespace}, labels: { sluice.dev/readable: "true" } }
stringData: { apiKey: upstream-key-of-${namespace} }
---
apiVersion: sluice.dev/v1alpha1
kind: LLMProvider
metadata: { name: provider-of-${namespace}, namespace: ${namespace} }
spec:
  type: OpenAICompatible
  endpoint: ${url}/v1
  allowPrivateEndpoint: true
  credentials: { secretRef: { name: credentials } }
  models: [{ name: model-of-${namespace}, price: { inputPerMillion: "1", outputPerMillion: "1" } }]
---
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: policy-of-${namespace}, namespace: ${namespace} }
spec: { match: { models: [model-of-${namespace}] }, routing: { targets: [{ provider: { name: provider-of-${namespace} } }] } }
---
apiVersion: sluice.dev/v1alpha1
kind: Budget
metadata: { name: budget-of-${namespace}, namespace: ${namespace} }
spec: { amount: "10", period: Monthly, per: User }
---
apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: key-of-${namespace}, namespace: ${namespace} }
spec: { user: user-of-${namespace}, writeTo: { name: llm-key } }
`;

const binding = (account: string, kind: "RoleBinding" | "ClusterRoleBinding", role: string, namespace = ""): string => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${account}, namespace: viewers }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ${kind}
metadata: { name: ${account}${namespace === "" ? "" : `, namespace: ${namespace}`} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${role} }
subjects: [{ kind: ServiceAccount, name: ${account}, namespace: viewers }]
`;

const onlyPolicies = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: only-policies }
rules: [{ apiGroups: [sluice.dev], resources: [routingpolicies], verbs: [list] }]
`;

const names = [
  "overview",
  "providers",
  "routes",
  "keys",
  "budgets",
  "cost",
  "requests",
  "compliance",
  "config",
  "cost.csv",
];

describe("the console of a cluster", { skip }, () => {
  let cluster: Cluster;
  let upstream: Upstream;
  let url = "";
  before(async () => {
    upstream = await startUpstream();
    upstream.answer(openai);
    const namespaces = ["team-a", "team-b", "viewers"];
    const set = ["console.enabled=true"];
    cluster = await startCluster({ proxies: 1, namespaces, set });
    const port = await freePort();
    await cluster.startOperator((text) => {
      assert.match(text, /console:\n\s+port: 8082\n/);
      return text.replace("8082", String(port));
    });
    url = `http://127.0.0.1:${port}/console/`;
    await cluster.apply(
      [
        ...["team-a", "team-b"].map((name) => team(name, upstream.url)),
        onlyPolicies,
        binding("reader-a", "RoleBinding", "view", "team-a"),
        binding("policy-reader-a", "RoleBinding", "only-policies", "team-a"),
        binding("everything", "ClusterRoleBinding", "sluice-system:sluice-view"),
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: nobody, namespace: viewers }\n",
      ].join("\n---\n"),
    );
    // No controller aggregates roles here.
    await cluster.apply(
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: { name: view }\nrules: [{ apiGroups: [sluice.dev], resources: [llmproviders, routingpolicies, budgets, apikeys], verbs: [get, list, watch] }]\n",
    );
    for (const name of ["team-a", "team-b"])
      for (const object of ["llmprovider/provider-of", "routingpolicy/policy-of", "budget/budget-of", "apikey/key-of"])
        await untilCondition(cluster, name, `${object}-${name}`, { type: "Programmed", status: "True" });
    await Promise.all(["team-a", "team-b"].map(call));
    await call("");
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.close();
  });

  async function call(namespace: string): Promise<void> {
    const key =
      namespace === ""
        ? "wrong"
        : Buffer.from(
            await cluster.kubectl("get", "secret", "llm-key", "-n", namespace, "-o", "jsonpath={.data.apiKey}"),
            "base64",
          ).toString();
    const response = await fetch(`${cluster.proxies[0]?.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: `model-of-${namespace}`, messages: [{ role: "user", content: "Hello" }] }),
    });
    assert.equal(response.status, namespace === "" ? 401 : 200, await response.text());
  }

  const tokenOf = async (account: string): Promise<string> =>
    (await cluster.kubectl("create", "token", account, "-n", "viewers")).trim();

  const logIn = (token: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${url}api/login`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ token }),
    });

  /** What a viewer is shown on each page. */
  async function seenBy(account: string): Promise<Record<string, string>> {
    const response = await logIn(await tokenOf(account));
    assert.equal(response.status, 200, await response.clone().text());
    const cookie = response.headers.get("set-cookie")?.split(";")[0] ?? "";
    const texts = await Promise.all(
      names.map(async (name) => {
        const page = await fetch(`${url}api/${name}`, { headers: { cookie } });
        assert.equal(page.status, 200, name);
        return [name, await page.text()] as const;
      }),
    );
    return Object.fromEntries(texts);
  }

  it("shows the page to everyone, and nothing else without a login", async () => {
    assert.equal((await fetch(url)).status, 200);
    for (const name of ["session", ...names]) {
      assert.equal((await fetch(`${url}api/${name}`)).status, 401, name);
      const cookie = "sluice-console=not.a.token";
      assert.equal((await fetch(`${url}api/${name}`, { headers: { cookie } })).status, 401, name);
    }
  });

  it("refuses a token that the API server does not accept, and a login from another site", async () => {
    for (const token of ["", "wrong", "a b", "x".repeat(10_000), (await tokenOf("everything")).slice(0, -5)]) {
      const response = await logIn(token);
      assert.ok(response.status === 401 || response.status === 400, `${response.status}`);
      assert.equal(response.headers.get("set-cookie"), null);
    }
    const crossed = await logIn(await tokenOf("everything"), { "sec-fetch-site": "cross-site" });
    assert.equal(crossed.status, 403);
  });

  it("keeps the token in a cookie that no script and no other site can use", async () => {
    const plain = (await logIn(await tokenOf("everything"))).headers.get("set-cookie") ?? "";
    assert.match(plain, /; Path=\/console; HttpOnly; SameSite=Strict; Max-Age=28800$/);
    const secure = await logIn(await tokenOf("everything"), { "x-forwarded-proto": "https" });
    assert.match(secure.headers.get("set-cookie") ?? "", /; Secure$/);
    const out = await fetch(`${url}api/logout`, { method: "POST" });
    assert.match(out.headers.get("set-cookie") ?? "", /^sluice-console=; .*Max-Age=0/);
  });

  it("shows everything to who may list everything", async () => {
    const seen = await seenBy("everything");
    for (const namespace of ["team-a", "team-b"]) {
      assert.match(seen["providers"] ?? "", new RegExp(`provider-of-${namespace}`));
      assert.match(seen["routes"] ?? "", new RegExp(`policy-of-${namespace}`));
      assert.match(seen["budgets"] ?? "", new RegExp(`budget-of-${namespace}`));
      assert.match(seen["keys"] ?? "", new RegExp(`user-of-${namespace}`));
      assert.match(seen["requests"] ?? "", new RegExp(`user-of-${namespace}`));
    }
    const { calls } = JSON.parse(seen["requests"] ?? "") as { calls: ExplainedCall[] };
    assert.ok(calls.some(({ code }) => code === "invalid_api_key"));
    const { proxies, objects } = JSON.parse(seen["config"] ?? "") as ConfigView;
    assert.deepEqual([proxies.length, proxies[0]?.current], [1, true]);
    assert.deepEqual([...new Set(objects.map(({ state }) => state))], ["served"]);
  });

  it("counts calls on the overview within seconds", async () => {
    await until("three calls are counted", async () => {
      const { hour } = JSON.parse((await seenBy("everything"))["overview"] ?? "") as Overview;
      assert.equal(hour.calls, 3);
    });
  });

  it("shows a viewer of one namespace nothing of another, nor what belongs to none", async () => {
    const seen = await seenBy("reader-a");
    const all = Object.values(seen).join("\n");
    assert.match(all, /provider-of-team-a/);
    assert.match(all, /user-of-team-a/);
    assert.doesNotMatch(all, /team-b/);
    assert.doesNotMatch(all, /invalid_api_key/);
  });

  it("shows only the kinds that a viewer may list", async () => {
    const seen = await seenBy("policy-reader-a");
    assert.match(seen["routes"] ?? "", /policy-of-team-a/);
    const all = Object.values(seen).join("\n");
    assert.doesNotMatch(all, /user-of|key-of|budget-of|team-b/);
    assert.equal((JSON.parse(seen["providers"] ?? "") as { providers: unknown[] }).providers.length, 0);
  });

  it("shows no object to somebody without rights", async () => {
    assert.doesNotMatch(Object.values(await seenBy("nobody")).join("\n"), /team-a|team-b/);
  });

  it("never shows a credential, a key or a token", async () => {
    const all = Object.values(await seenBy("everything")).join("\n");
    assert.doesNotMatch(all, /upstream-key|slc_|sst_|eyJ/);
  });

  it("adds two rights and a Service to the chart, and only if it is enabled", async () => {
    const render = async (enabled: boolean): Promise<string[]> => {
      const args = ["template", "sluice", chart, "--namespace", systemNamespace, "--set", `console.enabled=${enabled}`];
      const { code, stdout, stderr } = await run(await ensureTool("helm"), args);
      assert.equal(code, 0, stderr);
      const objects = parseAllDocuments(stdout).map((one) => one.toJS() as Record<string, never> | null);
      return objects.flatMap((one) => {
        const {
          kind = "",
          metadata,
          rules = [],
        } = (one ?? {}) as { kind?: string; metadata?: { name: string }; rules?: object[] };
        if (kind === "Service") return [`Service ${metadata?.name}`];
        return kind.endsWith("Role") ? rules.map((rule) => `${kind} ${metadata?.name} ${JSON.stringify(rule)}`) : [];
      });
    };
    const [without, withConsole] = [await render(false), await render(true)];
    assert.deepEqual(withConsole.filter((one) => !without.includes(one)).sort(), [
      `ClusterRole sluice-system:sluice-operator {"apiGroups":["authentication.k8s.io"],"resources":["tokenreviews"],"verbs":["create"]}`,
      `ClusterRole sluice-system:sluice-operator {"apiGroups":["authorization.k8s.io"],"resources":["subjectaccessreviews"],"verbs":["create"]}`,
      "Service sluice-console",
    ]);
  });
});
