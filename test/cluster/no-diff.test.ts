/** What is in Git stays what is in the cluster: no tool sees a difference after it has applied an example. */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { type Finished, run } from "../harness/command.ts";
import { exampleFolders, knownIn, type Manifest } from "../harness/examples.ts";
import { adminEnv, applyCrds, runKubectl } from "../harness/kubectl.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";

const skip = await skipWithout("etcd", "kube-apiserver", "kubectl", "helm");
const root = join(import.meta.dirname, "../..");
const examples = exampleFolders();

const isNamespace = ({ kind }: Manifest): boolean => kind === "Namespace";

/** Text that Helm's templates leave as it is. */
const asTemplate = (objects: readonly Manifest[]): string =>
  objects.map((one) => stringify(one).replaceAll("{{", '{{ "{{" }}')).join("---\n");

describe("after an example is applied", { skip }, () => {
  let server: ApiServer;
  let folder: string;
  before(async () => {
    server = await startApiServer();
    folder = join(server.dir, "examples");
    await mkdir(folder);
    await applyCrds(server);
  });
  after(() => server?.stop());

  const kubectl = (...args: string[]): Promise<Finished> => runKubectl(server, args);

  const applied = async (objects: readonly Manifest[], name: string): Promise<string> => {
    const file = join(folder, `${name.replaceAll("/", "-")}.json`);
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    const namespaces = new Set(objects.flatMap(({ metadata }) => metadata.namespace ?? []));
    for (const namespace of namespaces) await kubectl("create", "namespace", namespace);
    return file;
  };
  const expectSuccess = async (tool: Promise<Finished>): Promise<string> => {
    const { code, stdout, stderr } = await tool;
    assert.equal(code, 0, `${stdout}${stderr}`);
    return stdout;
  };
  const helm = async (...args: string[]): Promise<string> =>
    expectSuccess(run(await ensureTool("helm"), args, { env: adminEnv(server) }));

  for (const [example, objects] of examples)
    it(`nobody sees a difference: ${example}`, async () => {
      const file = await applied(objects, example);
      const succeeds = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await kubectl(...args, "-f", file);
        assert.equal(code, 0, `kubectl ${args.join(" ")}: ${stdout}${stderr}`);
        return stdout;
      };
      await succeeds("apply");
      const again = (await succeeds("apply")).trim().split("\n");
      assert.deepEqual(
        again.filter((line) => !line.endsWith(" unchanged")),
        [],
      );
      await succeeds("diff");
      // A team that goes over to server-side apply, as Argo CD and Flux use it, meets no conflict.
      await succeeds("apply", "--server-side");
      await succeeds("diff", "--server-side");
      await succeeds("apply", "--server-side", "--field-manager=argocd-controller");
      await succeeds("diff", "--server-side", "--field-manager=argocd-controller");
    });

  for (const [example, all] of examples)
    it(`Helm sees none after an upgrade to the same: ${example}`, async () => {
      const objects = all.filter((one) => !isNamespace(one));
      const name = example.replaceAll("/", "-");
      const file = await applied(objects, `helm-${name}`);
      await kubectl("delete", "--ignore-not-found", "-f", file);
      const chart = join(folder, `chart-${name}`);
      await mkdir(join(chart, "templates"), { recursive: true });
      await writeFile(join(chart, "Chart.yaml"), `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`);
      await writeFile(join(chart, "templates", "objects.yaml"), asTemplate(objects));
      await helm("install", name, chart);
      const versions = (): Promise<string> =>
        expectSuccess(
          kubectl(
            "get",
            "-f",
            file,
            "-o",
            "jsonpath={range .items[*]}{.metadata.name} {.metadata.generation} {.metadata.resourceVersion}{'\\n'}{end}",
          ),
        );
      const before = await versions();
      for (let upgrade = 0; upgrade < 2; upgrade++) await helm("upgrade", name, chart);
      assert.equal(await versions(), before);
      const rendered = join(folder, `${name}-rendered.yaml`);
      await writeFile(rendered, await helm("template", name, chart));
      await expectSuccess(kubectl("diff", "-f", rendered));
      // As Helm 4 applies.
      await expectSuccess(
        kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", rendered),
      );
      await expectSuccess(
        kubectl("diff", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", rendered),
      );
      await helm("upgrade", name, chart);
      await expectSuccess(kubectl("diff", "-f", rendered));
    });

  const kustomizations = globSync("examples/teams/**/kustomization.yaml", { cwd: root }).map(dirname);
  for (const kustomization of kustomizations)
    it(`kustomize sees none: ${kustomization}`, async () => {
      const built = await expectSuccess(kubectl("kustomize", join(root, kustomization)));
      const objects = knownIn(built);
      assert.ok(objects.length > 0);
      const file = await applied(objects, kustomization);
      await expectSuccess(kubectl("apply", "-f", file));
      await expectSuccess(kubectl("diff", "-f", file));
    });
});
