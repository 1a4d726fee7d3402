/** Values of the chart that are not about its two Deployments alone: rights, CRDs, what other operators read, and the namespace. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { chart, type PodSpec, type Rendered, renderChart, renderedBy, templateChart } from "../harness/chart.ts";
import { skipWithout } from "../harness/tools.ts";

const skip = await skipWithout("helm");
const prometheus = ["--api-versions", "monitoring.coreos.com/v1"];
const autoscaler = ["--api-versions", "autoscaling.k8s.io/v1"];
const components = ["operator", "proxy"] as const;

const podOf = ({ spec }: Rendered): PodSpec => {
  assert.ok(spec.template);
  return spec.template.spec;
};

describe("the chart on a platform", { skip }, () => {
  it("puts Pods in the node's network, where they still find Services", async () => {
    const find = await renderChart({
      operator: { hostNetwork: true },
      proxy: { hostNetwork: true, dnsPolicy: "None" },
    });
    const [operator, proxy] = components.map((one) => podOf(find("Deployment", `sluice-${one}`)));
    assert.deepEqual([operator?.["hostNetwork"], operator?.["dnsPolicy"]], [true, "ClusterFirstWithHostNet"]);
    assert.deepEqual([proxy?.["hostNetwork"], proxy?.["dnsPolicy"]], [true, "None"]);
    const plain = podOf((await renderChart({}))("Deployment", "sluice-proxy"));
    assert.deepEqual([plain["hostNetwork"], plain["dnsPolicy"]], [undefined, undefined]);
  });

  it("adds any field to Pods, and names the value for those that have one", async () => {
    const podSpecExtra = { shareProcessNamespace: true, hostname: "{{ .Release.Name }}-x" };
    const find = await renderChart({ operator: { podSpecExtra }, proxy: { podSpecExtra } });
    for (const one of components) {
      const pod = podOf(find("Deployment", `sluice-${one}`));
      assert.deepEqual([pod["shareProcessNamespace"], pod["hostname"]], [true, "sluice-x"]);
      assert.equal(pod["enableServiceLinks"], false);
    }
    for (const [field, value] of [
      ["nodeSelector", "operator.nodeSelector"],
      ["terminationGracePeriodSeconds", "operator.terminationGracePeriodSeconds"],
      ["containers", "operator.extraContainers"],
      ["volumes", "operator.extraVolumes"],
      ["serviceAccountName", "operator.serviceAccount.name"],
      ["securityContext", "podSecurityContext"],
    ] as const) {
      const { code, stderr } = await templateChart({ operator: { podSpecExtra: { [field]: {} } } });
      assert.notEqual(code, 0);
      assert.ok(stderr.includes(`operator.podSpecExtra.${field}: `) && stderr.includes(value), stderr);
    }
  });

  it("takes from global what a component leaves open", async () => {
    const global = {
      nodeSelector: { pool: "all" },
      tolerations: [{ key: "all", operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      priorityClassName: "all",
      compatibility: { openshift: { adaptSecurityContext: "force" } },
    };
    const find = await renderChart({ global, proxy: { nodeSelector: { pool: "own" } } });
    const [operator, proxy] = components.map((one) => podOf(find("Deployment", `sluice-${one}`)));
    for (const field of ["nodeSelector", "tolerations", "affinity", "priorityClassName"] as const)
      assert.deepEqual(operator?.[field], global[field], field);
    assert.deepEqual(proxy?.["nodeSelector"], { pool: "own" });
    assert.equal(JSON.stringify(operator?.["securityContext"]).includes("runAsUser"), false);
    const disabled = { compatibility: { openshift: { adaptSecurityContext: "disabled" } } };
    const kept = await renderChart({ global: disabled }, "--api-versions", "security.openshift.io/v1");
    const context = podOf(kept("Deployment", "sluice-proxy"))["securityContext"] as { runAsUser?: number };
    assert.equal(context.runAsUser, 1000);
  });

  it("leaves rights to others, each kind of them on its own", async () => {
    const rolesOf = async (rbac: object): Promise<string[]> =>
      (await renderedBy({ rbac }))
        .filter(({ kind }) => /Role(Binding)?$/.test(kind))
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const all = await rolesOf({});
    const ofOperator = all.filter((name) => name.endsWith("operator"));
    assert.equal(ofOperator.length, 4);
    assert.deepEqual(await rolesOf({ createUserRoles: false }), ofOperator);
    assert.deepEqual(
      await rolesOf({ create: false }),
      all.filter((name) => !name.endsWith("operator")),
    );
    assert.deepEqual(await rolesOf({ create: false, createUserRoles: false }), []);
    const aggregated = (documents: readonly Rendered[]): number =>
      documents.filter((one) => JSON.stringify(one.metadata.labels ?? {}).includes("authorization.k8s.io/aggregate"))
        .length;
    assert.equal(aggregated(await renderedBy({})), 2);
    assert.equal(aggregated(await renderedBy({ rbac: { aggregateToDefaultRoles: false } })), 0);
  });

  it("annotates and labels the CRDs, which stay unless that is switched off", async () => {
    const crds = async (values: object): Promise<Rendered["metadata"][]> =>
      (await renderedBy({ crds: values }))
        .filter(({ kind }) => kind === "CustomResourceDefinition")
        .map(({ metadata }) => metadata);
    const keep = { "helm.sh/resource-policy": "keep" };
    const [plain, shaped, bare] = await Promise.all([
      crds({}),
      crds({ annotations: { "argocd.argoproj.io/sync-wave": "-1" }, labels: { tier: "platform" } }),
      crds({ keep: false }),
    ]);
    assert.equal(plain.length, 4);
    for (const { annotations, labels } of plain) assert.deepEqual([annotations, labels], [keep, undefined]);
    for (const { annotations, labels } of shaped) {
      assert.deepEqual(annotations, { ...keep, "argocd.argoproj.io/sync-wave": "-1" });
      assert.deepEqual(labels, { tier: "platform" });
    }
    for (const { annotations } of bare) assert.equal(annotations, undefined);
  });

  it("has Pods scraped without a Service", async () => {
    const podMonitor = { enabled: true, namespace: "monitoring", annotations: { a: "b" }, interval: "15s" };
    const find = await renderChart({ podMonitor }, ...prometheus);
    const { metadata, spec } = find("PodMonitor", "sluice");
    assert.deepEqual([metadata.namespace, metadata.annotations], ["monitoring", { a: "b" }]);
    assert.deepEqual(spec["podMetricsEndpoints"], [
      { port: "status", path: "/metrics", interval: "15s", honorLabels: true },
    ]);
    const { matchExpressions } = spec["selector"] as { matchExpressions: { values: string[] }[] };
    const labelled = components.map((one) => {
      const labels = find("Deployment", `sluice-${one}`).spec.template?.metadata.labels as Record<string, string>;
      return labels["app.kubernetes.io/component"];
    });
    assert.deepEqual(matchExpressions[0]?.values.toSorted(), labelled);
    const both = await templateChart({ podMonitor, serviceMonitor: { enabled: true } }, ...prometheus);
    assert.match(both.stderr, /serviceMonitor\.enabled or podMonitor\.enabled, not both/);
    assert.match(
      (await templateChart({ podMonitor })).stderr,
      /podMonitor\.enabled needs the Prometheus operator's CRDs/,
    );
  });

  it("puts rules, dashboards and monitors where their readers look", async () => {
    const where = { namespace: "monitoring", annotations: { team: "llm" } };
    const find = await renderChart(
      {
        prometheusRule: { enabled: true, ...where },
        serviceMonitor: { enabled: true, ...where },
        dashboards: { enabled: true, ...where },
        statusServices: { labels: { scrape: "me" }, annotations: { "prometheus.io/scrape": "true" } },
      },
      ...prometheus,
    );
    const overview = (await renderedBy({ dashboards: { enabled: true } })).find(({ metadata }) =>
      metadata.name.startsWith("sluice-dashboard-"),
    );
    for (const [kind, name] of [
      ["PrometheusRule", "sluice"],
      ["ServiceMonitor", "sluice"],
      ["ConfigMap", overview?.metadata.name ?? ""],
    ] as const) {
      const { metadata } = find(kind, name);
      assert.deepEqual([metadata.namespace, metadata.annotations], [where.namespace, where.annotations], kind);
    }
    for (const one of components) {
      const { metadata } = find("Service", `sluice-${one}-status`);
      assert.equal(metadata.labels?.["scrape"], "me");
      assert.deepEqual(metadata.annotations, { "prometheus.io/scrape": "true" });
    }
  });

  it("lets a vertical autoscaler set requests", async () => {
    const verticalPodAutoscaler = {
      enabled: true,
      updateMode: "Recreate",
      controlledResources: ["memory"],
      minAllowed: { memory: "200Mi" },
      maxAllowed: { memory: "2Gi" },
    };
    const values = { operator: { verticalPodAutoscaler }, proxy: { verticalPodAutoscaler } };
    const find = await renderChart(values, ...autoscaler);
    for (const one of components) {
      const { spec } = find("VerticalPodAutoscaler", `sluice-${one}`);
      assert.deepEqual(spec["targetRef"], { apiVersion: "apps/v1", kind: "Deployment", name: `sluice-${one}` });
      assert.deepEqual(spec["updatePolicy"], { updateMode: "Recreate" });
      const { containerPolicies } = spec["resourcePolicy"] as { containerPolicies: object[] };
      const { controlledResources, minAllowed, maxAllowed } = verticalPodAutoscaler;
      const container = podOf(find("Deployment", `sluice-${one}`)).containers[0];
      assert.deepEqual(containerPolicies, [
        {
          containerName: container?.name,
          controlledResources,
          controlledValues: "RequestsOnly",
          minAllowed,
          maxAllowed,
        },
        { containerName: "*", mode: "Off" },
      ]);
    }
    const cpu = { verticalPodAutoscaler: { enabled: true }, autoscaling: { enabled: true } };
    assert.match((await templateChart({ proxy: cpu }, ...autoscaler)).stderr, /must not both go by CPU/);
    assert.match((await templateChart(values)).stderr, /needs the CRDs of the vertical Pod autoscaler/);
  });

  it("is installed into another namespace than the release's", async () => {
    const documents = await renderedBy(
      { namespaceOverride: "gateway", console: { enabled: true } },
      ...["--namespace", "of-the-release"],
    );
    const elsewhere = documents.filter(({ metadata }) => ![undefined, "gateway"].includes(metadata.namespace));
    assert.deepEqual(elsewhere, []);
    assert.ok(!JSON.stringify(documents).includes("of-the-release"), "nothing names the release's namespace");
  });

  it("lists its CRDs for catalogues of charts", async () => {
    const { annotations } = parse(await readFile(join(chart, "Chart.yaml"), "utf8")) as {
      annotations: Record<string, string>;
    };
    const listed = parse(annotations["artifacthub.io/crds"] ?? "") as { kind: string; name: string; version: string }[];
    const crds = (await renderedBy({})).filter(({ kind }) => kind === "CustomResourceDefinition");
    assert.deepEqual(
      listed.map(({ kind, name, version }) => [kind, name, version]).sort(),
      crds
        .map(({ metadata, spec }) => {
          const { names, versions } = spec as unknown as { names: { kind: string }; versions: { name: string }[] };
          return [names.kind, metadata.name, versions[0]?.name];
        })
        .sort(),
    );
  });

  it("sets what a Service may have besides", async () => {
    const fields = {
      clusterIP: "10.0.0.9",
      externalIPs: ["192.0.2.1"],
      healthCheckNodePort: 30_123,
      allocateLoadBalancerNodePorts: false,
    };
    const { spec } = (await renderChart({ service: fields }))("Service", "sluice");
    for (const [name, value] of Object.entries(fields)) assert.deepEqual(spec[name], value, name);
  });
});
