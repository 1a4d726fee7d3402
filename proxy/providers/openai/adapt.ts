/** Fits a translated request to what the model accepts. Pure. */
import type { ChatRequest } from "../../dialects/canonical.ts";
import { cappedOutput, type ModelFacts, nearestEffort } from "../model-facts.ts";

const limits = ["max_tokens", "max_completion_tokens"] as const;

/** Sampling that differs from the default. */
const sampling = ["temperature", "top_p"] as const;

/** `strict`: unknown parameters are refused, as at OpenAI. */
export function adapted(
  given: ChatRequest,
  facts: ModelFacts,
  strict: boolean,
): { request: ChatRequest; dropped: string[] } {
  const request: ChatRequest = { ...given };
  const dropped: string[] = [];
  const drop = (name: string): void => {
    if ((request[name] ?? null) !== null) dropped.push(name);
    delete request[name];
  };
  for (const name of limits) {
    const limit = request[name];
    if (typeof limit === "number") request[name] = cappedOutput(limit, facts);
  }
  const { reasoning_effort: effort } = request;
  const accepted = typeof effort === "string" ? nearestEffort(effort, facts) : null;
  if (accepted !== null) request.reasoning_effort = accepted;
  // A model that doesn't reason does as it is asked.
  else if (effort === "none") delete request.reasoning_effort;
  else drop("reasoning_effort");
  if (facts.sampling === false) for (const name of sampling) if (request[name] !== 1) drop(name);
  if (facts.stop === false) drop("stop");
  if (strict) drop("top_k");
  return { request, dropped };
}
