/** What a platform team expects to set: each value has its effect on what the chart renders. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { parseAllDocuments, stringify } from "yaml";
import {
  chart,
  type PodSpec,
  type Rendered,
  renderChart as render,
  templateChart as template,
} from "../harness/chart.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { run } from "../harness/command.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";

const skip = await skipWithout("helm");

describe("the chart's values", { skip }, () => {
  let folder: string;
  before(async () => {
    folder = await temporaryFolder("values");
  });
  after(() => removeFolder(folder));

  const podOf = ({ spec }: Rendered): PodSpec => {
    assert.ok(spec.template);
    return spec.template.spec;
  };

  it("reach both Deployments alike", async () => {
    const own = {
      annotations: { "reloader.stakater.com/auto": "true" },
      podLabels: { team: "llm" },
      podAnnotations: { note: "x" },
      extraEnv: [{ name: "NODE_EXTRA_CA_CERTS", value: "/extra/ca.crt" }],
      extraEnvFrom: [{ configMapRef: { name: "more" } }],
      extraArgs: ["--log-level=debug"],
      extraVolumes: [{ name: "extra", configMap: { name: "ca" } }],
      extraVolumeMounts: [{ name: "extra", mountPath: "/extra" }],
      extraContainers: [{ name: "helper", image: "{{ .Release.Name }}-helper:1" }],
      initContainers: [{ name: "first", image: "first:1" }],
      strategy: { type: "Recreate" },
      revisionHistoryLimit: 3,
      minReadySeconds: 7,
      nodeSelector: { pool: "llm" },
      tolerations: [{ key: "llm", operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      priorityClassName: "high",
      runtimeClassName: "gvisor",
      schedulerName: "mine",
      hostAliases: [{ ip: "10.0.0.1", hostnames: ["llm"] }],
      dnsPolicy: "None",
      dnsConfig: { nameservers: ["10.0.0.2"] },
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" }],
      serviceAccount: { create: false, name: "given" },
      podDisruptionBudget: { enabled: true, maxUnavailable: 2 },
    };
    const find = await render({ operator: own, proxy: own });
    for (const component of ["operator", "proxy"]) {
      const deployment = find("Deployment", `sluice-${component}`);
      assert.deepEqual(deployment.metadata.annotations, own.annotations);
      const { spec } = deployment;
      assert.deepEqual([spec["strategy"], spec["revisionHistoryLimit"], spec["minReadySeconds"]], [own.strategy, 3, 7]);
      const labels = spec.template?.metadata.labels as Record<string, string>;
      assert.equal(labels["team"], "llm");
      const pod = podOf(deployment);
      for (const field of [
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
        "runtimeClassName",
        "schedulerName",
        "hostAliases",
        "dnsPolicy",
        "dnsConfig",
        "topologySpreadConstraints",
        "initContainers",
      ] as const)
        assert.deepEqual(pod[field], own[field], field);
      assert.equal(pod["serviceAccountName"], "given");
      const [container, helper] = pod.containers;
      assert.ok(container !== undefined && helper !== undefined);
      assert.equal(helper.image, "sluice-helper:1");
      assert.ok(container.args?.includes("--log-level=debug"));
      assert.deepEqual(container.env?.at(-1), own.extraEnv[0]);
      assert.deepEqual(container["envFrom"], own.extraEnvFrom);
      const has = (list: unknown, wanted: object): boolean =>
        (list as object[]).some((one) => isDeepStrictEqual(one, wanted));
      assert.ok(has(container["volumeMounts"], own.extraVolumeMounts[0] ?? {}));
      assert.ok(has(pod["volumes"], own.extraVolumes[0] ?? {}));
      assert.equal(find("PodDisruptionBudget", `sluice-${component}`).spec["maxUnavailable"], 2);
    }
    assert.throws(() => find("ServiceAccount", "sluice-proxy"));
  });

  it("bind the chart's rights to the ServiceAccount that is given", async () => {
    const find = await render({ operator: { serviceAccount: { name: "given" } } });
    assert.equal(find("ServiceAccount", "given").kind, "ServiceAccount");
    const { subjects } = find("ClusterRoleBinding", "default:sluice-operator") as unknown as {
      subjects: { name: string }[];
    };
    assert.deepEqual(
      subjects.map(({ name }) => name),
      ["given"],
    );
  });

  it("name the image's registry, this chart's before the one of all charts", async () => {
    const imageOf = async (values: object): Promise<string | undefined> =>
      podOf((await render(values))("Deployment", "sluice-proxy")).containers[0]?.image;
    assert.equal(await imageOf({}), "sluice:0.1.0");
    assert.equal(await imageOf({ global: { imageRegistry: "r.example.com" } }), "r.example.com/sluice:0.1.0");
    const digest = `sha256:${"a".repeat(64)}`;
    assert.equal(
      await imageOf({ global: { imageRegistry: "r.example.com" }, image: { registry: "own.example.com/", digest } }),
      `own.example.com/sluice@${digest}`,
    );
    const find = await render({ global: { imagePullSecrets: [{ name: "all" }] }, imagePullSecrets: [{ name: "own" }] });
    assert.deepEqual(podOf(find("Deployment", "sluice-proxy"))["imagePullSecrets"], [{ name: "own" }, { name: "all" }]);
  });

  it("label everything, selectors excepted", async () => {
    const { stdout } = await template({ commonLabels: { "cost-center": "4711" }, console: { enabled: true } });
    for (const document of parseAllDocuments(stdout)) {
      const one = document.toJS() as Rendered | null;
      if (one === null || one.kind === "CustomResourceDefinition") continue;
      assert.equal(one.metadata.labels?.["cost-center"], "4711", `${one.kind} ${one.metadata.name}`);
      assert.ok(!JSON.stringify(one.spec?.["selector"] ?? {}).includes("cost-center"));
    }
  });

  it("leave user and group ids to OpenShift, and can be unset", async () => {
    const contextOf = async (values: object, ...args: string[]): Promise<object> =>
      podOf((await render(values, ...args))("Deployment", "sluice-proxy"))["securityContext"] as object;
    const seccomp = { seccompProfile: { type: "RuntimeDefault" } };
    const openshift = await contextOf({}, "--api-versions", "security.openshift.io/v1");
    assert.deepEqual(openshift, { runAsNonRoot: true, ...seccomp });
    const user = await contextOf({ podSecurityContext: { runAsUser: 2000, fsGroup: null } });
    assert.deepEqual(user, { runAsNonRoot: true, runAsUser: 2000, runAsGroup: 1000, ...seccomp });
    const find = await render({ securityContext: { privileged: false } });
    const context = podOf(find("Deployment", "sluice-operator")).containers[0]?.["securityContext"] as object;
    assert.ok("privileged" in context && "readOnlyRootFilesystem" in context);
  });

  it("set the Service as load balancers want it", async () => {
    const fields = {
      type: "LoadBalancer",
      loadBalancerClass: "nlb",
      loadBalancerSourceRanges: ["10.0.0.0/8"],
      externalTrafficPolicy: "Local",
      internalTrafficPolicy: "Cluster",
      trafficDistribution: "PreferClose",
      ipFamilyPolicy: "PreferDualStack",
      ipFamilies: ["IPv6", "IPv4"],
    };
    const find = await render({ service: { ...fields, nodePort: 30_080, labels: { a: "b" } } });
    const { spec, metadata } = find("Service", "sluice");
    for (const [name, value] of Object.entries(fields)) assert.deepEqual(spec[name], value, name);
    assert.deepEqual(spec["ports"], [
      { name: "http", port: 80, targetPort: "http", appProtocol: "http", nodePort: 30_080 },
    ]);
    assert.equal(metadata.labels?.["a"], "b");
    const tls = (await render({ proxy: { tls: { secretName: "cert" } } }))("Service", "sluice");
    assert.equal((tls.spec["ports"] as { appProtocol: string }[])[0]?.appProtocol, "https");
  });

  it("scale by memory, by other metrics, and as fast as they say", async () => {
    const metrics = [
      { type: "Pods", pods: { metric: { name: "calls" }, target: { type: "AverageValue", averageValue: "10" } } },
    ];
    const behavior = { scaleDown: { stabilizationWindowSeconds: 600 } };
    const autoscaling = { enabled: true, targetMemoryUtilizationPercentage: 80, metrics, behavior };
    const { spec } = (await render({ proxy: { autoscaling } }))("HorizontalPodAutoscaler", "sluice-proxy");
    assert.deepEqual(spec["behavior"], behavior);
    const listed = spec["metrics"] as { type: string; resource?: { name: string } }[];
    assert.deepEqual(
      listed.map(({ type, resource }) => resource?.name ?? type),
      ["cpu", "memory", "Pods"],
    );
  });

  it("make an Ingress and an HTTPRoute", async () => {
    const find = await render({
      ingress: {
        enabled: true,
        className: "nginx",
        annotations: { "nginx.ingress.kubernetes.io/proxy-buffering": "off" },
        hosts: ["llm.example.com"],
        tls: [{ hosts: ["llm.example.com"], secretName: "llm-tls" }],
      },
      httpRoute: {
        enabled: true,
        parentRefs: [{ name: "public", namespace: "gateways" }],
        hostnames: ["llm.example.com"],
        filters: [{ type: "RequestHeaderModifier" }],
      },
    });
    const ingress = find("Ingress", "sluice").spec;
    const backend = { service: { name: "sluice", port: { name: "http" } } };
    assert.deepEqual(ingress["rules"], [
      { host: "llm.example.com", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } },
    ]);
    assert.equal(ingress["ingressClassName"], "nginx");
    const route = find("HTTPRoute", "sluice").spec;
    assert.deepEqual(route["parentRefs"], [{ name: "public", namespace: "gateways" }]);
    assert.deepEqual(route["rules"], [
      {
        backendRefs: [{ name: "sluice", port: 80 }],
        filters: [{ type: "RequestHeaderModifier" }],
        timeouts: { request: "0s" },
      },
    ]);
    for (const [values, why] of [
      [{ ingress: { enabled: true } }, /ingress\.enabled needs ingress\.hosts/],
      [{ httpRoute: { enabled: true } }, /httpRoute\.enabled needs httpRoute\.parentRefs/],
    ] as const)
      assert.match((await template(values)).stderr, why);
  });

  it("shape what Prometheus scrapes", async () => {
    const relabelings = [{ targetLabel: "cluster", replacement: "one" }];
    const metricRelabelings = [{ action: "drop", sourceLabels: ["le"] }];
    const serviceMonitor = {
      enabled: true,
      namespace: "monitoring",
      scrapeTimeout: "5s",
      relabelings,
      metricRelabelings,
    };
    const find = await render({ serviceMonitor }, "--api-versions", "monitoring.coreos.com/v1");
    const { metadata, spec } = find("ServiceMonitor", "sluice");
    assert.equal(metadata.namespace, "monitoring");
    assert.deepEqual(spec["namespaceSelector"], { matchNames: ["default"] });
    assert.deepEqual(spec["endpoints"], [
      {
        port: "status",
        path: "/metrics",
        interval: "30s",
        honorLabels: true,
        scrapeTimeout: "5s",
        relabelings,
        metricRelabelings,
      },
    ]);
  });

  it("open further egress", async () => {
    const rule = { ports: [{ port: 3128 }] };
    const find = await render({ networkPolicy: { extraEgress: { proxy: [rule], operator: [rule] } } });
    for (const component of ["proxy", "operator"]) {
      const egress = find("NetworkPolicy", `sluice-${component}`).spec["egress"] as object[];
      assert.ok(
        egress.some((one) => isDeepStrictEqual(one, rule)),
        component,
      );
    }
  });

  it("add objects, as YAML or as text with templates", async () => {
    const map = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { a: "b" } });
    const find = await render({
      extraObjects: [map("{{ .Release.Name }}-one"), stringify(map("two"))],
    });
    for (const name of ["sluice-one", "two"]) assert.deepEqual(find("ConfigMap", name).data, { a: "b" });
  });

  it("let another chart have it as a dependency", async () => {
    const parent = join(folder, "parent");
    await run("mkdir", ["-p", join(parent, "charts")]);
    await run("cp", ["-r", chart, join(parent, "charts", "sluice")]);
    const dependencies = [{ name: "sluice", version: "0.1.0", condition: "sluice.enabled" }];
    await writeFile(
      join(parent, "Chart.yaml"),
      stringify({ apiVersion: "v2", name: "parent", version: "1.0.0", dependencies }),
    );
    for (const enabled of [true, false]) {
      const values = join(folder, "parent.yaml");
      await writeFile(
        values,
        stringify({ sluice: { enabled }, global: { imageRegistry: "r.example.com", theirs: 1 } }),
      );
      const { code, stdout, stderr } = await run(await ensureTool("helm"), ["template", "x", parent, "-f", values]);
      assert.equal(code, 0, stderr);
      assert.equal(stdout.includes("image: r.example.com/sluice:0.1.0"), enabled);
    }
  });

  it("have a test that asks the gateway", async () => {
    const pod = (await render({}))("Pod", "sluice-test");
    assert.equal(pod.metadata.annotations?.["helm.sh/hook"], "test");
    const { containers } = pod.spec as unknown as PodSpec;
    assert.deepEqual(containers[0]?.env, [{ name: "URL", value: "http://sluice.default.svc:80/v1/models" }]);
  });
});
