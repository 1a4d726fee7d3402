/** Helm values for the egress proxy, private authorities, probes and disruptions: what they render, and what is refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { egressOf } from "../../proxy/config/egress/egress.ts";
import { type Finished, run } from "../harness/command.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";

const skip = await skipWithout("helm");
const chart = join(import.meta.dirname, "../../charts/sluice");

interface Variable {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef?: { name: string; key: string }; fieldRef?: object };
}
// biome-ignore lint/suspicious/noExplicitAny: a rendered object, asserted field by field
type Rendered = any;

const template = async (values: object): Promise<Finished> =>
  run(await ensureTool("helm"), ["template", "sluice", chart, "-f", "-"], { input: JSON.stringify(values) });

async function render(values: object): Promise<(kind: string, name: string) => Rendered> {
  const { code, stdout, stderr } = await template(values);
  assert.equal(code, 0, stderr);
  const documents = parseAllDocuments(stdout).map((one) => one.toJS() as Rendered);
  return (kind, name) => documents.find((one) => one?.kind === kind && one.metadata.name === name);
}

const components = ["operator", "proxy"] as const;
const podOf = (find: (kind: string, name: string) => Rendered, component: string): Rendered =>
  find("Deployment", `sluice-${component}`).spec.template.spec;
const portsOf = (find: (kind: string, name: string) => Rendered, component: string): number[] =>
  find("NetworkPolicy", `sluice-${component}`).spec.egress.flatMap((rule: Rendered) =>
    rule.to === undefined ? rule.ports.map(({ port }: Rendered) => port) : [],
  );

describe("the chart's egress proxy", { skip }, () => {
  it("is for both Deployments, with credentials from the Secret and a way through the NetworkPolicy", async () => {
    const find = await render({
      egressProxy: {
        httpsProxy: "http://proxy.example.com:3128",
        httpProxy: "http://plain.example.com:8080/",
        noProxy: [".svc", "10.0.0.0/8"],
        existingSecret: "credentials",
      },
    });
    for (const component of components) {
      const variables = podOf(find, component).containers[0].env as Variable[];
      const env = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
      assert.deepEqual(
        [env["HTTPS_PROXY"], env["HTTP_PROXY"], env["NO_PROXY"]],
        [
          "http://proxy.example.com:3128",
          "http://plain.example.com:8080/",
          "$(KUBERNETES_SERVICE_HOST),.svc,10.0.0.0/8",
        ],
      );
      assert.deepEqual(
        variables
          .filter(({ valueFrom }) => valueFrom?.secretKeyRef !== undefined)
          .map(({ name, valueFrom }) => [name, valueFrom]),
        [
          ["SLUICE_EGRESS_PROXY_USERNAME", { secretKeyRef: { name: "credentials", key: "username" } }],
          ["SLUICE_EGRESS_PROXY_PASSWORD", { secretKeyRef: { name: "credentials", key: "password" } }],
        ],
      );
      for (const port of [3128, 8080]) assert.ok(portsOf(find, component).includes(port), `${component} ${port}`);
      // As kubelet fills it in.
      const seen = { ...env, NO_PROXY: env["NO_PROXY"]?.replace("$(KUBERNETES_SERVICE_HOST)", "fd00::1") };
      const egress = egressOf(seen);
      assert.equal(egress.proxyFor(new URL("https://[fd00::1]:443")), null);
      assert.notEqual(egress.proxyFor(new URL("https://api.openai.com")), null);
      assert.equal(egress.summary()?.unreadable, undefined);
    }
  });

  it("leaves the cluster's own names and networks out by default", async () => {
    const find = await render({ egressProxy: { httpsProxy: "http://proxy:3128" } });
    const variables = podOf(find, "proxy").containers[0].env as Variable[];
    const egress = egressOf(Object.fromEntries(variables.map(({ name, value }) => [name, value])));
    for (const url of [
      "https://vllm.models.svc",
      "https://10.1.2.3",
      "https://x.y.svc.cluster.local",
      "https://[fd00::1]",
    ])
      assert.equal(egress.proxyFor(new URL(url)), null, url);
  });

  it("is absent by default", async () => {
    const find = await render({});
    for (const component of components) {
      const names = ((podOf(find, component).containers[0].env ?? []) as Variable[]).map(({ name }) => name);
      assert.deepEqual(names, component === "operator" ? ["POD_UID", "NODE_OPTIONS"] : ["NODE_OPTIONS"]);
    }
  });

  for (const [what, values, why] of [
    [
      "credentials in the URL",
      { egressProxy: { httpsProxy: "http://u:p@proxy:1" } },
      /egressProxy.httpsProxy|does not match/,
    ],
    ["another scheme", { egressProxy: { httpsProxy: "socks5://proxy:1" } }, /does not match/],
    ["a list in one entry", { egressProxy: { noProxy: ["a,b"] } }, /does not match/],
    [
      "a Secret without a proxy",
      { egressProxy: { existingSecret: "x" } },
      /existingSecret needs egressProxy.httpsProxy/,
    ],
    ["two sources of authorities", { trustedCA: { configMap: "a", secret: "b" } }, /not both/],
    ["an unknown probe field", { proxy: { livenessProbe: { exec: {} } } }, /additional properties 'exec'/],
  ] as const)
    it(`refuses ${what}`, async () => {
      const { code, stderr } = await template(values);
      assert.equal(code, 1);
      assert.match(stderr, why);
    });

  it("trusts a private authority from a ConfigMap or a Secret", async () => {
    for (const [source, volume] of [
      ["configMap", { name: "trusted-ca", configMap: { name: "company" } }],
      // 0440 in YAML 1.1, as Helm and Kubernetes read it.
      ["secret", { name: "trusted-ca", secret: { secretName: "company", defaultMode: 440 } }],
    ] as const) {
      const find = await render({ trustedCA: { [source]: "company", key: "bundle.pem" } });
      for (const component of components) {
        const pod = podOf(find, component);
        assert.deepEqual(pod.containers[0].env.at(-1), {
          name: "NODE_EXTRA_CA_CERTS",
          value: "/etc/sluice/trusted-ca/bundle.pem",
        });
        assert.deepEqual(
          pod.volumes.find((one: Rendered) => one.name === "trusted-ca"),
          volume,
        );
        assert.ok(pod.containers[0].volumeMounts.some((one: Rendered) => one.mountPath === "/etc/sluice/trusted-ca"));
      }
    }
  });
});

describe("the chart's probes and disruptions", { skip }, () => {
  it("bound V8's heap by the container's memory, unless the limit or Node.js's options are the user's own", async () => {
    const heap = { name: "NODE_OPTIONS", value: "--max-old-space-size-percentage=50" };
    const own = { name: "NODE_OPTIONS", value: "--max-old-space-size=200" };
    const cases: [what: string, values: object, expected: object[]][] = [
      ["by default", {}, [heap]],
      ["without a limit", { resources: { limits: { memory: null } } }, []],
      ["without resources", { resources: null }, []],
      ["with options of the user's", { extraEnv: [own] }, [own]],
      ["with other variables", { extraEnv: [{ name: "TZ", value: "UTC" }] }, [heap]],
    ];
    for (const [what, values, expected] of cases) {
      const find = await render({ operator: values, proxy: values });
      for (const component of components) {
        const [{ env = [] }] = podOf(find, component).containers;
        const options = env.filter(({ name }: { name: string }) => name === heap.name);
        assert.deepEqual(options, expected, `${component} ${what}`);
      }
    }
  });

  it("take timings, and keep what they ask for", async () => {
    const own = {
      startupSeconds: 61,
      startupProbe: { periodSeconds: 5 },
      livenessProbe: { initialDelaySeconds: 3, periodSeconds: 20, terminationGracePeriodSeconds: 5 },
      readinessProbe: { failureThreshold: 2, timeoutSeconds: null },
      hostUsers: false,
      podDisruptionBudget: { enabled: true, minAvailable: "50%" },
      serviceAccount: { labels: { team: "llm" } },
    };
    const find = await render({ operator: own, proxy: own });
    for (const component of components) {
      const pod = podOf(find, component);
      const [{ startupProbe, livenessProbe, readinessProbe }] = pod.containers;
      assert.deepEqual(startupProbe, {
        httpGet: { path: "/livez", port: "status" },
        initialDelaySeconds: 1,
        periodSeconds: 5,
        timeoutSeconds: 5,
        failureThreshold: 13,
      });
      assert.deepEqual(livenessProbe, {
        httpGet: { path: "/livez", port: "status" },
        initialDelaySeconds: 3,
        periodSeconds: 20,
        timeoutSeconds: 5,
        failureThreshold: 6,
        terminationGracePeriodSeconds: 5,
      });
      assert.deepEqual(
        [readinessProbe.httpGet.path, readinessProbe.failureThreshold, readinessProbe.timeoutSeconds],
        ["/readyz", 2, undefined],
      );
      assert.equal(pod.hostUsers, false);
      const { minAvailable, maxUnavailable } = find("PodDisruptionBudget", `sluice-${component}`).spec;
      assert.deepEqual([minAvailable, maxUnavailable], ["50%", undefined]);
      assert.equal(find("ServiceAccount", `sluice-${component}`).metadata.labels.team, "llm");
    }
  });
});
