/**
 * Every metric of a proxy. Nothing else can be registered, and the documentation is generated from this list.
 *
 * `ai_…` is about calls and what serves them: providers, models, policies, keys, the cache. `sluice_…` is about the
 * installation's own parts: budgets, the shared store, the ledger, the audit log, certificates.
 */
import { callCatalogue } from "./calls-catalogue.ts";
import type { MetricSpec } from "./metric-spec.ts";
import { installationCatalogue } from "./parts-catalogue.ts";
import { stateCatalogue } from "./states-catalogue.ts";

export const metricGroups = { calls: callCatalogue, states: stateCatalogue, parts: installationCatalogue };
export const metricCatalogue = { ...callCatalogue, ...stateCatalogue, ...installationCatalogue };

type Catalogue = typeof metricCatalogue;
export type MetricName = keyof Catalogue;
export type MetricNameOf<T extends MetricSpec["type"]> = {
  [Name in MetricName]: Catalogue[Name]["type"] extends T ? Name : never;
}[MetricName];
