import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse as parseYaml } from "yaml";
import { parseSidecarSettings } from "../../proxy/sidecar/settings.ts";
import { type Cluster, skipWithoutCluster, startCluster } from "../harness/cluster.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithoutCluster();

// biome-ignore lint/suspicious/noExplicitAny: a Pod as the API server gives it, asserted field by field
type Pod = any;

const pod = (name: string, namespace: string, more: { annotations?: object; spec?: object } = {}): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, annotations: more.annotations ?? {} },
    spec: {
      serviceAccountName: "worker",
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "app",
          image: "app",
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        },
      ],
      ...more.spec,
    },
  });
/** Pod template of the manifest that docs/access.md has for clusters without injection. */
function documented(): Pod {
  const page = readFileSync(join(import.meta.dirname, "../../docs/access.md"), "utf8");
  const [, block = ""] = /write the sidecar into the Pod template:\n\n```yaml\n([\s\S]*?)```/.exec(page) ?? [];
  return parseYaml(block).spec.template.spec;
}
const asks = { annotations: { "sluice.dev/sidecar": "true" } };
const first = {
  name: "first",
  image: "first",
  securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
};

describe("Pods that ask for a sidecar", { skip }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({
      proxies: 0,
      set: [
        "sidecar.injection.enabled=true",
        "sidecar.injection.namespaceSelector.matchLabels.sidecars=yes",
        "sidecar.audience=gateway",
        "service.port=8000",
        "egressProxy.httpsProxy=http://proxy.example.com:3128",
        "egressProxy.noProxy={.svc}",
      ],
    });
    for (const [name, sidecars] of [
      ["team-a", "yes"],
      ["team-b", "no"],
    ] as const) {
      // The strictest level of pod security, so that a sidecar which breaks it keeps the Pod from being made.
      await cluster.namespace(name, { sidecars, "pod-security.kubernetes.io/enforce": "restricted" });
      await cluster.kubectl("create", "serviceaccount", "worker", "-n", name);
    }
  });
  after(() => cluster?.stop());

  const made = async (manifest: string): Promise<Pod> => {
    await cluster.apply(manifest);
    const { metadata } = JSON.parse(manifest);
    const found = JSON.parse(
      await cluster.kubectl("get", "pod", metadata.name, "-n", metadata.namespace, "-o", "json"),
    );
    await cluster.kubectl("delete", "pod", metadata.name, "-n", metadata.namespace, "--grace-period=0", "--force");
    return found;
  };

  it("get one that the strictest pod security takes, with a token for the gateway and nothing else", async () => {
    const { spec } = await until("the policy is in force", async () => {
      const found = await made(pod("one", "team-a", asks));
      assert.equal(found.spec.initContainers?.length, 1);
      return found as Pod;
    });
    const [sidecar] = spec.initContainers;
    assert.deepEqual([sidecar.name, sidecar.image, sidecar.restartPolicy], ["sluice", "sluice:0.1.0", "Always"]);
    const settings = parseSidecarSettings(sidecar.args.slice(1), {});
    assert.deepEqual(
      [settings.fleet, settings.host, settings.port],
      [["http://sluice.sluice-system:8000"], "127.0.0.1", 8787],
    );
    assert.deepEqual(sidecar.startupProbe.httpGet.port, settings.statusPort);
    assert.deepEqual(sidecar.env, [
      { name: "NODE_OPTIONS", value: "--max-old-space-size-percentage=50" },
      { name: "HTTPS_PROXY", value: "http://proxy.example.com:3128" },
      { name: "NO_PROXY", value: ".svc,sluice.sluice-system" },
    ]);
    assert.equal(`${sidecar.volumeMounts[0].mountPath}/token`, settings.tokenFile);
    assert.deepEqual(sidecar.resources, { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "256Mi" } });
    assert.deepEqual(spec.volumes, [
      {
        name: "sluice-token",
        projected: {
          defaultMode: 0o444,
          sources: [{ serviceAccountToken: { audience: "gateway", expirationSeconds: 3600, path: "token" } }],
        },
      },
    ]);
    assert.deepEqual(spec.containers[0].volumeMounts, undefined);
  });

  it("get it as the first init container, in addition to their own volumes", async () => {
    const { spec } = await made(
      pod("two", "team-a", { ...asks, spec: { initContainers: [first], volumes: [{ name: "own", emptyDir: {} }] } }),
    );
    assert.deepEqual(
      [spec.initContainers.map((one: Pod) => one.name), spec.volumes.map((one: Pod) => one.name)],
      [
        ["sluice", "first"],
        ["own", "sluice-token"],
      ],
    );
  });

  it("can write it by hand as documented: pod security takes it, and it may start as slowly as an injected one", async () => {
    const { initContainers, volumes } = documented();
    const { spec } = await made(pod("by-hand", "team-b", { spec: { initContainers, volumes } }));
    const injected = await made(pod("injected", "team-a", asks));
    const startup = ({ initContainers: [sidecar] }: Pod): Pod => sidecar.startupProbe;
    const { port: _, ...asked } = startup(injected.spec).httpGet;
    const { port: __, ...documentedAsked } = startup(spec).httpGet;
    assert.deepEqual({ ...startup(spec), httpGet: documentedAsked }, { ...startup(injected.spec), httpGet: asked });
    const [byHand, byPolicy] = [spec, injected.spec].map(({ initContainers: [sidecar] }) => sidecar);
    assert.deepEqual([byHand.resources, byHand.env], [byPolicy.resources, byPolicy.env.slice(0, 1)]);
  });

  it("get none if they bring their own", async () => {
    const { spec } = await made(
      pod("three", "team-a", { ...asks, spec: { initContainers: [{ ...first, name: "sluice" }] } }),
    );
    assert.deepEqual(
      spec.initContainers.map((one: Pod) => one.image),
      ["first"],
    );
  });

  it("are left as they are where they don't ask, or in a namespace that may not", async () => {
    for (const manifest of [
      pod("four", "team-a"),
      pod("five", "team-a", { annotations: { "sluice.dev/sidecar": "false" } }),
      pod("six", "team-b", asks),
    ]) {
      const { spec } = await made(manifest);
      assert.deepEqual([spec.initContainers, spec.volumes], [undefined, undefined]);
    }
  });
});
