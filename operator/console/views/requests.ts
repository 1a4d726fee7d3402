/** Recent calls, each with the reasons for its route, its target and its outcome. */
import type { RecentCall } from "../../../proxy/config/activity.ts";
import type { RouteConfig } from "../../../proxy/config/route.ts";
import type { ConsoleFacts } from "../gather.ts";
import { seesObject, seesUsage, type Viewer } from "../viewer.ts";

export interface ExplainedCall extends RecentCall {
  /** Sentences in the order of the decisions. */
  why: { about: "caller" | "route" | "target" | "attempt" | "answer" | "refusal"; text: string }[];
}

/** Replaces the name of an object that the viewer may not list. */
export const hiddenName = "(in another namespace)";

const outcomes: Readonly<Record<string, string>> = {
  ok: "answered",
  RateLimited: "rate limited by the provider",
  Unavailable: "not available",
  Timeout: "took too long",
  ServerError: "failed on the provider's side",
  Unauthorized: "refused the gateway's credential",
  ContextLength: "can't hold the prompt",
  ContentPolicy: "refused by the provider's content filter",
};

const seconds = (ms: number): string => (ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`);

function strategyWhy(config: RouteConfig, call: RecentCall): string {
  const { routing } = config;
  const target = routing.targets.find(({ name }) => name === call.target);
  if (target === undefined) return "the policy has been edited since";
  if (routing.canary?.target === target.name)
    return `it is the canary, which gets ${routing.canary.percent} % of the calls`;
  if (call.attempts.length > 1 && call.attempts[0]?.target !== call.target)
    return "the targets before it did not answer";
  const rules = routing.rules.length === 0 ? "" : "; a rule that matches decides before that";
  const kept = routing.affinity?.by === "Session" ? "sessions" : "callers";
  if (routing.affinity !== null) return `affinity by ${routing.affinity.by} keeps ${kept} on their target${rules}`;
  switch (routing.strategy) {
    case "Priority":
      return routing.targets.some(({ priority }) => priority < target.priority)
        ? `strategy Priority, and no target with a priority before ${target.priority} could be called${rules}`
        : `strategy Priority, its priority is ${target.priority}${rules}`;
    case "Weighted": {
      const sum = routing.targets.reduce((total, { weight }) => total + weight, 0);
      return `strategy Weighted, its share is ${target.weight} of ${sum}${rules}`;
    }
    case "RoundRobin":
      return `strategy RoundRobin, targets take turns${rules}`;
    case "LeastLatency":
      return `strategy LeastLatency, it answered fastest of late${rules}`;
    case "LeastCost":
      return `strategy LeastCost, it is the cheapest for this request${rules}`;
  }
}

function whyRoute(call: RecentCall, config: RouteConfig | undefined): string {
  if (call.route === hiddenName) return "A policy of another namespace, which is shared with this one, serves it.";
  if (config === undefined) return `Policy ${call.route} served it.`;
  const models = config.models === null ? "any model" : `model ${call.model || config.models.join(", ")}`;
  const place = config.pathPrefix === "" ? "" : ` under ${config.pathPrefix}`;
  return `Policy ${call.route} serves ${models}${place}.`;
}

const choosers: Readonly<Record<string, string>> = {
  Picker: "chosen by the pool's endpoint picker",
  LeastLoad: "it had the fewest calls under way",
  Prefix: "it has seen how this conversation begins",
};

function serverWhy(server: RecentCall["attempts"][number]["server"]): string {
  if (server === undefined) return "";
  const why = choosers[server.chosenBy];
  return ` at server ${server.address}${why === undefined ? "" : ` (${why})`}`;
}

function attemptsWhy(call: RecentCall): ExplainedCall["why"] {
  return call.attempts.map(({ provider, target, model, outcome, durationMs, server, cause }) => {
    const what = outcomes[outcome] ?? outcome;
    const reason = cause === undefined ? "" : ` (${cause})`;
    const text = `${target || provider}, ${model}${serverWhy(server)}: ${what}${reason} after ${seconds(durationMs)}.`;
    return { about: "attempt", text };
  });
}

const fixers: Readonly<Record<NonNullable<RecentCall["blame"]>, string>> = {
  caller: "The caller can fix it.",
  policy: "The policy's owner decides this.",
  provider: "The provider failed.",
  gateway: "The gateway's operators can fix it.",
};

function outcomeWhy(call: RecentCall): ExplainedCall["why"] {
  const lines: ExplainedCall["why"] = [];
  if (call.cache === "hit") lines.push({ about: "answer", text: "Answered from the cache; no provider was asked." });
  if (call.cache === "semantic")
    lines.push({ about: "answer", text: "Answered from the cache, by a question with the same meaning." });
  if (call.dropped.length > 0)
    lines.push({
      about: "answer",
      text: `Left out, since the provider does not have them: ${call.dropped.join(", ")}.`,
    });
  const masked = Object.entries(call.masked ?? {}).filter(([, values]) => values > 0);
  if (masked.length > 0)
    lines.push({ about: "answer", text: `Masked: ${masked.map(([type, values]) => `${values} ${type}`).join(", ")}.` });
  if (call.code !== null) {
    const cause = call.cause === null ? "" : ` ${call.cause}.`;
    const fixer = call.blame === null ? "" : ` ${fixers[call.blame]}`;
    lines.push({ about: "refusal", text: `${call.status} ${call.code}.${cause}${fixer}` });
  }
  if (call.ending === "broken") lines.push({ about: "answer", text: "The stream broke after it had begun." });
  if (call.ending === "abandoned") lines.push({ about: "answer", text: "The client closed the connection." });
  if (call.ending === "stalled")
    lines.push({ about: "answer", text: "The client stopped reading and was disconnected." });
  return lines;
}

export function explained(call: RecentCall, config: RouteConfig | undefined): ExplainedCall {
  const why: ExplainedCall["why"] = [];
  const caller =
    call.key === "" ? "A caller without a key." : `${call.user} with key ${call.key}, role ${call.role || "none"}.`;
  why.push({ about: "caller", text: caller });
  if (call.route !== "") why.push({ about: "route", text: whyRoute(call, config) });
  if (call.target !== "" && config !== undefined)
    why.push({ about: "target", text: `${call.target}: ${strategyWhy(config, call)}.` });
  return { ...call, why: [...why, ...attemptsWhy(call), ...outcomeWhy(call)] };
}

/** Removes names, models and causes of objects that the viewer may not list. */
export function redacted(call: RecentCall, viewer: Viewer): RecentCall {
  const seesRoute = call.route === "" || seesObject(viewer, "RoutingPolicy", call.route);
  const seesProvider = (id: string): boolean => id === "" || seesObject(viewer, "LLMProvider", id);
  const all = seesRoute && [call, ...call.attempts].every(({ provider }) => seesProvider(provider));
  if (all) return call;
  return {
    ...call,
    route: seesRoute ? call.route : hiddenName,
    target: seesRoute ? call.target : "",
    provider: seesProvider(call.provider) ? call.provider : hiddenName,
    upstreamModel: "",
    region: "",
    cause: null,
    attempts: call.attempts.map(({ outcome, durationMs }) => ({
      provider: hiddenName,
      target: "",
      model: call.model,
      outcome,
      durationMs,
    })),
  };
}

/** Newest first. */
export function explainedCalls(facts: ConsoleFacts, viewer: Viewer): ExplainedCall[] {
  const routes = new Map((facts.config?.routes ?? []).map((route) => [route.id, route]));
  return facts.activities
    .flatMap(({ calls }) => calls)
    .filter(({ namespace }) => seesUsage(viewer, namespace))
    .sort((a, b) => b.endedMs - a.endedMs)
    .slice(0, 500)
    .map((call) =>
      explained(
        redacted(call, viewer),
        seesObject(viewer, "RoutingPolicy", call.route) ? routes.get(call.route) : undefined,
      ),
    );
}
