import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
import {
  type Cluster,
  chart,
  conditionsOf,
  type OperatorProcess,
  skipWithoutCluster,
  startCluster,
  systemNamespace,
  untilCondition,
} from "../harness/cluster.ts";
import { run } from "../harness/command.ts";
import { ensureTool } from "../harness/tools.ts";

const skip = await skipWithoutCluster();

interface Rendered {
  kind: string;
  metadata: { name: string; namespace?: string };
  rules?: unknown[];
  roleRef?: unknown;
  subjects?: unknown[];
}

describe("the rights that the chart gives", { skip }, () => {
  const golden = join(import.meta.dirname, "golden", "rbac.yaml");

  it("are those of the approved list", async () => {
    const rendered = await run(await ensureTool("helm"), ["template", "sluice", chart, "--namespace", systemNamespace]);
    assert.equal(rendered.code, 0, rendered.stderr);
    const rights = parseAllDocuments(rendered.stdout)
      .map((document) => document.toJS() as Rendered | null)
      .filter((one) => one !== null && /^(Cluster)?Role(Binding)?$/.test(one.kind))
      .map((one) => {
        const { kind, metadata, rules, roleRef, subjects } = one as Rendered;
        const where = metadata.namespace === undefined ? {} : { namespace: metadata.namespace };
        return { kind, name: metadata.name, ...where, ...(rules ? { rules } : { roleRef, subjects }) };
      });
    const text = `# Every right that the chart gives. A change here is a change of what a stolen token can do: read it as such.\n# UPDATE_GOLDEN=1 writes this file.\n${stringify(rights)}`;
    if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(golden, text);
    assert.deepEqual(parse(text), parse(await readFile(golden, "utf8")));
  });
});

describe("the chart as it is installed", { skip }, () => {
  let cluster: Cluster;
  let asOperator = "";
  before(async () => {
    cluster = await startCluster({ proxies: 1, namespaces: ["team-a"] });
    asOperator = await cluster.apiServer.kubeconfigFor(systemNamespace, "sluice-operator");
  });
  after(() => cluster?.stop());

  const may = async (account: string, ...question: string[]): Promise<boolean> => {
    const { stdout } = await cluster.tryKubectl(
      "auth",
      "can-i",
      ...question,
      `--as=system:serviceaccount:${systemNamespace}:${account}`,
    );
    return stdout.trim() === "yes";
  };

  const refused: string[][] = [
    ["list", "secrets", "-A"],
    ["list", "secrets", "-n", systemNamespace],
    ["list", "secrets", "-n", "team-a"],
    ["delete", "secrets", "-n", "team-a"],
    ["update", "secrets", "-n", "team-a"],
    ["create", "configmaps", "-n", systemNamespace],
    ["get", "configmaps/other", "-n", systemNamespace],
    ["patch", "configmaps/other", "-n", systemNamespace],
    ["get", "configmaps/sluice-config", "-n", "team-a"],
    ["update", "leases/other", "-n", systemNamespace],
    ["patch", "llmproviders", "-n", "team-a"],
    ["delete", "apikeys", "-n", "team-a"],
    ["create", "pods", "-n", systemNamespace],
    ["create", "pods/exec", "-n", systemNamespace],
    ["create", "serviceaccounts/token", "-n", systemNamespace],
    ["escalate", "clusterroles"],
    ["bind", "clusterroles"],
    ["impersonate", "users"],
  ];
  for (const question of refused) {
    it(`the operator may not ${question.join(" ")}`, async () =>
      assert.equal(await may("sluice-operator", ...question), false));
  }

  it("the operator may do what it is for", async () => {
    for (const question of [
      ["list", "llmproviders.sluice.dev", "-A"],
      ["patch", "apikeys.sluice.dev/x", "--subresource=status", "-n", "team-a"],
      ["get", "secrets/any", "-n", "team-a"],
      ["patch", "configmaps/sluice-keys-31", "-n", systemNamespace],
    ])
      assert.equal(await may("sluice-operator", ...question), true, question.join(" "));
  });

  it("with its own token the operator can create the ConfigMaps of its list, and no other", async () => {
    const kubectl = await ensureTool("kubectl");
    const applyAs = async (name: string) => {
      const file = join(cluster.apiServer.dir, `${name}.yaml`);
      await writeFile(
        file,
        stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: systemNamespace } }),
      );
      return run(kubectl, ["apply", "--server-side", "-f", file], { env: { ...process.env, KUBECONFIG: asOperator } });
    };
    const own = await applyAs("sluice-routes-7");
    assert.equal(own.code, 0, own.stderr);
    assert.match((await applyAs("sluice-routes-8")).stderr, /forbidden/i);
  });

  it("a proxy's account may do nothing", async () => {
    for (const question of [
      ["get", "secrets", "-n", systemNamespace],
      ["get", "configmaps", "-n", systemNamespace],
      ["list", "llmproviders.sluice.dev", "-n", "team-a"],
    ])
      assert.equal(await may("sluice-proxy", ...question), false, question.join(" "));
  });

  it("a proxy's Pod passes restricted admission, and holds no token", async () => {
    const pod = JSON.parse(await cluster.kubectl("get", "pod", "sluice-proxy-0", "-n", systemNamespace, "-o", "json"));
    assert.equal(pod.spec.automountServiceAccountToken, false);
    assert.deepEqual(
      pod.spec.volumes.map(({ name }: { name: string }) => name),
      ["config"],
    );
    const sources = pod.spec.volumes[0].projected.sources as {
      serviceAccountToken?: object;
      configMap?: { optional: boolean };
      secret?: { optional: boolean };
    }[];
    assert.equal(
      sources.every(
        (source) => source.serviceAccountToken === undefined && (source.configMap ?? source.secret)?.optional === true,
      ),
      true,
    );
    assert.equal(pod.spec.containers[0].securityContext.readOnlyRootFilesystem, true);
  });

  it("the operator's Pod passes restricted admission too", async () => {
    const { spec } = JSON.parse(
      await cluster.kubectl("get", "deployment", "sluice-operator", "-n", systemNamespace, "-o", "json"),
    );
    const file = join(cluster.apiServer.dir, "operator-pod.json");
    await writeFile(
      file,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "probe", namespace: systemNamespace },
        spec: spec.template.spec,
      }),
    );
    assert.match(await cluster.kubectl("create", "--dry-run=server", "-f", file), /created/);
  });

  it("the objects that NOTES print are taken by the API server", async () => {
    const notes = await cluster.helm("get", "notes", "sluice", "--namespace", systemNamespace);
    assert.match(notes, /WARNING: there are several proxies and no state\.url/);
    const manifests = /<<'YAML'\n(.*?)\nYAML/s.exec(notes)?.[1] ?? "";
    const file = join(cluster.apiServer.dir, "notes.yaml");
    await writeFile(file, manifests);
    const applied = await cluster.kubectl("apply", "--dry-run=server", "-n", "team-a", "-f", file);
    assert.deepEqual(applied.match(/created/g)?.length, 3);
  });

  it("an upgrade leaves what the operator published", async () => {
    const before = await cluster.kubectl(
      "get",
      "configmap",
      "sluice-routes-7",
      "-n",
      systemNamespace,
      "-o",
      "jsonpath={.metadata.uid}",
    );
    await cluster.helm("upgrade", "sluice", chart, "--namespace", systemNamespace, "--set", "proxy.replicas=3");
    assert.equal(
      await cluster.kubectl(
        "get",
        "configmap",
        "sluice-routes-7",
        "-n",
        systemNamespace,
        "-o",
        "jsonpath={.metadata.uid}",
      ),
      before,
    );
  });

  it("a tenant who may edit the namespace may edit its policies, and a viewer may look", async () => {
    const aggregated = JSON.parse(
      await cluster.kubectl(
        "get",
        "clusterroles",
        "-l",
        "rbac.authorization.k8s.io/aggregate-to-edit=true",
        "-o",
        "json",
      ),
    );
    assert.equal(
      aggregated.items.some((role: Rendered) => role.metadata.name === `${systemNamespace}:sluice-edit`),
      true,
    );
  });
});

describe("an installation that watches one namespace", { skip }, () => {
  let cluster: Cluster;
  let operator: OperatorProcess;
  before(async () => {
    cluster = await startCluster({
      namespaces: ["team-a", "team-b"],
      set: ["operator.watchNamespaces={team-a}", "operator.resyncMs=2000"],
    });
    operator = await cluster.startOperator();
  });
  after(() => cluster?.stop());

  const key = (namespace: string) => `
apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: alice, namespace: ${namespace} }
spec: { user: alice@example.com, writeTo: { name: alice-key } }
`;

  it("serves its objects, with no right to anything in another", async () => {
    await cluster.apply([key("team-b"), key("team-a")].join("---"));
    await untilCondition(cluster, "team-a", "apikey/alice", { type: "Programmed", status: "True" });
    assert.deepEqual(await conditionsOf(cluster, "team-b", "apikey/alice"), {});
    for (const question of [
      ["get", "secrets/any", "-n", "team-b"],
      ["list", "apikeys.sluice.dev", "-A"],
      ["watch", "secrets", "-A"],
    ]) {
      const { stdout } = await cluster.tryKubectl(
        "auth",
        "can-i",
        ...question,
        `--as=system:serviceaccount:${systemNamespace}:sluice-operator`,
      );
      assert.equal(stdout.trim(), "no", question.join(" "));
    }
    assert.equal(operator.running(), true);
  });
});
