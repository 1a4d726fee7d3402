/** Arguments of tool calls, which models write as JSON text. */
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";

/** Nothing and `null` mean no arguments. Returns null if the text isn't that of an object. */
export function argumentsIn(text: string): JsonObject | null {
  if (text.trim() === "") return {};
  const value = jsonIn(text);
  if (isObject(value)) return value;
  return text.trim() === "null" ? {} : null;
}
