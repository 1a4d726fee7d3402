/**
 * Every metric of a proxy. Nothing else can be registered, and the documentation is generated from this list.
 *
 * `ai_…` is about calls and what serves them: providers, models, policies, keys, the cache. `sluice_…` is about the
 * installation's own parts: budgets, the shared store, the ledger, the audit log, certificates.
 */
import { callMetrics } from "./calls-catalogue.ts";
import type { MetricSpec } from "./metric-spec.ts";
import { installationMetrics } from "./parts-catalogue.ts";
import { stateMetrics } from "./states-catalogue.ts";

export const metricGroups = { calls: callMetrics, states: stateMetrics, parts: installationMetrics };
export const metricCatalogue = { ...callMetrics, ...stateMetrics, ...installationMetrics };

type Catalogue = typeof metricCatalogue;
export type MetricName = keyof Catalogue;
export type MetricNameOf<T extends MetricSpec["type"]> = {
  [Name in MetricName]: Catalogue[Name]["type"] extends T ? Name : never;
}[MetricName];
