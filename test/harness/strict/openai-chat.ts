/** Refuses what OpenAI's chat completions refuse (https://platform.openai.com/docs/api-reference/chat/create). */
import { type Json, list, misnamed, own, tooLong, unanswered, unknownMembers, wordPattern } from "./json.ts";
import { factsOf } from "./models.ts";

const members = [
  ...["model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p"],
  ...["n", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "tools"],
  ...["tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "user", "metadata", "store"],
  ...["service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "verbosity", "modalities"],
  ...["prediction", "web_search_options", "functions", "function_call", "audio"],
];
const messageMembers: Readonly<Record<string, readonly string[]>> = {
  system: ["role", "content", "name"],
  developer: ["role", "content", "name"],
  user: ["role", "content", "name"],
  assistant: ["role", "content", "name", "tool_calls", "refusal", "audio", "annotations", "function_call"],
  tool: ["role", "content", "tool_call_id"],
};

function message(given: Json, where: string): string[] {
  const role = String(given["role"]);
  const calls = list(given["tool_calls"]);
  const empty = role === "assistant" && (given["content"] ?? null) === null && calls.length === 0 && !given["refusal"];
  return [
    ...unknownMembers(given, messageMembers[role] ?? [], where),
    ...(empty ? [`${where}: content is missing`] : []),
    ...(given["tool_calls"] !== undefined && calls.length === 0 ? [`${where}.tool_calls: too short`] : []),
    ...calls.flatMap((call) => [
      ...tooLong(call["id"], 40, `${where}.tool_calls.id`),
      ...(call["id"] ? [] : [`${where}.tool_calls.id is missing`]),
      ...misnamed(own(call["function"])["name"], wordPattern(64), `${where}.tool_calls.function.name`),
    ]),
    ...tooLong(given["tool_call_id"], 40, `${where}.tool_call_id`),
    ...(given["name"] === undefined ? [] : misnamed(given["name"], /^[^\s<|\\/>]{1,64}$/, `${where}.name`)),
    ...list(given["content"]).flatMap((part) => unknownMembers(part, partMembers, `${where}.content`)),
  ];
}

const partMembers = ["type", "text", "image_url", "input_audio", "file", "refusal"];

/** Each call is answered by the messages right after it, and each result has a call. */
function pairs(messages: readonly Json[]): string[] {
  return messages.flatMap((given, index) => {
    if (given["role"] === "tool") {
      const before = messages.slice(0, index).findLast((one) => one["role"] !== "tool");
      return before?.["role"] === "assistant" && list(before["tool_calls"]).length > 0
        ? []
        : [`messages[${index}]: orphan`];
    }
    const calls = list(given["tool_calls"]).map((call) => String(call["id"]));
    if (calls.length === 0) return [];
    const rest = messages.slice(index + 1);
    const end = rest.findIndex((one) => one["role"] !== "tool");
    const results = (end < 0 ? rest : rest.slice(0, end)).map((one) => String(one["tool_call_id"]));
    return unanswered(calls, results, `messages[${index}]`);
  });
}

function limits(body: Json): string[] {
  const facts = factsOf(body["model"]);
  const most = Number(body["max_tokens"] ?? body["max_completion_tokens"] ?? 0);
  const effort = body["reasoning_effort"] ?? null;
  const stops = Array.isArray(body["stop"]) ? body["stop"].length : 0;
  const sampled = facts.sampling === false && ((body["temperature"] ?? 1) !== 1 || (body["top_p"] ?? 1) !== 1);
  const format = String(own(body["response_format"])["type"]);
  return [
    ...(facts.maxOutput !== undefined && most > facts.maxOutput ? [`max_tokens is too large: ${most}`] : []),
    ...(effort !== null && facts.efforts !== undefined && !facts.efforts.includes(String(effort))
      ? [`reasoning_effort ${String(effort)} is not supported by this model`]
      : []),
    ...(facts.toolsOnlyInResponses === true && body["tools"] !== undefined && effort !== "none"
      ? ["Function tools with reasoning_effort are not supported in /v1/chat/completions"]
      : []),
    ...(facts.reasons === true && (body["max_tokens"] ?? null) !== null ? ["max_tokens is not supported"] : []),
    ...(facts.reasons === true && (body["stop"] ?? null) !== null ? ["stop is not supported by this model"] : []),
    ...(sampled ? ["temperature and top_p are not supported by this model"] : []),
    ...(format === "json_schema" && facts.jsonSchema === false ? ["json_schema is not supported by this model"] : []),
    ...(stops > 4 ? ["stop: array too long"] : []),
  ];
}

export function chatComplaints(body: Json): string[] {
  const metadata = own(body["metadata"]);
  const tools = list(body["tools"]);
  return [
    ...unknownMembers(body, members, "body"),
    ...["user", "safety_identifier", "prompt_cache_key"].flatMap((name) => tooLong(body[name], 64, name)),
    ...(Object.keys(metadata).length > 16 ? ["metadata: too many properties"] : []),
    ...Object.entries(metadata).flatMap(([name, value]) => [
      ...tooLong(name, 64, "metadata"),
      ...tooLong(value, 512, name),
    ]),
    ...(body["tools"] !== undefined && tools.length === 0 ? ["tools: too short"] : []),
    ...(tools.length > 128 ? ["tools: too long"] : []),
    ...tools.flatMap((tool) => [
      ...unknownMembers(tool, ["type", "function", "custom"], "tools"),
      ...(tool["type"] === "custom"
        ? []
        : misnamed(own(tool["function"])["name"], wordPattern(64), "tools.function.name")),
    ]),
    ...list(body["messages"]).flatMap((given, index) => message(given, `messages[${index}]`)),
    ...pairs(list(body["messages"])),
    ...limits(body),
  ];
}
