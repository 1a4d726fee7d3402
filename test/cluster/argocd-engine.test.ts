/** No example shows a difference or a conflict in Argo CD, which its own engine judges, in any of its ways to compare. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { askArgo, type Synced } from "../harness/argocd-engine.ts";
import type { Finished } from "../harness/command.ts";
import { exampleFolders, type Manifest } from "../harness/examples.ts";
import { applyCrds, runKubectl } from "../harness/kubectl.ts";
import { skipWithout } from "../harness/tools.ts";

const skip = await skipWithout("etcd", "kube-apiserver", "kubectl", "argocd-engine");
const examples = exampleFolders();
const team = "examples/teams/team-a";

interface Routing {
  targets: object[];
}

const nameOf = ({ kind, namespace, name }: Synced): string => `${kind} ${namespace}/${name}`;

describe("Argo CD", { skip }, () => {
  let server: ApiServer;
  before(async () => {
    server = await startApiServer();
    await applyCrds(server);
  });
  after(() => server?.stop());

  const kubectl = (...args: string[]): Promise<Finished> => runKubectl(server, args);
  const sync = (objects: readonly object[], serverSideApply: boolean): Promise<Synced[]> =>
    askArgo(server.adminKubeconfigPath, { objects, serverSideApply });

  /** The examples under a namespace of the case's own, so that no case begins with what another has left. */
  async function objectsOf(example: string, suffix: string): Promise<Manifest[]> {
    const objects = examples.get(example) ?? [];
    assert.ok(objects.length > 0);
    const namespaces = new Set(objects.flatMap(({ metadata }) => metadata.namespace ?? "default"));
    for (const namespace of namespaces) await kubectl("create", "namespace", `${namespace}-${suffix}`);
    return objects
      .filter(({ kind }) => kind !== "Namespace")
      .map((one) => ({
        ...one,
        metadata: { ...one.metadata, namespace: `${one.metadata.namespace ?? "default"}-${suffix}` },
      }));
  }

  function clean(answers: readonly Synced[], count: number): void {
    assert.equal(answers.length, count);
    for (const answer of answers) {
      assert.equal(answer.sync, "Synced", `${nameOf(answer)}: ${answer.message}`);
      assert.deepEqual(answer.differences, {}, nameOf(answer));
    }
  }

  /** A status as the operator writes it, which no comparison may take for a change. */
  async function report(objects: readonly Manifest[]): Promise<void> {
    for (const { kind, metadata } of objects) {
      const condition = { type: "Ready", status: "True", reason: "Ready", message: "", observedGeneration: 1 };
      const status = { conditions: [{ ...condition, lastTransitionTime: "2026-01-01T00:00:00Z" }] };
      const { code, stderr } = await kubectl(
        ...["patch", kind, metadata.name, "-n", metadata.namespace ?? "", "--subresource=status"],
        ...["--type=merge", "--field-manager=sluice-operator", "-p", JSON.stringify({ status })],
      );
      assert.equal(code, 0, stderr);
    }
  }

  it("is shown every folder with examples", () => {
    for (const folder of ["phases/2-resilience", "kong-handson/manifests", "quickstart/openai", "teams/team-b"])
      assert.ok(examples.has(`examples/${folder}`), folder);
  });

  for (const [at, example] of [...examples.keys()].entries())
    for (const serverSideApply of [false, true])
      it(`sees no difference ${serverSideApply ? "with ServerSideApply=true" : "with client-side apply"}: ${example}`, async () => {
        const objects = await objectsOf(example, `${serverSideApply ? "ssa" : "csa"}-${at}`);
        clean(await sync(objects, serverSideApply), objects.length);
        await report(objects);
        clean(await sync(objects, serverSideApply), objects.length);
      });

  it("sees none after an application went over to ServerSideApply=true, or came from kubectl", async () => {
    const objects = await objectsOf(team, "moved");
    clean(await sync(objects, false), objects.length);
    clean(await sync(objects, true), objects.length);
    const others = await objectsOf(team, "kubectl");
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: others });
    const applied = await runKubectl(server, ["apply", "-f", "-"], list);
    assert.equal(applied.code, 0, applied.stderr);
    clean(await sync(others, true), others.length);
  });

  it("sees what somebody changed by hand, in every way to compare", async () => {
    const [policy] = (await objectsOf(team, "edited")).filter(({ kind }) => kind === "RoutingPolicy");
    assert.ok(policy);
    clean(await sync([policy], true), 1);
    const { name, namespace = "" } = policy.metadata;
    const { targets } = policy.spec["routing"] as Routing;
    const edited = { spec: { routing: { targets: [{ ...targets[0], provider: { name: "edited-by-hand" } }] } } };
    await kubectl("patch", "routingpolicy", name, "-n", namespace, "--type=merge", "-p", JSON.stringify(edited));
    const [seen] = await askArgo(server.adminKubeconfigPath, {
      objects: [policy],
      serverSideApply: true,
      compareOnly: true,
    });
    assert.deepEqual(Object.keys(seen?.differences ?? {}).sort(), ["lastApplied", "serverSide", "structuredMerge"]);
    assert.match(JSON.stringify(seen?.differences.serverSide), /edited-by-hand/);
    clean(await sync([policy], true), 1);
  });
});
