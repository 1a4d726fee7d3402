/** Reports the rights that the operator lacks: in its log and metrics, and as an Event at its Lease. */
import { V1MicroTime } from "@kubernetes/client-node";
import type { OperatorSettings } from "../settings/settings.ts";
import { accessReviews } from "./access-reviews.ts";
import { type Cluster, fieldManager } from "./api.ts";
import type { PooledKubeConfig } from "./kube-config.ts";
import { neededRights, type Right, rightTexts } from "./needed-rights.ts";
import { RightsCheck } from "./rights-check.ts";

/** The Lease always exists, under the same name. */
async function tellMissing(
  cluster: Cluster,
  { namespace, publishPrefix }: OperatorSettings,
  texts: readonly string[],
): Promise<void> {
  const name = `${publishPrefix}-operator`;
  await cluster.events.createNamespacedEvent({
    namespace,
    body: {
      metadata: { generateName: `${name}-`, namespace },
      action: "CheckRights",
      eventTime: new V1MicroTime(Date.now()),
      note: `the operator may not ${texts.join(", ")}; see docs/operator-rights.md`.slice(0, 1024),
      reason: "OperatorForbidden",
      regarding: { apiVersion: "coordination.k8s.io/v1", kind: "Lease", name, namespace },
      reportingController: "sluice.dev/operator",
      reportingInstance: fieldManager,
      type: "Warning",
    },
  });
}

interface Reports {
  /** Missing rights, for metrics. */
  missing(rights: readonly Right[]): void;
  log: { error(fields: object, message: string): void; info(message: string): void };
  /** Call when the missing rights have changed. */
  changed(): void;
}

export function watchRights(
  cluster: Cluster,
  config: Pick<PooledKubeConfig, "onForbidden">,
  settings: OperatorSettings,
  { missing: count, log, changed }: Reports,
): RightsCheck {
  const check = new RightsCheck({
    needed: neededRights(settings),
    reviews: accessReviews(cluster),
    changed: (missing) => {
      count(missing);
      changed();
      const texts = rightTexts(missing);
      if (texts.length === 0) log.info("the operator has all rights that it needs again");
      else {
        log.error({ missing: texts }, "the operator lacks rights; docs/operator-rights.md lists all");
        tellMissing(cluster, settings, texts).catch(() => undefined);
      }
    },
  });
  config.onForbidden(() => check.suspect());
  return check;
}
