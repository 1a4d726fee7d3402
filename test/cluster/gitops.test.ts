/** docs/gitops.md from an empty cluster to two teams: the examples, applied in their order and judged by the tools. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments, stringify } from "yaml";
import { type Cluster, chart, release, skipWithoutCluster, startCluster, systemNamespace } from "../harness/cluster.ts";
import { judge, type Question } from "../harness/gitops-judge.ts";
import { skipWithout } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

const skip = (await skipWithoutCluster()) || (await skipWithout("gitops-judge"));
const root = join(import.meta.dirname, "../..");
const waveAnnotation = "argocd.argoproj.io/sync-wave";

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
}

const manifestsOf = (text: string): Manifest[] =>
  parseAllDocuments(text).flatMap((one) => (one.toJS() as Manifest | null) ?? []);
const read = (file: string): Manifest[] => manifestsOf(readFileSync(join(root, file), "utf8"));
const isOurs = ({ apiVersion }: Manifest): boolean => apiVersion.startsWith("sluice.dev/");

/** Folders in the order in which Argo CD syncs them. */
function argoWaves(): string[] {
  const applications = globSync("examples/gitops/argocd/apps/*.yaml", { cwd: root }).flatMap(read);
  const waveOf = ({ metadata }: Manifest): number => Number(metadata.annotations?.[waveAnnotation]);
  return applications
    .toSorted((a, b) => waveOf(a) - waveOf(b))
    .map(({ spec }) => (spec["source"] as { path: string }).path);
}

interface FluxKustomization {
  path: string;
  dependsOn?: { name: string }[];
  healthCheckExprs?: { kind: string; current: string; failed: string }[];
}

const fluxKustomizations = new Map(
  globSync("examples/gitops/flux/*.yaml", { cwd: root })
    .flatMap(read)
    .filter(({ kind }) => kind === "Kustomization")
    .map(({ metadata, spec }) => [metadata.name, spec as unknown as FluxKustomization]),
);

/** What the External Secrets Operator makes of it. */
const secretOf = ({ metadata, spec }: Manifest): object => {
  const { target, data } = spec as {
    target: { name: string; template?: { metadata?: { labels?: object } } };
    data: { secretKey: string }[];
  };
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: target.name, namespace: metadata.namespace, labels: target.template?.metadata?.labels ?? {} },
    stringData: Object.fromEntries(data.map(({ secretKey }) => [secretKey, "sk-of-a-stand-in-for-the-vault"])),
  };
};

describe("the examples of docs/gitops.md", { skip }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ proxies: 1, set: ["argocd.customizations=true"] });
    await cluster.startOperator();
  });
  after(() => cluster?.stop());

  /** The objects of a folder as they are in the cluster. */
  async function live(path: string): Promise<Manifest[]> {
    const objects = manifestsOf(await cluster.kubectl("kustomize", join(root, path))).filter(isOurs);
    return Promise.all(
      objects.map(async ({ kind, metadata: { name, namespace = "default" } }) =>
        JSON.parse(await cluster.kubectl("get", `${kind}.sluice.dev`, name, "-n", namespace, "-o", "json")),
      ),
    ) as Promise<Manifest[]>;
  }

  /** The script that the installed chart gives Argo CD. */
  async function argoScripts(): Promise<Map<string, string>> {
    const map = JSON.parse(
      await cluster.kubectl("get", "configmap", "sluice-argocd", "-n", "sluice-system", "-o", "json"),
    );
    const entries = Object.entries((map as { data: Record<string, string> }).data);
    return new Map(
      entries.flatMap(([name, script]) => {
        const kind = /^resource\.customizations\.health\.sluice\.dev_(\w+)$/.exec(name)?.[1];
        return kind === undefined ? [] : [[kind, script]];
      }),
    );
  }

  /** What kstatus, Argo CD and Flux say of each object. */
  async function judged(path: string): Promise<string[]> {
    const objects = await live(path);
    const scripts = await argoScripts();
    const flux = [...fluxKustomizations.values()].find((one) => one.path === `./${path}`);
    assert.ok(flux?.healthCheckExprs, `Flux syncs ${path} and judges it`);
    const expressions = new Map(flux.healthCheckExprs.map((one) => [one.kind, one]));
    const questions = objects.flatMap((object): Question[] => [
      { judge: "kstatus", object },
      { judge: "argo", object, script: scripts.get(object.kind) ?? "" },
      { judge: "flux", object, expressions: expressions.get(object.kind) ?? { current: "" } },
    ]);
    const answers = await judge(questions);
    return objects.map(({ kind, metadata }, index) => {
      const [kstatus, argo, ofFlux] = answers.slice(3 * index, 3 * index + 3);
      const health = (argo?.result as { status?: string } | undefined)?.status ?? argo?.error;
      return `${kind} ${metadata.namespace}/${metadata.name}: ${kstatus?.status}, ${health}, ${ofFlux?.status ?? ofFlux?.error}`;
    });
  }

  const unhealthy = (all: readonly string[]): string[] =>
    all.filter((one) => !one.endsWith(": Current, Healthy, Current"));
  const healthy = (path: string): Promise<unknown> =>
    until(`${path} is healthy`, async () => assert.deepEqual(unhealthy(await judged(path)), []), 120_000);

  const waves = argoWaves();

  it("name folders that exist, in one order for Argo CD and Flux", () => {
    assert.deepEqual(waves, [
      "charts/sluice",
      "examples/teams/platform",
      "examples/teams/team-a",
      "examples/teams/team-b",
    ]);
    const before = (name: string): string[] => (fluxKustomizations.get(name)?.dependsOn ?? []).map((one) => one.name);
    assert.deepEqual(["ai-platform", "team-a", "team-b"].map(before), [["sluice"], ["ai-platform"], ["ai-platform"]]);
  });

  for (const path of waves.slice(1))
    it(`become healthy, wave by wave: ${path}`, async () => {
      const built = manifestsOf(await cluster.kubectl("kustomize", join(root, path)));
      const made = built.map((one) => (one.kind === "ExternalSecret" ? secretOf(one) : one));
      await cluster.apply(made.map((one) => stringify(one)).join("---\n"));
      assert.ok((await judged(path)).length > 0);
      await healthy(path);
      // The operator wrote statuses and Secrets, and nothing of what is in Git.
      const objects = built.filter(isOurs).map((one) => stringify(one));
      const { code, stdout } = await cluster.tryApply(objects.join("---\n"));
      assert.deepEqual(
        [code, stdout.split("\n").filter((line) => line !== "" && !line.endsWith(" unchanged"))],
        [0, []],
      );
    });

  it("see no change from an upgrade of the chart to itself", async () => {
    const versions = (): Promise<string> =>
      cluster.kubectl(
        ...["get", "deployments,services,configmaps,serviceaccounts,roles,networkpolicies,poddisruptionbudgets"],
        ...["-n", systemNamespace, "-l", "app.kubernetes.io/managed-by=Helm"],
        ...["-o", "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{'\\n'}{end}"],
      );
    const before = await versions();
    assert.ok(before.includes("Deployment sluice-proxy "));
    await cluster.helm("upgrade", release, chart, "--namespace", systemNamespace, "--reuse-values");
    assert.equal(await versions(), before);
    const manifest = join(cluster.apiServer.dir, "chart.yaml");
    await writeFile(manifest, await cluster.helm("get", "manifest", release, "--namespace", systemNamespace));
    await cluster.kubectl("diff", "-f", manifest);
  });

  it("show what breaks, and what is mended", async () => {
    const [policy] = (await live("examples/teams/team-a")).filter(({ kind }) => kind === "RoutingPolicy");
    assert.ok(policy);
    const { name, namespace = "" } = policy.metadata;
    const provider = (to: string): Promise<string> =>
      cluster.kubectl(
        ...["patch", "routingpolicy", name, "-n", namespace, "--type=json", "-p"],
        JSON.stringify([{ op: "replace", path: "/spec/routing/targets/0/provider/name", value: to }]),
      );
    const [target] = (policy.spec["routing"] as { targets: { provider: { name: string } }[] }).targets;
    await provider("nobody");
    await until(
      "it counts as broken",
      async () =>
        assert.deepEqual(unhealthy(await judged("examples/teams/team-a")), [
          `RoutingPolicy ${namespace}/${name}: Failed, Degraded, Failed`,
        ]),
      120_000,
    );
    await provider(target?.provider.name ?? "");
    await healthy("examples/teams/team-a");
  });
});
