/** Providers: whether they can be reached, how fast they answer, and how much of their quota is used. */
import type { ProviderConfig } from "../../../proxy/config/provider.ts";
import type { ConsoleFacts } from "../gather.ts";
import { seriesOf, sumTraffic, type TrafficPoint, type TrafficSum, timeline } from "../statistics.ts";
import { seesObject, type Viewer } from "../viewer.ts";
import { type ObjectState, objectState, urgencyOf } from "./conditions.ts";

export interface ProviderRow {
  id: string;
  type: string;
  endpoint: string;
  region: string | null;
  state: ObjectState["state"];
  why: string;
  /** Proxies that reach it, that don't, and that don't know. */
  reach: { well: number; ill: number; unknown: number };
  hour: TrafficSum;
  points: TrafficPoint[];
  /** Used in the last minute, of what the provider grants; null if there is no quota. */
  quota: { what: "requests" | "tokens"; used: number; limit: number }[];
  models: {
    name: string;
    upstream: string;
    sunset: string | null;
    priced: boolean;
    /** The worst state that a proxy reports. */
    breaker: "closed" | "half-open" | "open" | "unknown";
    cause: string | null;
    refused: boolean;
  }[];
}

const worstFirst = ["open", "half-open", "closed"] as const;

function modelsOf(config: ProviderConfig, { proxies }: ConsoleFacts): ProviderRow["models"] {
  const reports = proxies.flatMap(({ report }) => report?.providers.find(({ id }) => id === config.id) ?? []);
  return Object.entries(config.models).map(([name, { upstream, sunset, price }]) => {
    const states = reports.flatMap(({ breakers }) => breakers[name] ?? []);
    return {
      name,
      upstream,
      sunset,
      priced: price !== null,
      breaker: worstFirst.find((state) => states.includes(state)) ?? "unknown",
      cause: reports.flatMap(({ causes }) => causes[name] ?? [])[0] ?? null,
      refused: reports.some(({ refused }) => refused.includes(name)),
    };
  });
}

function reachOf(id: string, { proxies }: ConsoleFacts): ProviderRow["reach"] {
  const verdicts = proxies.map(
    ({ report }) => report?.providers.find((provider) => provider.id === id)?.healthy ?? null,
  );
  return {
    well: verdicts.filter((healthy) => healthy === true).length,
    ill: verdicts.filter((healthy) => healthy === false).length,
    unknown: verdicts.filter((healthy) => healthy === null).length,
  };
}

function providerRow(config: ProviderConfig, state: ObjectState | undefined, facts: ConsoleFacts): ProviderRow {
  const { nowMs, activities } = facts;
  const { id, type, endpoint, region, quota } = config;
  const attempts = seriesOf(activities, "attempt").filter(({ provider }) => provider === id);
  const minute = sumTraffic(attempts, nowMs, 60_000);
  const calls = sumTraffic(
    seriesOf(activities, "call").filter(({ provider }) => provider === id),
    nowMs,
    60_000,
  );
  const limits = [
    { what: "requests", used: minute.calls, limit: quota.requestsPerMinute },
    { what: "tokens", used: calls.promptTokens + calls.completionTokens, limit: quota.tokensPerMinute },
  ] as const;
  return {
    id,
    type,
    endpoint,
    region,
    state: state?.state ?? "pending",
    why: state?.why ?? "",
    reach: reachOf(id, facts),
    hour: sumTraffic(attempts, nowMs, 3_600_000),
    points: timeline(attempts, nowMs),
    quota: limits.flatMap(({ what, used, limit }) => (limit === null ? [] : [{ what, used, limit }])),
    models: modelsOf(config, facts),
  };
}

export function providersView(
  facts: ConsoleFacts,
  viewer: Viewer,
): { providers: ProviderRow[]; unserved: ObjectState[] } {
  const all = facts.objects
    .filter(({ kind, meta }) => kind === "LLMProvider" && viewer.sees(kind, meta.namespace))
    .map(objectState);
  const states = new Map(all.map((state) => [state.id, state]));
  const configs = (facts.config?.providers ?? []).filter(({ id }) => seesObject(viewer, "LLMProvider", id));
  const served = new Set(configs.map(({ id }) => id));
  return {
    providers: configs
      .map((config) => providerRow(config, states.get(config.id), facts))
      .sort((a, b) => urgencyOf(a.state) - urgencyOf(b.state) || b.hour.calls - a.hour.calls),
    unserved: all.filter(({ id }) => !served.has(id)),
  };
}
