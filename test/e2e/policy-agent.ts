/** kube-router as a process in the node: its firewall enforces NetworkPolicies, and nothing else of it runs. */
import { ensureTool } from "../harness/tools.ts";
import { until } from "../harness/until.ts";
import type { Installation } from "./installation.ts";

export async function startPolicyAgent(release: Installation): Promise<void> {
  const { node } = release;
  release.startProcess(await ensureTool("kube-router"), [
    `--kubeconfig=${node.home}/certs/admin.kubeconfig`,
    "--run-firewall=true",
    "--run-router=false",
    "--run-service-proxy=false",
    "--hostname-override=node1",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--iptables-sync-period=10s",
    "--health-port=0",
    "--v=1",
  ]);
  await until("the policy agent has its chains", async () => {
    const rules = await node.must("iptables-save", "-t", "filter");
    if (!rules.includes("KUBE-ROUTER-FORWARD")) throw new Error("no chain of kube-router");
  });
}
