/** Metrics of fleet state. */
import { Gauge, type Registry } from "prom-client";
import type { FleetState } from "../fleet/start.ts";

export function stateMetrics(
  registry: Registry,
  { quotas, ledger, store }: Pick<FleetState, "quotas" | "ledger" | "store">,
): void {
  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge(
    "sluice_state_round_trips",
    "Calls to the store of limits and budgets since the start.",
    () => quotas.figures.roundTrips,
  );
  gauge("sluice_state_waits", "Calls that had to wait for that store since the start.", () => quotas.figures.waits);
  gauge(
    "sluice_state_failures",
    "Calls to that store that failed or were late since the start.",
    () => quotas.figures.failures,
  );
  gauge(
    "sluice_state_overruns",
    "Amounts settled beyond what was reserved since the start.",
    () => quotas.figures.overruns,
  );
  gauge("sluice_state_reachable", "1 while that store answers.", () => (quotas.broken ? 0 : 1));
  gauge(
    "sluice_state_damaged",
    "1 while parts of the state file that can't be read are put aside, and hard budgets are closed for that.",
    () => (store.damage?.() ? 1 : 0),
  );
  gauge(
    "sluice_ledger_waiting_rows",
    "Rows of the usage ledger that the store does not have yet.",
    () => ledger.waiting,
  );
}
