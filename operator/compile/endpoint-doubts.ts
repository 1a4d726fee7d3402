/** Endpoints that are probably a mistake. Pure. */
import { type ParsedObject, problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

/** Paths that proxies add to an endpoint. */
const callPaths = ["/chat/completions", "/completions", "/responses", "/embeddings", "/messages"];

/** A warning, since an API may have such a path above its own. */
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

export const endpointDoubts = (provider: ParsedObject<"LLMProvider">): Problem[] => [
  ...callPathIn(provider),
  ...clearTextIn(provider),
];
