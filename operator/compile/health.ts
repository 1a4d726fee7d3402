/** What the proxies report on a provider → its condition Healthy. Pure. */
import type { DiscoveryReading } from "../../proxy/config/discovery.ts";
import { discoveryCondition } from "./discovery.ts";
import { idOf } from "./outcome.ts";
import type { StatusPatch, Verdict } from "./verdict.ts";

export interface ProviderReport {
  /** null if the proxy doesn't know. */
  healthy: boolean | null;
  reason: string | null;
  /** Models whose breaker is not closed. */
  open: readonly string[];
  /** Why the last connection to such a model failed. */
  causes: ReadonlyMap<string, string>;
  /** Models for which the provider refuses our credential. */
  refused: readonly string[];
  /** Models for which the provider recently reported implausible usage. Absent: none. */
  implausible?: readonly string[];
  /** Why it has no cloud identity, in the cloud's words; absent if it has one or needs none. */
  identity?: string;
  /** Models discovered at the provider; absent if discovery is off. */
  discovered?: DiscoveryReading;
}

/** Report of one proxy: provider id → its state there. */
export type ProxyReport = ReadonlyMap<string, ProviderReport>;

type Bare = Verdict["conditions"][number];

const maxNames = 8;

function count<T>(items: readonly T[]): [T, number][] {
  const counts = new Map<T, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** "a on 2, b on 1" */
function listed(counts: readonly [string, number][]): string {
  const shown = counts.slice(0, maxNames).map(([name, proxies]) => `${name} on ${proxies}`);
  return [...shown, ...(counts.length > maxNames ? [`${counts.length - maxNames} more`] : [])].join(", ");
}

function withCause(model: string, { causes }: ProviderReport): string {
  const cause = causes.get(model);
  return cause === undefined ? model : `${model} (${cause})`;
}

export function healthCondition(provider: string, proxies: readonly ProxyReport[]): Bare {
  const type = "Healthy";
  const reports = proxies.flatMap((report) => report.get(provider) ?? []);
  const well = reports.filter((report) => report.healthy === true).length;
  const ill = reports.filter((report) => report.healthy === false);
  if (well === 0 && ill.length === 0 && reports.every((report) => report.identity === undefined))
    return { type, status: "Unknown", reason: "NotYetKnown", message: "no proxy has called it yet" };
  const unknown = proxies.length - well - ill.length;
  const open = count(reports.flatMap((report) => report.open.map((model) => withCause(model, report))));
  const refused = count(reports.flatMap((report) => report.refused));
  const identities = count(reports.flatMap((report) => report.identity ?? []));
  const reasons = count(ill.flatMap((report) => report.reason ?? []));
  const message = [
    `${well}/${proxies.length} proxies reach it`,
    ...(unknown > 0 ? [`${unknown} not yet known`] : []),
    ...(reasons.length > 0 ? [listed(reasons)] : []),
    ...(identities.length > 0 ? [`no cloud identity: ${listed(identities)}`] : []),
    ...(refused.length > 0 ? [`credential refused for ${listed(refused)}`] : []),
    ...(open.length > 0 ? [`breaker open for ${listed(open)}`] : []),
  ].join("; ");
  if (identities.length > 0) return { type, status: "False", reason: "CredentialRefused", message };
  if (well === 0) return { type, status: "False", reason: "Unreachable", message };
  if (ill.length > 0) return { type, status: "False", reason: "PartlyReachable", message };
  if (refused.length > 0) return { type, status: "False", reason: "CredentialRefused", message };
  return open.length > 0
    ? { type, status: "False", reason: "BreakerOpen", message }
    : { type, status: "True", reason: "Reachable", message };
}

/**
 * Set only while a provider reports implausible usage: meanwhile its calls are charged by estimates. null if it
 * doesn't.
 */
export function usageCondition(provider: string, proxies: readonly ProxyReport[]): Bare | null {
  const models = count(proxies.flatMap((report) => report.get(provider)?.implausible ?? []));
  if (models.length === 0) return null;
  const message = `in the last hour it reported usage that is impossible for the call, for ${listed(models)}; these calls are charged by an estimate. Check \`usage\` in its API's answers`;
  return { type: "UsagePlausible", status: "False", reason: "ImplausibleUsage", message };
}

/** The conditions of every provider that is served. */
export function healthPatches(verdicts: readonly Verdict[], proxies: readonly ProxyReport[]): StatusPatch[] {
  return verdicts
    .filter((verdict) => verdict.kind === "LLMProvider" && verdict.live !== "none")
    .map((verdict) => ({ verdict, conditions: conditionsOf(idOf(verdict.meta), proxies) }));
}

function conditionsOf(provider: string, proxies: readonly ProxyReport[]): Bare[] {
  const usage = usageCondition(provider, proxies);
  const discovery = discoveryCondition(proxies.flatMap((report) => report.get(provider)?.discovered ?? []));
  return [healthCondition(provider, proxies), ...[usage, discovery].filter((condition) => condition !== null)];
}
