/**
 * Batches of Anthropic's messages (https://platform.claude.com/docs/en/api/creating-message-batches): the models in a
 * request, the URL of its results, and the usage in them.
 */

import { decodeUsage } from "../dialects/anthropic-messages/usage.ts";
import type { Usage } from "../dialects/canonical.ts";
import { type Failure, failure } from "../failure.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";

/** The request with the provider's names of the models. `modelOf`: the name, if the caller may make such a request. */
export function batchRequest(
  json: JsonObject,
  modelOf: (params: JsonObject) => string | Failure,
): JsonObject | Failure {
  const { requests } = json;
  if (!Array.isArray(requests))
    return failure("missing_required_parameter", "`requests` must be a list.", { param: "requests" });
  const sent: unknown[] = [];
  for (const [index, request] of (requests as unknown[]).entries()) {
    const params = isObject(request) ? request["params"] : null;
    if (!isObject(request) || !isObject(params))
      return failure("invalid_value", "Each of `requests` must have `params`.", { param: "requests" });
    const model = modelOf(params);
    if (typeof model !== "string")
      return failure(model.code, `requests[${index}]: ${model.message}`, { param: "requests" });
    sent.push({ ...request, params: { ...params, model } });
  }
  return { ...json, requests: sent };
}

/** Makes the URL of a batch's results relative to the base URL, so that SDKs fetch them from the gateway. */
function withResults(object: unknown): unknown {
  if (!isObject(object) || typeof object["results_url"] !== "string") return object;
  return { ...object, results_url: `/v1/messages/batches/${String(object["id"])}/results` };
}

export function withOwnResults(answer: unknown): unknown {
  if (!isObject(answer) || !Array.isArray(answer["data"])) return withResults(answer);
  return { ...answer, data: (answer["data"] as unknown[]).map(withResults) };
}

const plus = (before: Usage, more: Usage): Usage => {
  const units = { ...before.units };
  for (const [unit, count] of Object.entries(more.units ?? {}))
    units[unit as keyof typeof units] = (units[unit as keyof typeof units] ?? 0) + count;
  return {
    ...before,
    prompt: before.prompt + more.prompt,
    cachedPrompt: before.cachedPrompt + more.cachedPrompt,
    cacheWrite: before.cacheWrite + more.cacheWrite,
    completion: before.completion + more.completion,
    reasoning: before.reasoning + more.reasoning,
    estimated: before.estimated || more.estimated,
    ...(more.implausible === true ? { implausible: true } : {}),
    ...(Object.keys(units).length === 0 ? {} : { units }),
  };
};

/** Ten times what any model reads and writes. */
const maxPrompt = 20_000_000;
const maxCompletion = 2_000_000;

const isImplausible = ({ prompt, completion, implausible }: Usage): boolean =>
  implausible === true || prompt > maxPrompt || completion > maxCompletion;

/** Usage of an answer whose report can't be true: its own length, and the average prompt of the other requests. */
const estimatedOf = (content: unknown, before: Usage | undefined, requests: number): Usage => ({
  prompt: before === undefined ? 0 : Math.ceil(before.prompt / requests),
  ...{ cachedPrompt: 0, cacheWrite: 0, reasoning: 0, estimated: true, implausible: true },
  completion: Math.ceil(JSON.stringify(content ?? "").length / 4),
});

/** Adds up the usage in the results of a batch, by the model that the provider names. */
export class BatchMeter {
  readonly usages = new Map<string, Usage>();
  readonly #requests = new Map<string, number>();

  line(line: string): void {
    const json = jsonIn(line);
    const result = isObject(json) ? json["result"] : null;
    const message = isObject(result) && result["type"] === "succeeded" ? result["message"] : null;
    const reported = isObject(message) ? decodeUsage(message["usage"]) : null;
    if (reported === null || !isObject(message)) return;
    const model = String(message["model"] ?? "");
    const before = this.usages.get(model);
    const requests = this.#requests.get(model) ?? 0;
    const usage = isImplausible(reported) ? estimatedOf(message["content"], before, requests) : reported;
    this.#requests.set(model, requests + 1);
    this.usages.set(model, before === undefined ? usage : plus(before, usage));
  }
}
