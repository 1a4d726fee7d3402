/** kubectl as the administrator of a test's API server. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { ApiServer } from "./apiserver.ts";
import { type Finished, run } from "./command.ts";
import { ensureTool } from "./tools.ts";
import { until } from "./until.ts";

const crds = join(import.meta.dirname, "../../crds");

/** The environment of commands on this server. */
export const adminEnv = (server: ApiServer): NodeJS.ProcessEnv => ({
  ...process.env,
  KUBECONFIG: server.adminKubeconfigPath,
  HOME: server.dir,
});

export const runKubectl = async (server: ApiServer, args: readonly string[], input?: string): Promise<Finished> =>
  run(await ensureTool("kubectl"), [...args], {
    env: adminEnv(server),
    ...(input === undefined ? {} : { input }),
  });

/** Applies the CRDs, and waits until they are served. */
export async function applyCrds(server: ApiServer): Promise<void> {
  assert.equal((await runKubectl(server, ["apply", "-f", crds])).code, 0);
  await until("the CRDs are served", async () => {
    const { code, stderr } = await runKubectl(server, ["get", "llmproviders,routingpolicies,budgets,apikeys"]);
    assert.equal(code, 0, stderr);
  });
}
