/** Policies and their targets, with the share of calls that each target gets, and the progress of canaries. */
import type { RouteConfig } from "../../../proxy/config/route.ts";
import { progressIn, statusOfCanary } from "../../loops/canaries/book.ts";
import type { ConsoleFacts } from "../gather.ts";
import { seriesOf, sumTraffic, type TrafficPoint, type TrafficSum, timeline } from "../statistics.ts";
import { seesObject, type Viewer } from "../viewer.ts";
import { type ObjectState, objectState, urgencyOf } from "./conditions.ts";

export interface RouteRow {
  id: string;
  models: string[] | null;
  pathPrefix: string;
  strategy: RouteConfig["routing"]["strategy"];
  rules: number;
  state: ObjectState["state"];
  why: string;
  hour: TrafficSum;
  points: TrafficPoint[];
  targets: {
    name: string;
    provider: string;
    model: string | null;
    priority: number;
    weight: number;
    calls: number;
    errors: number;
    /** Share of the calls that reached a target in the last hour, 0 to 1; null if none did. */
    share: number | null;
    p95Ms: number | null;
  }[];
  /** Where copies of its calls go; null if none are made. */
  shadow: { provider: string; model: string | null; percent: number } | null;
  canary: {
    target: string;
    percent: number;
    phase: string;
    requests: number;
    errorRate: string | null;
    latencyP95: string | null;
    costIncrease: string | null;
    verdict: string;
  } | null;
}

function shadowOf({ shadow }: RouteConfig): RouteRow["shadow"] {
  if (shadow === undefined) return null;
  const { provider, model } = shadow.target;
  return { provider, model, percent: shadow.percent };
}

function canaryOf({ routing }: RouteConfig, status: unknown): RouteRow["canary"] {
  const progress = progressIn(status);
  if (routing.canary === null && progress === null) return null;
  const { target = "", percent = 0 } = routing.canary ?? {};
  if (progress === null)
    return {
      ...{ target, percent, phase: "Progressing", requests: 0, errorRate: null, latencyP95: null, costIncrease: null },
      verdict: "no calls yet",
    };
  const current = statusOfCanary(progress);
  return {
    target: current.target,
    percent,
    phase: current.phase,
    requests: current.requests,
    errorRate: current.errorRate ?? null,
    latencyP95: current.latencyP95 ?? null,
    costIncrease: current.costIncrease ?? null,
    verdict: current.verdict,
  };
}

function routeRow(config: RouteConfig, state: ObjectState | undefined, status: unknown, facts: ConsoleFacts): RouteRow {
  const { nowMs } = facts;
  const hourMs = 3_600_000;
  const series = seriesOf(facts.activities, "call").filter(({ route }) => route === config.id);
  const reached = sumTraffic(
    series.filter(({ target }) => target !== ""),
    nowMs,
    hourMs,
  ).calls;
  return {
    id: config.id,
    models: config.models,
    pathPrefix: config.pathPrefix,
    strategy: config.routing.strategy,
    rules: config.routing.rules.length,
    state: state?.state ?? "pending",
    why: state?.why ?? "",
    hour: sumTraffic(series, nowMs, hourMs),
    points: timeline(series, nowMs),
    targets: config.routing.targets.map(({ name, provider, model, priority, weight }) => {
      const sum = sumTraffic(
        series.filter(({ target }) => target === name),
        nowMs,
        hourMs,
      );
      const { calls, errors, p95Ms } = sum;
      return {
        name,
        provider,
        model,
        priority,
        weight,
        calls,
        errors,
        share: reached === 0 ? null : calls / reached,
        p95Ms,
      };
    }),
    shadow: shadowOf(config),
    canary: canaryOf(config, status),
  };
}

export function routesView(facts: ConsoleFacts, viewer: Viewer): { routes: RouteRow[]; unserved: ObjectState[] } {
  const objects = facts.objects.filter(
    ({ kind, meta }) => kind === "RoutingPolicy" && viewer.sees(kind, meta.namespace),
  );
  const states = new Map(objects.map((object) => [objectState(object).id, { state: objectState(object), object }]));
  const configs = (facts.config?.routes ?? []).filter(({ id }) => seesObject(viewer, "RoutingPolicy", id));
  const served = new Set(configs.map(({ id }) => id));
  const routes = configs.map((config) => {
    const known = states.get(config.id);
    return routeRow(config, known?.state, known?.object.status, facts);
  });
  return {
    routes: routes.sort((a, b) => urgencyOf(a.state) - urgencyOf(b.state) || b.hour.calls - a.hour.calls),
    unserved: [...states.values()].map(({ state }) => state).filter(({ id }) => !served.has(id)),
  };
}
