import type { Cluster } from "./api.ts";
import type { Contest } from "./contests.ts";
import { writeWarning } from "./report.ts";

/** Writes an Event: another installation writes the status of this object too. */
export async function reportContest(cluster: Cluster, { namespace, rival, yields, object }: Contest): Promise<void> {
  const who = rival === null ? "another installation of Sluice" : `the installation ${rival}`;
  const then = yields ? "this one has stopped writing them" : "they overwrite each other";
  const message = `${who} writes statuses in namespace ${namespace} as well, and ${then}; give each installation a className or watchNamespaces of its own`;
  const warning = { type: "Warning", status: "True", reason: "OverlappingInstallations", message } as const;
  await writeWarning(cluster, object, warning);
}
