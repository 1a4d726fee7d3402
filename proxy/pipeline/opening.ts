/**
 * How a conversation begins: its system prompt and the first message of the user, which all of its turns share. A server
 * that has computed them before answers sooner.
 */
import { isObject, type JsonObject } from "../wire/json.ts";

const maxCharacters = 16_384;

const textOf = (value: unknown): string =>
  typeof value === "string" ? value.slice(0, maxCharacters) : JSON.stringify(value).slice(0, maxCharacters);

/** "" if nothing is known. */
export function openingOf(json: JsonObject): string {
  const turns = json["messages"] ?? json["input"] ?? json["prompt"];
  const own = json["system"] ?? json["instructions"];
  const before = own === undefined || own === null ? "" : textOf(own);
  if (!Array.isArray(turns)) return turns === undefined || turns === null ? before : `${before}\n${textOf(turns)}`;
  let opening = before;
  for (const turn of turns as unknown[]) {
    opening += `\n${textOf(turn)}`;
    if (opening.length >= maxCharacters || !isObject(turn) || turn["role"] === "user") break;
  }
  return opening;
}
