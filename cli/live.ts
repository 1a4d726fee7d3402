/** Waits until an object's status shows that a change is in force on all proxies. */
import { group, type Kind, kinds, version } from "../crds/kinds.ts";
import type { Cluster } from "../operator/cluster/api.ts";

export interface StoredObject {
  metadata: { name: string; namespace: string; generation?: number };
  status?: {
    conditions?: { type: string; status: string; reason: string; message: string; observedGeneration?: number }[];
  };
}

const pollMs = 250;

export const isLive = (stored: StoredObject): boolean =>
  stored.status?.conditions?.some(
    (condition) =>
      condition.type === "Programmed" &&
      condition.status === "True" &&
      condition.observedGeneration === stored.metadata.generation,
  ) ?? false;

/** Waits until `done` returns true. Throws with the status's message on timeout or if the object is refused. */
export async function waitUntil(
  cluster: Cluster,
  kind: Kind,
  { name, namespace }: { name: string; namespace: string },
  seconds: number,
  done: (stored: StoredObject) => boolean = isLive,
): Promise<void> {
  const { plural } = kinds[kind];
  const endMs = Date.now() + seconds * 1000;
  for (;;) {
    const stored = (await cluster.custom.getNamespacedCustomObject({
      group,
      version,
      plural,
      namespace,
      name,
    })) as StoredObject;
    if (done(stored)) return;
    const refused = stored.status?.conditions?.find(
      ({ type, status, observedGeneration }) =>
        (type === "Accepted" || type === "Rotated") &&
        status === "False" &&
        observedGeneration === stored.metadata.generation,
    );
    if (refused?.type === "Rotated") throw new Error(`${kind} ${namespace}/${name}: ${refused.message}`);
    if (refused) throw new Error(`${kind} ${namespace}/${name} is there, and not accepted: ${refused.message}`);
    if (Date.now() > endMs) {
      const said = (stored.status?.conditions ?? [])
        .filter((condition) => condition.status !== "True")
        .map((condition) => `${condition.type}: ${condition.message}`);
      throw new Error(
        `${kind} ${namespace}/${name} is not live after ${seconds} s${said.length === 0 ? "; does the operator run?" : `: ${said.join("; ")}`}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
