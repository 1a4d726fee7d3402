import type { Cluster } from "./api.ts";
import type { Contest } from "./contests.ts";
import { tell } from "./report.ts";

/** Says at an object that another installation writes its status as well. */
export async function tellContest(cluster: Cluster, { namespace, rival, yields, object }: Contest): Promise<void> {
  const who = rival === null ? "another installation of Sluice" : `the installation ${rival}`;
  const then = yields ? "this one has stopped writing them" : "they overwrite each other";
  const message = `${who} writes statuses in namespace ${namespace} as well, and ${then}; give each installation a className or watchNamespaces of its own`;
  const condition = {
    type: "Warning",
    status: "True",
    reason: "OverlappingInstallations",
    message,
    lastTransitionTime: "",
    observedGeneration: 0,
  } as const;
  await tell(cluster, object, { condition, warning: true }, Date.now());
}
