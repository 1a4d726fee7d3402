/** Refuses what OpenAI's Responses refuse (https://platform.openai.com/docs/api-reference/responses/create). */
import { type Json, list, misnamed, own, tooLong, unanswered, unknownMembers, wordPattern } from "./json.ts";
import { factsOf } from "./models.ts";

/** Ids of items that OpenAI made: a prefix and hexadecimal digits. */
const ownId = /^(rs|msg|fc|ctc|ws)_[0-9a-f]+$/;

const members = [
  ...["model", "input", "instructions", "stream", "store", "include", "tools", "tool_choice", "parallel_tool_calls"],
  ...["max_output_tokens", "max_tool_calls", "temperature", "top_p", "top_logprobs", "text", "reasoning", "metadata"],
  ...["user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier", "truncation"],
  ...["previous_response_id", "conversation", "prompt", "background", "stream_options", "client_metadata"],
];
/** Of the body's messages, by role. */
const partTypes: Readonly<Record<string, readonly string[]>> = {
  user: ["input_text", "input_image", "input_file"],
  system: ["input_text"],
  developer: ["input_text"],
  assistant: ["output_text", "refusal"],
};

function parts(given: Json, where: string): string[] {
  const role = String(given["role"]);
  const types = partTypes[role];
  if (types === undefined) return [`${where}: unknown role ${role}`];
  return list(given["content"])
    .map((part) => String(part["type"]))
    .filter((type) => !types.includes(type))
    .map((type) => `${where}: a message of the ${role} can't have ${type}`);
}

function limits(body: Json): string[] {
  const facts = factsOf(body["model"]);
  const most = body["max_output_tokens"] ?? null;
  const effort = own(body["reasoning"])["effort"] ?? null;
  const includes = Array.isArray(body["include"]) ? body["include"] : [];
  return [
    ...(most !== null && Number(most) < 16 ? ["max_output_tokens: below minimum value"] : []),
    ...(Number(most ?? 0) > (facts.maxOutput ?? Number.POSITIVE_INFINITY) ? ["max_output_tokens is too large"] : []),
    ...(effort !== null && facts.efforts !== undefined && !facts.efforts.includes(String(effort))
      ? [`reasoning.effort ${String(effort)} is not supported by this model`]
      : []),
    ...(facts.sampling === false && ((body["temperature"] ?? 1) !== 1 || (body["top_p"] ?? 1) !== 1)
      ? ["temperature and top_p are not supported by this model"]
      : []),
    ...(facts.efforts?.length === 0 && includes.includes("reasoning.encrypted_content")
      ? ["Encrypted content is not supported with this model"]
      : []),
  ];
}

function item(given: Json, where: string): string[] {
  const type = String(given["type"] ?? "message");
  const id = given["id"];
  const foreign = typeof id === "string" && !ownId.test(id);
  if (type === "item_reference") return foreign ? [`${where}: Item with id ${String(id)} not found`] : [];
  return [
    ...(type === "message" ? parts(given, where) : []),
    ...(foreign ? [`${where}.id: ${String(id)} is not an id of this API`] : []),
    ...tooLong(given["call_id"], 64, `${where}.call_id`),
    ...(type === "function_call" ? misnamed(given["name"], wordPattern(64), `${where}.name`) : []),
    ...(type === "reasoning" &&
    String(given["encrypted_content"] ?? "").startsWith("enc-") === false &&
    (foreign || id === undefined)
      ? [`${where}: the encrypted content could not be verified`]
      : []),
  ];
}

export function responsesComplaints(body: Json): string[] {
  const input = list(body["input"]);
  const ids = (...types: string[]): string[] =>
    input.filter((given) => types.includes(String(given["type"]))).map((given) => String(given["call_id"]));
  return [
    ...unknownMembers(body, members, "body"),
    ...limits(body),
    ...list(body["tools"]).flatMap((tool) =>
      tool["type"] === "function" ? misnamed(tool["name"], wordPattern(64), "tools.name") : [],
    ),
    ...["user", "safety_identifier", "prompt_cache_key"].flatMap((name) => tooLong(body[name], 64, name)),
    ...input.flatMap((given, index) => item(given, `input[${index}]`)),
    ...unanswered(
      ids("function_call", "custom_tool_call"),
      ids("function_call_output", "custom_tool_call_output"),
      "input",
    ),
  ];
}
