/** An operator that lacks a right says so, whichever right it is: nothing looks fine that can't change any more. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { KubeConfig, RbacAuthorizationV1Api, type V1PolicyRule } from "@kubernetes/client-node";
import { parse } from "yaml";
import { type AccessReviews, accessReviews } from "../../operator/cluster/access-reviews.ts";
import { connectCluster } from "../../operator/cluster/api.ts";
import { neededRights, type Right, rightTexts } from "../../operator/cluster/needed-rights.ts";
import { RightsCheck } from "../../operator/cluster/rights-check.ts";
import { asOperatorSettings, type OperatorSettings, operatorSettings } from "../../operator/settings/settings.ts";
import { type Rendered, renderedBy } from "../harness/chart.ts";
import {
  type Cluster,
  conditionsOf,
  type OperatorProcess,
  skipWithoutCluster,
  startCluster,
  systemNamespace,
  untilCondition,
} from "../harness/cluster.ts";
import { alice, keyedProvider } from "../harness/cluster-objects.ts";
import { skipWithout } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

type Scope = Pick<Right, "group" | "resource" | "verb">;

const keyOf = ({ verb, group, resource, namespace, name }: Right): string =>
  [verb, group, resource, namespace, name].join(" ");

function rightsIn({ kind, metadata, rules = [] }: Rendered & { rules?: V1PolicyRule[] }): string[] {
  if (!/^(Cluster)?Role$/.test(kind) || !metadata.name.endsWith("operator")) return [];
  const namespace = metadata.namespace ?? "";
  return rules.flatMap(({ apiGroups = [], resources = [], verbs, resourceNames = [""] }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) => resourceNames.map((name) => keyOf({ verb, group, resource, namespace, name }))),
      ),
    ),
  );
}

describe("the rights that the operator asks for", { skip: await skipWithout("helm") }, () => {
  const where = ["--namespace", systemNamespace];
  for (const [what, values] of [
    ["by default", {}],
    ["with the console", { console: { enabled: true } }],
    ["in some namespaces", { operator: { watchNamespaces: ["team-a", "team-b"] } }],
    ["under another name", { configName: "gate" }],
  ] as const)
    it(`are those that the chart gives ${what}`, async () => {
      const documents = await renderedBy(values, ...where);
      const given = documents.flatMap((document) => rightsIn(document));
      const map = documents.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "sluice-operator");
      const settings = operatorSettings.parse(parse(map?.data?.["settings.yaml"] ?? ""));
      assert.deepEqual([...new Set(neededRights(settings).map(keyOf))].sort(), [...new Set(given)].sort());
    });
});

describe("what asking for rights costs the API server", () => {
  const rights = Array.from({ length: 40 }, (_, index): Right => {
    const namespace = ["", "own", "team-a", "team-b"][index % 4] ?? "";
    return { verb: "get", group: "", resource: "configmaps", namespace, name: `map-${index}` };
  });
  const inNamespaces = rights.filter(({ namespace }) => namespace !== "");
  const everywhere = rights.filter(({ namespace }) => namespace === "");

  /** Counts requests. `listed`: rights that rules prove; `lost`: those that this process lacks. */
  function counting(listed: readonly Right[], lost: readonly Right[]): { reviews: AccessReviews; asked: () => number } {
    let asked = 0;
    const reviews: AccessReviews = {
      allowed: async (right) => {
        asked++;
        return !lost.includes(right);
      },
      granted: async () => {
        asked++;
        return (right) => listed.includes(right);
      },
    };
    return { reviews, asked: () => asked };
  }

  for (const { what, listed, lost, requests } of [
    { what: "all rights are listed", listed: inNamespaces, lost: [], requests: 3 + everywhere.length },
    { what: "no rule is listed", listed: [], lost: [], requests: 3 + rights.length },
    {
      what: "one right is lost in each namespace",
      listed: inNamespaces.slice(3),
      lost: inNamespaces.slice(0, 3),
      requests: 3 + 3 + everywhere.length,
    },
    {
      what: "a right in all namespaces is lost",
      listed: rights,
      lost: everywhere.slice(0, 1),
      requests: 3 + everywhere.length,
    },
  ])
    it(`takes ${requests} requests for ${rights.length} rights if ${what}`, async () => {
      const { reviews, asked } = counting(listed, lost);
      let first: { missing: readonly Right[]; asked: number } | null = null;
      const check = new RightsCheck({
        needed: rights,
        reviews,
        changed: (missing) => {
          first ??= { missing, asked: asked() };
        },
        times: { restMs: 1, missingMs: 60_000, pauseMs: 3_600_000 },
      });
      if (lost.length > 0) {
        await until("the check is over", async () => assert.ok(first));
        assert.deepEqual(first, { missing: lost, asked: requests });
      } else await until("the check is over", async () => assert.equal(asked(), requests));
      await check.stop();
    });

  it("is spread over time at rest, until a request is refused", async () => {
    const { reviews, asked } = counting(inNamespaces, []);
    const whole = 3 + everywhere.length;
    const check = new RightsCheck({
      needed: rights,
      reviews,
      changed: () => undefined,
      times: { restMs: 1, fullMs: 0, suspectMs: 1, pauseMs: 3_600_000 },
    });
    await until("the first check is over", async () => assert.equal(asked(), whole));
    check.suspect();
    await until("the one that waits, and another one, are over", async () => assert.ok(asked() >= 2 * whole));
    assert.ok(asked() <= 3 * whole, `${asked()} requests`);
    await check.stop();
  });
});

const without = (rules: readonly V1PolicyRule[], { group, resource, verb }: Scope): V1PolicyRule[] =>
  rules.flatMap((rule) => {
    if (!rule.apiGroups?.includes(group) || !rule.resources?.includes(resource)) return [rule];
    const others = rule.resources.filter((one) => one !== resource);
    const verbs = rule.verbs.filter((one) => one !== verb);
    return [
      ...(others.length > 0 ? [{ ...rule, resources: others }] : []),
      ...(verbs.length > 0 ? [{ ...rule, resources: [resource], verbs }] : []),
    ];
  });

describe("an operator that loses rights", { skip: await skipWithoutCluster() }, () => {
  let cluster: Cluster;
  let operator: OperatorProcess;
  let settings: OperatorSettings;
  let roles: RbacAuthorizationV1Api;
  const own = { name: "sluice-operator", namespace: systemNamespace };
  const everywhere = { name: `${systemNamespace}:sluice-operator` };

  before(async () => {
    cluster = await startCluster({ proxies: 1, namespaces: ["team-a"] });
    roles = cluster.admin.makeApiClient(RbacAuthorizationV1Api);
    operator = await cluster.startOperator();
    const text = await cluster.kubectl("get", "configmap", "sluice-operator", "-n", systemNamespace, "-o", "json");
    settings = asOperatorSettings("settings.yaml", JSON.parse(text).data["settings.yaml"]);
    await cluster.apply(keyedProvider("main", "https://llm.example.com/v1", "[{ name: gpt-4o }]"));
    await cluster.apply(alice("slc_alice-has-a-key-of-enough-letters"));
    await cluster.apply(policy("chat", "first"));
    await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Programmed", status: "True" });
  });
  after(() => cluster?.stop());

  const policy = (name: string, model: string): string => `
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: ${name}, namespace: team-a }
spec:
  match: { models: [${model}] }
  routing: { targets: [{ provider: { name: main }, model: gpt-4o }] }
`;

  /** Takes rights from the operator for the time of `work`. */
  async function losing(lost: readonly Scope[], work: () => Promise<void>, ofOwnRole = true): Promise<void> {
    const [role, clusterRole] = await Promise.all([roles.readNamespacedRole(own), roles.readClusterRole(everywhere)]);
    const replace = async (edit: (rules: readonly V1PolicyRule[]) => readonly V1PolicyRule[]): Promise<void> => {
      const rules = (of: { rules?: V1PolicyRule[] }) => [...edit(of.rules ?? [])];
      const [{ metadata: one }, { metadata: other }] = await Promise.all([
        roles.readNamespacedRole(own),
        roles.readClusterRole(everywhere),
      ]);
      if (ofOwnRole)
        await roles.replaceNamespacedRole({ ...own, body: { ...role, metadata: one ?? {}, rules: rules(role) } });
      await roles.replaceClusterRole({
        ...everywhere,
        body: { ...clusterRole, metadata: other ?? {}, rules: rules(clusterRole) },
      });
    };
    await replace((rules) => lost.reduce<readonly V1PolicyRule[]>(without, rules));
    try {
      await work();
    } finally {
      await replace((rules) => rules);
    }
  }

  const readiness = async (): Promise<string> => {
    const response = await fetch(`${operator.statusUrl}/readyz`);
    return `${response.status} ${await response.text()}`;
  };
  const ready = (): Promise<void> =>
    until("the operator is ready again", async () => assert.equal(await readiness(), "200 ok"));
  const says = (text: string): Promise<void> =>
    until(`/readyz names ${text}`, async () => assert.ok((await readiness()).includes(text), await readiness()));
  const warned = (object: string, text: string): Promise<void> =>
    until(`${object} warns of ${text}`, async () => {
      const { Warning: warning } = await conditionsOf(cluster, "team-a", object);
      assert.equal(warning?.reason, "OperatorForbidden");
      assert.ok(warning.message.includes(text), warning.message);
    });

  it("learns of each of them, and of its return", async () => {
    const config = new KubeConfig();
    config.loadFromFile(await cluster.apiServer.kubeconfigFor(systemNamespace, "sluice-operator"));
    const names = new Set<string>();
    const needed = neededRights(settings).filter((right) => {
      const key = keyOf({ ...right, name: "" });
      return !names.has(key) && names.add(key);
    });
    const check = new RightsCheck({
      needed,
      reviews: accessReviews(connectCluster(config)),
      changed: () => undefined,
      times: { suspectMs: 10, fullMs: 0, missingMs: 20 },
    });
    const untilMissing = (rights: readonly Right[]): Promise<void> =>
      until(`missing: ${rightTexts(rights).join(", ") || "nothing"}`, async () => {
        check.suspect();
        assert.deepEqual(rightTexts(check.missing), rightTexts(rights));
      });
    const scopes = new Map(
      needed.map(({ group, resource, verb }) => [`${verb} ${resource}`, { group, resource, verb }]),
    );
    assert.ok(scopes.size > 25);
    try {
      for (const { group, resource, verb } of scopes.values())
        await losing([{ group, resource, verb }], () =>
          untilMissing(needed.filter((one) => one.group === group && one.resource === resource && one.verb === verb)),
        );
      await untilMissing([]);
    } finally {
      await check.stop();
    }
  });

  it("asks for all of them in a few requests", async () => {
    const config = new KubeConfig();
    config.loadFromFile(await cluster.apiServer.kubeconfigFor(systemNamespace, "sluice-operator"));
    const { allowed, granted } = accessReviews(connectCluster(config));
    const needed = neededRights(settings);
    const proven = await granted(systemNamespace);
    const own = needed.filter(({ namespace }) => namespace === systemNamespace);
    assert.ok(own.length > 150, `${own.length} rights`);
    assert.deepEqual(
      own.filter((right) => !proven(right)),
      [],
    );
    for (const unproven of [
      { ...(own[0] as Right), name: "another" },
      { ...(own[0] as Right), name: "" },
      { ...(own[0] as Right), verb: "delete" },
      { ...(own[0] as Right), group: "apps" },
    ]) {
      assert.equal(proven(unproven), false);
      assert.equal(await allowed(unproven), false);
    }
  });

  it("says that it can't publish: in conditions, at its port and as an Event", async () => {
    await ready();
    await losing([{ group: "", resource: "configmaps", verb: "patch" }], async () => {
      await cluster.apply(policy("chat", "second"));
      const text = `patch configmaps in namespace ${systemNamespace}`;
      await warned("routingpolicy/chat", text);
      await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Programmed", status: "False" });
      await says(text);
      const metrics = await (await fetch(`${operator.statusUrl}/metrics`)).text();
      assert.ok(
        metrics.includes(
          `sluice_operator_missing_rights{verb="patch",resource="configmaps",namespace="${systemNamespace}"} 1`,
        ),
      );
      await until("there is an Event", async () => {
        const events = await cluster.kubectl("get", "events", "-n", systemNamespace, "-o", "json");
        assert.match(events, /"reason": "OperatorForbidden"/);
        assert.ok(events.includes(text));
      });
    });
    await untilCondition(cluster, "team-a", "routingpolicy/chat", { type: "Programmed", status: "True" });
    await ready();
  });

  it("says of a Secret that it may not read it, and not that it is missing", async () => {
    await ready();
    await losing(
      [{ group: "", resource: "secrets", verb: "get" }],
      async () => {
        await cluster.apply(keyedProvider("late", "https://llm.example.com/v1", "[{ name: gpt-4o }]"));
        await until("the provider says why", async () => {
          const { ResolvedRefs: refs } = await conditionsOf(cluster, "team-a", "llmprovider/late");
          assert.equal(refs?.reason, "SecretForbidden");
        });
        await says("get secrets");
      },
      false,
    );
    await untilCondition(cluster, "team-a", "llmprovider/late", { type: "Programmed", status: "True" });
    await ready();
  });

  it("says of a kind that it does not see its changes", async () => {
    await ready();
    const verbs = ["list", "watch"].map((verb) => ({ group: "sluice.dev", resource: "routingpolicies", verb }));
    await losing([...verbs, { group: "sluice.dev", resource: "budgets/status", verb: "patch" }], async () => {
      // Its watch goes on until it ends. What it notices is that a status can't be written.
      await cluster.apply(`
apiVersion: sluice.dev/v1alpha1
kind: Budget
metadata: { name: month, namespace: team-a }
spec: { amount: "100", period: Monthly }
`);
      await warned("routingpolicy/chat", "list routingpolicies (sluice.dev), watch routingpolicies (sluice.dev)");
      await says("patch budgets/status (sluice.dev)");
    });
    await ready();
    await until("the warning is gone", async () => {
      assert.equal((await conditionsOf(cluster, "team-a", "routingpolicy/chat"))["Warning"], undefined);
    });
  });

  it("says that it can't lead", async () => {
    await ready();
    await losing([{ group: "coordination.k8s.io", resource: "leases", verb: "update" }], () =>
      says("update leases (coordination.k8s.io)"),
    );
    await ready();
  });
});
