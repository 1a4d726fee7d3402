/** Metrics of fleet state and of endpoint pickers. */
import type { Registry } from "prom-client";
import type { FleetState } from "../fleet/start.ts";
import { registerCounter, registerGauge } from "../metrics/register.ts";
import type { Pickers } from "../picker/pickers.ts";

export function pickerMetrics(registry: Registry, pickers: Pickers): void {
  registerCounter(registry, "sluice_pool_picks_total", (counter) => {
    for (const { provider, outcome, count } of pickers.counts()) counter.inc({ provider, outcome }, count);
  });
}

export function stateMetrics(
  registry: Registry,
  { quotas, ledger, store }: Pick<FleetState, "quotas" | "ledger" | "store">,
): void {
  const { figures } = quotas;
  registerCounter(registry, "sluice_state_round_trips_total", (counter) => counter.inc(figures.roundTrips));
  registerCounter(registry, "sluice_state_waits_total", (counter) => counter.inc(figures.waits));
  registerCounter(registry, "sluice_state_failures_total", (counter) => counter.inc(figures.failures));
  registerCounter(registry, "sluice_state_overruns_total", (counter) => counter.inc(figures.overruns));
  registerGauge(registry, "sluice_state_reachable", (gauge) => gauge.set(quotas.broken ? 0 : 1));
  registerGauge(registry, "sluice_state_damaged", (gauge) => gauge.set(store.damage?.() ? 1 : 0));
  registerGauge(registry, "sluice_state_evicting", (gauge) => gauge.set(store.eviction?.() ? 1 : 0));
  registerGauge(registry, "sluice_ledger_waiting_rows", (gauge) => gauge.set(ledger.waiting));
}
