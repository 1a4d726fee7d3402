/** Refuses what OpenAI's Responses refuse (https://platform.openai.com/docs/api-reference/responses/create). */
import { type Json, list, misnamed, tooLong, unanswered, wordPattern } from "./json.ts";

/** Ids of items that OpenAI made: a prefix and hexadecimal digits. */
const ownId = /^(rs|msg|fc|ctc)_[0-9a-f]+$/;

function item(given: Json, where: string): string[] {
  const type = String(given["type"] ?? "message");
  const id = given["id"];
  const foreign = typeof id === "string" && !ownId.test(id);
  if (type === "item_reference") return foreign ? [`${where}: Item with id ${String(id)} not found`] : [];
  return [
    ...(foreign ? [`${where}.id: ${String(id)} is not an id of this API`] : []),
    ...tooLong(given["call_id"], 64, `${where}.call_id`),
    ...(type === "function_call" ? misnamed(given["name"], wordPattern(64), `${where}.name`) : []),
    ...(type === "reasoning" && String(given["encrypted_content"] ?? "").startsWith("enc-") === false && foreign
      ? [`${where}: the encrypted content could not be verified`]
      : []),
  ];
}

export function responsesComplaints(body: Json): string[] {
  const input = list(body["input"]);
  const ids = (...types: string[]): string[] =>
    input.filter((given) => types.includes(String(given["type"]))).map((given) => String(given["call_id"]));
  return [
    ...["user", "safety_identifier", "prompt_cache_key"].flatMap((name) => tooLong(body[name], 64, name)),
    ...input.flatMap((given, index) => item(given, `input[${index}]`)),
    ...unanswered(
      ids("function_call", "custom_tool_call"),
      ids("function_call_output", "custom_tool_call_output"),
      "input",
    ),
  ];
}
