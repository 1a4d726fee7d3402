/** An endpoint that was copied with the path of a call at its end. Pure. */
import { type ParsedObject, problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

/** Paths that proxies add to an endpoint. */
const callPaths = ["/chat/completions", "/completions", "/responses", "/embeddings", "/messages"];

/** A warning, since an API may have such a path above its own. */
export function callPathIn({ spec: { endpoint = "" } }: ParsedObject<"LLMProvider">): Problem[] {
  const path = URL.parse(endpoint)?.pathname.replace(/\/+$/, "") ?? "";
  const added = callPaths.find((callPath) => path.endsWith(callPath));
  if (added === undefined) return [];
  const message = `spec.endpoint ends with ${added}, which Sluice adds for each call; leave it out unless the API's own paths begin with it`;
  return [problem("Invalid", message, ["spec", "endpoint"], "warning")];
}
