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
  /** Usage in the last minute against the provider's quota; null if there is none. */
  quota: { what: "requests" | "tokens"; used: number; limit: number }[];
  models: {
    name: string;
    upstream: string;
    sunset: string | null;
    priced: boolean;
    /** The worst state reported by any proxy. */
    breaker: "closed" | "half-open" | "open" | "unknown";
    cause: string | null;
    refused: boolean;
  }[];
  /** null if the provider is one server. */
  pool: PoolState | null;
}

/** How calls are spread over the servers of a pool. */
export interface PoolState {
  strategy: "LeastLoad" | "Prefix";
  /** `inFlight`: calls of all proxies. `failed`: a proxy failed to connect lately and calls others first. */
  servers: { address: string; inFlight: number; failed: boolean }[];
  /** Chooses in place of the strategy. `reason`: why a proxy got no answer. */
  picker: { pool: string; failOpen: boolean; reason: string | null } | null;
}

function poolOf({ id, pool }: ProviderConfig, { proxies }: ConsoleFacts): PoolState | null {
  if (pool === undefined) return null;
  const reports = proxies.flatMap(({ report }) => report?.providers.find((provider) => provider.id === id) ?? []);
  const servers = pool.pods.map((address) => {
    const readings = reports.flatMap(({ pods }) => pods?.find(({ pod }) => pod === address) ?? []);
    return {
      address,
      inFlight: readings.reduce((sum, { inFlight }) => sum + inFlight, 0),
      failed: readings.some(({ spared }) => spared),
    };
  });
  const reason = reports.flatMap(({ picker }) => picker?.reason ?? [])[0] ?? null;
  const picker = pool.picker === undefined ? null : { pool: pool.picker.pool, failOpen: pool.picker.failOpen, reason };
  return { strategy: pool.strategy, servers, picker };
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
    pool: poolOf(config, facts),
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
