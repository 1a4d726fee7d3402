/**
 * A Responses body → canonical request. The gateway keeps no state between calls, so references to earlier calls are
 * refused.
 */
import { isObject, type JsonObject } from "../../wire/json.ts";
import { type ChatRequest, isRefusal, type Refusal } from "../canonical.ts";
import * as is from "../check.ts";
import { openAiOnly } from "./content.ts";
import { decodeInput, leftOutItems } from "./input.ts";
import { checkedTool, hostedTypes, toolChoice, toolParameters } from "./tools.ts";
import { unreadMembers } from "./unread.ts";

const refuse: is.Check = (_value, param) => openAiOnly(param);
const refuseTrue: is.Check = (value, param) => (value === false ? null : openAiOnly(param));

const text: is.Check = (value, param) => {
  if (!isObject(value)) return is.invalid(param, "an object");
  const problem = is.members(value, { format: is.anObject, verbosity: is.aString }, `${param}.`);
  const format = value["format"];
  if (problem || !isObject(format)) return problem;
  const path = `${param}.format.`;
  const wrong = is.oneOf("text", "json_object", "json_schema")(format["type"], `${path}type`);
  if (wrong || format["type"] !== "json_schema") return wrong;
  return (
    is.required(format, "name", is.aString, path) ??
    is.required(format, "schema", is.anObject, path) ??
    is.members(format, { strict: is.aBoolean, description: is.aString }, path)
  );
};

const reasoning: is.Check = (value, param) =>
  is.anObject(value, param) ?? is.members(value as JsonObject, { effort: is.aString }, `${param}.`);

const checks: Readonly<Record<string, is.Check>> = {
  instructions: is.aString,
  stream: is.aBoolean,
  max_output_tokens: is.aCount,
  temperature: is.aNumber,
  top_p: is.aNumber,
  top_logprobs: is.aCount,
  parallel_tool_calls: is.aBoolean,
  user: is.aString,
  tools: is.objects(checkedTool),
  tool_choice: toolChoice,
  text,
  reasoning,
  include: is.aStringOrStrings,
  previous_response_id: refuse,
  conversation: refuse,
  prompt: refuse,
  background: refuseTrue,
  store: is.aBoolean,
};

/** Names that chat completions also have. Whether they are supported is up to the provider. */
const samePlace = [
  "stream",
  "temperature",
  "top_p",
  "parallel_tool_calls",
  "user",
  "metadata",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
] as const;
/** Parameters that don't affect translation. `max_tool_calls` counts only calls of tools that OpenAI runs. */
const harmless = ["model", "input", "stream_options", "max_tool_calls"];
const known: ReadonlySet<string> = new Set([...Object.keys(checks), ...samePlace, ...harmless]);

type Optional = Partial<ChatRequest>;

function formatOf(format: unknown): Optional {
  if (!isObject(format)) return {};
  if (format["type"] === "json_object") return { response_format: { type: "json_object" } };
  if (format["type"] !== "json_schema") return {};
  const { type: _type, ...schema } = format;
  return { response_format: { type: "json_schema", json_schema: schema as { name: string } } };
}

function textParameters(body: JsonObject): Optional {
  const text = isObject(body["text"]) ? body["text"] : {};
  const effort = isObject(body["reasoning"]) ? body["reasoning"]["effort"] : undefined;
  return {
    ...formatOf(text["format"]),
    ...(typeof text["verbosity"] === "string" ? { verbosity: text["verbosity"] } : {}),
    ...(typeof effort === "string" ? { reasoning_effort: effort } : {}),
  };
}

function plainParameters(body: JsonObject): Optional {
  const out: Optional = {};
  for (const name of samePlace) if ((body[name] ?? null) !== null) out[name as string] = body[name];
  if (typeof body["max_output_tokens"] === "number") out.max_completion_tokens = body["max_output_tokens"];
  if (asksLogprobs(body))
    Object.assign(out, { logprobs: true, ...(body["top_logprobs"] ? { top_logprobs: body["top_logprobs"] } : {}) });
  return out;
}

function asksLogprobs(body: JsonObject): boolean {
  const include = Array.isArray(body["include"]) ? body["include"] : [];
  return Number(body["top_logprobs"] ?? 0) > 0 || include.includes("message.output_text.logprobs");
}

export function decode(body: JsonObject): ChatRequest | Refusal {
  const problem = is.required(body, "model", is.aString) ?? is.members(body, checks);
  if (problem) return problem;
  const messages = decodeInput(body);
  if (isRefusal(messages)) return messages;
  return {
    model: body["model"] as string,
    messages,
    ...plainParameters(body),
    ...toolParameters(body),
    ...textParameters(body),
  };
}

/** Parameters, tools that OpenAI runs and what they left in the conversation, and members that nothing reads. */
export function dropped(body: JsonObject): string[] {
  const parameters = Object.keys(body).filter(
    (name) =>
      !known.has(name) && (body[name] ?? null) !== null && !(name === "truncation" && body[name] === "disabled"),
  );
  return [
    ...parameters,
    // Nothing is kept of a translated answer.
    ...(body["store"] === true ? ["store"] : []),
    ...hostedTypes(body).map((type) => `tools.${type}`),
    ...leftOutItems(body).map((type) => `input.${type}`),
    ...unreadMembers(body),
  ];
}
