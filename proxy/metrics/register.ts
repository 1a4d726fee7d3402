/** Registers metrics of the catalogue with prom-client. */
import { Counter, Gauge, type Registry } from "prom-client";
import { type MetricNameOf, metricCatalogue } from "./catalogue.ts";
import type { MetricSpec } from "./metric-spec.ts";

/** `collect` sets the values at each scrape. */
export function registerGauge(
  registry: Registry,
  name: MetricNameOf<"gauge">,
  collect?: (gauge: Gauge) => void | Promise<void>,
): Gauge {
  const { help, labels }: MetricSpec = metricCatalogue[name];
  return new Gauge({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    ...(collect === undefined
      ? {}
      : {
          collect() {
            return collect(this);
          },
        }),
  });
}

/** `collect` sets the values at each scrape: they are counted elsewhere. `registry`: null to register it later. */
export function registerCounter(
  registry: Registry | null,
  name: MetricNameOf<"counter">,
  collect?: (counter: Counter) => void,
): Counter {
  const { help, labels }: MetricSpec = metricCatalogue[name];
  return new Counter({
    name,
    help,
    labelNames: [...labels],
    registers: registry === null ? [] : [registry],
    ...(collect === undefined
      ? {}
      : {
          collect() {
            this.reset();
            collect(this);
          },
        }),
  });
}
