/** What is in Git stays what is in the cluster: no tool sees a difference after it has applied an example. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { type Finished, run } from "../harness/command.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithout("etcd", "kube-apiserver", "kubectl");
const root = join(import.meta.dirname, "../..");
const examples = ["teams", "budgets", "alerts", "quickstart/policies", "quickstart/simulated"];

interface Manifest {
  apiVersion?: string;
  kind?: string;
  metadata?: { namespace?: string };
}

/** Objects that this API server knows: not those of Flux, Argo CD or the External Secrets Operator. */
function known(example: string): Manifest[] {
  const files = globSync(`examples/${example}/**/*.yaml`, { cwd: root }).sort();
  return files
    .flatMap((file) => parseAllDocuments(readFileSync(join(root, file), "utf8")).map((one) => one.toJS() as Manifest))
    .filter((one) => one?.apiVersion?.startsWith("sluice.dev/") || one?.kind === "Namespace");
}

describe("after an example is applied", { skip }, () => {
  let server: ApiServer;
  let folder: string;
  before(async () => {
    server = await startApiServer();
    folder = join(server.dir, "examples");
    await mkdir(folder);
    assert.equal((await kubectl("apply", "-f", join(root, "crds"))).code, 0);
    await until("the CRDs are served", async () => {
      const { code, stderr } = await kubectl("get", "llmproviders,routingpolicies,budgets,apikeys");
      assert.equal(code, 0, stderr);
    });
  });
  after(() => server?.stop());

  const kubectl = async (...args: string[]): Promise<Finished> =>
    run(await ensureTool("kubectl"), args, {
      env: { ...process.env, KUBECONFIG: server.adminKubeconfigPath, HOME: server.dir },
    });

  for (const example of examples)
    it(`nobody sees a difference: ${example}`, async () => {
      const objects = known(example);
      assert.ok(objects.length > 0);
      const file = join(folder, `${example.replace("/", "-")}.json`);
      await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
      const namespaces = new Set(objects.flatMap(({ metadata }) => metadata?.namespace ?? []));
      for (const namespace of namespaces) await kubectl("create", "namespace", namespace);
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
});
