/** Warnings about valid LLMProvider specs that are probably mistakes. Pure. */
import { durationMs } from "../../crds/quantity.ts";
import { defaultDelays, defaultTimeouts } from "../../crds/types/llm-provider.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import { type ParsedObject, problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

/** Paths that proxies append to an endpoint. */
const callPaths = ["/chat/completions", "/completions", "/responses", "/embeddings", "/messages"];

/** Only a warning, since an API may be below such a path. */
function callPathIn({ spec: { endpoint = "" } }: ParsedObject<"LLMProvider">): Problem[] {
  const path = URL.parse(endpoint)?.pathname.replace(/\/+$/, "") ?? "";
  const added = callPaths.find((callPath) => path.endsWith(callPath));
  if (added === undefined) return [];
  const message = `spec.endpoint ends with ${added}, which Sluice adds for each call; leave it out unless the API's own paths begin with it`;
  return [problem("Invalid", message, ["spec", "endpoint"], "warning")];
}

/** Without `allowPrivateEndpoint`, proxies call public addresses only. */
function clearTextIn({ spec }: ParsedObject<"LLMProvider">): Problem[] {
  const { endpoint = "", allowPrivateEndpoint, credentials } = spec;
  if (allowPrivateEndpoint || credentials === undefined || URL.parse(endpoint)?.protocol !== "http:") return [];
  const message =
    "spec.endpoint begins with http://, so the credential and every prompt cross the internet unencrypted; use https://";
  return [problem("Invalid", message, ["spec", "endpoint"], "warning")];
}

type Declared = Readonly<Record<string, Capabilities>>;

const isWithin = (host: string, domain: string): boolean => host === domain || host.endsWith(`.${domain}`);

function otherTypeIn({ spec: { type, endpoint = "" } }: ParsedObject<"LLMProvider">, declared: Declared): Problem[] {
  const url = URL.parse(endpoint);
  const owner = Object.values(declared).find(({ ownDomains }) =>
    ownDomains?.names.some((domain) => isWithin(url?.hostname ?? "", domain)),
  );
  if (url === null || owner?.ownDomains === undefined || declared[type]?.identity === owner.identity) return [];
  if (url.pathname.startsWith(owner.ownDomains.alsoUnder)) return [];
  const message = `spec.endpoint is a server of ${owner.title}, and spec.type is ${type}; set type: ${owner.type}, or let the endpoint end with ${owner.ownDomains.alsoUnder}`;
  return [problem("Invalid", message, ["spec", "type"], "warning")];
}

/** Times that `timeouts.total` ends, if it is shorter. */
function uselessTimesIn({ spec: { timeouts, retry } }: ParsedObject<"LLMProvider">): Problem[] {
  const { total, ...parts } = timeouts;
  const { total: _, ...defaultParts } = defaultTimeouts;
  const { initialDelay, maxDelay } = retry;
  const times = [
    ...Object.entries(parts).map(([part, time]) => ["timeouts", part, time] as const),
    ...Object.entries({ initialDelay, maxDelay }).map(([delay, time]) => ["retry", delay, time] as const),
  ];
  const defaults: Readonly<Record<string, string>> = { ...defaultParts, ...defaultDelays };
  return times.flatMap(([member, name, time]) => {
    const ms = durationMs(time);
    // The defaults are long, so a shorter total is intended.
    if (ms === durationMs(defaults[name] ?? "") || ms <= durationMs(total)) return [];
    const message = `spec.${member}.${name} of ${time} has no effect, since spec.timeouts.total ends the call after ${total}`;
    return [problem("Invalid", message, ["spec", member, name], "warning")];
  });
}

/** A model is withdrawn at the start of its day in UTC. */
const sunsetMs = (day: string): number => Date.parse(`${day}T00:00:00Z`);

function retiredIn({ spec: { models } }: ParsedObject<"LLMProvider">, nowMs: number): Problem[] {
  return models.flatMap(({ name, sunset }, index) => {
    if (sunset === undefined || sunsetMs(sunset) > nowMs) return [];
    const message = `model ${name} was withdrawn by its provider on ${sunset}, says its sunset; use another model, or correct the day`;
    return [problem("Invalid", message, ["spec", "models", index, "sunset"], "warning")];
  });
}

export const providerDoubts = (provider: ParsedObject<"LLMProvider">, declared: Declared, nowMs: number): Problem[] => [
  ...otherTypeIn(provider, declared),
  ...callPathIn(provider),
  ...clearTextIn(provider),
  ...uselessTimesIn(provider),
  ...retiredIn(provider, nowMs),
];
