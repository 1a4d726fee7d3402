/**
 * A legacy completions body → canonical request (https://platform.openai.com/docs/api-reference/completions/create):
 * the prompt becomes a user message. OpenAI's default of 16 tokens isn't carried over, since it predates reasoning
 * models.
 */
import { givenBesides, type JsonObject } from "../../wire/json.ts";
import { type ChatRequest, type Refusal, refusal } from "../canonical.ts";
import * as is from "../check.ts";

function chatHasNo(param: string): Refusal {
  return refusal(
    param,
    `\`${param}\` can't be translated for the provider of this model, which supports only chat. Leave it out, or choose a model that supports completions.`,
  );
}

const allowed =
  (...harmless: unknown[]): is.Check =>
  (value, param) =>
    harmless.includes(value) ? null : chatHasNo(param);

/** Names and types shared with chat completions. */
const shared: Readonly<Record<string, is.Check>> = {
  max_tokens: is.aCount,
  temperature: is.aNumber,
  top_p: is.aNumber,
  n: is.aWholeNumber,
  stream: is.aBoolean,
  stream_options: is.anObject,
  stop: is.aStringOrStrings,
  seed: is.anInteger,
  presence_penalty: is.aNumber,
  frequency_penalty: is.aNumber,
  logit_bias: is.someNumbers,
  user: is.aString,
};

const checks: Readonly<Record<string, is.Check>> = {
  ...shared,
  suffix: allowed(""),
  echo: allowed(false),
  best_of: allowed(1),
  // Even 0 asks for the log probability of the chosen token, in a form that chat doesn't have.
  logprobs: allowed(),
};
const known: ReadonlySet<string> = new Set([...Object.keys(checks), "model", "prompt"]);

function promptOf(given: unknown): string | Refusal {
  const prompt = Array.isArray(given) && given.length === 1 && typeof given[0] === "string" ? given[0] : given;
  if (typeof prompt === "string") return prompt;
  if (prompt === null || prompt === undefined)
    return refusal("prompt", "`prompt` is missing. Add it.", "missing_required_parameter");
  if (Array.isArray(prompt) && prompt.length > 0)
    return refusal(
      "prompt",
      "Several prompts, or prompts of token numbers, can't be translated for the provider of this model. Send one text per request.",
    );
  return is.invalid("prompt", "a text");
}

export function decode(body: JsonObject): ChatRequest | Refusal {
  const problem = is.required(body, "model", is.aString) ?? is.members(body, checks);
  if (problem) return problem;
  const prompt = promptOf(body["prompt"]);
  if (typeof prompt !== "string") return prompt;
  const request: ChatRequest = { model: body["model"] as string, messages: [{ role: "user", content: prompt }] };
  for (const name of Object.keys(shared))
    if ((body[name] ?? null) !== null) request[name === "max_tokens" ? "max_completion_tokens" : name] = body[name];
  return request;
}

export function dropped(body: JsonObject): string[] {
  return givenBesides(body, known);
}
