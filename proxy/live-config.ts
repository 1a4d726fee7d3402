/** The config that a proxy serves: taken on as it is published, with what uses it and what shows it. */
import { steadyNowMs } from "./clock.ts";
import type { FleetState } from "./fleet/start.ts";
import { readBudgets } from "./pipeline/budget-report.ts";
import { readHeadroom } from "./pipeline/limit-report.ts";
import type { Recounts } from "./pipeline/recounts.ts";
import { providers } from "./providers/registry.generated.ts";
import { type Current, current } from "./snapshot/current.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import type { ConfigSource } from "./snapshot/source.ts";
import { budgetMetrics } from "./telemetry/budget-metrics.ts";
import { limitMetrics } from "./telemetry/limit-metrics.ts";
import type { Logger } from "./telemetry/log.ts";
import type { Metrics } from "./telemetry/metrics.ts";

/** Takes on each config that is published; the last good one stays until there is another. */
export function liveConfig(
  source: ConfigSource,
  log: Logger,
  metrics: Metrics,
  users: readonly ((snapshot: Snapshot) => void)[],
): Current {
  const cell: Current = current(source, providers, Date.now, {
    swapped(snapshot) {
      for (const apply of users) apply(snapshot);
      const routes = [...snapshot.paths.values()].reduce((sum, path) => sum + path.routes.length, 0);
      metrics.swapped(snapshot, routes);
      log.info(
        { revision: snapshot.revision, providers: snapshot.providers.size, routes, keys: snapshot.keyCount },
        "config live",
      );
    },
    revoked(keys) {
      log.info({ keys }, "revocations live");
    },
    rejected(reason) {
      metrics.rejected();
      log.warn(
        { reason },
        cell.snapshot() === null
          ? "no config yet; calls are refused until there is one"
          : "config rejected; the last good one stays in use",
      );
    },
  });
  return cell;
}

/** Budgets and limits as metrics, read at each scrape. */
export function standingMetrics({ registry }: Metrics, cell: Current, fleet: FleetState, recounts: Recounts): void {
  const { quotas, store: ledger } = fleet;
  budgetMetrics(
    registry,
    async () => {
      const snapshot = cell.snapshot();
      return snapshot === null ? [] : readBudgets(snapshot, { ledger, quotas, recounts }, Date.now(), true);
    },
    steadyNowMs,
  );
  limitMetrics(registry, () => {
    const snapshot = cell.snapshot();
    return snapshot === null ? null : readHeadroom(snapshot, quotas);
  });
}
