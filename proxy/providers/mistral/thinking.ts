/** Reasoning models answer with a list of `text` and `thinking` chunks where OpenAI has a string. */
import { isObject, type JsonObject } from "../../wire/json.ts";

function textOf(chunk: JsonObject): string {
  if (typeof chunk["text"] === "string") return chunk["text"];
  const thinking = chunk["thinking"];
  if (typeof thinking === "string") return thinking;
  return Array.isArray(thinking) ? thinking.filter(isObject).map(textOf).join("") : "";
}

/** A message or delta with its content in OpenAI's form and the thinking in `reasoning_content`. */
export function plain(message: JsonObject): JsonObject {
  const content = message["content"];
  if (!Array.isArray(content)) return message;
  const chunks = content.filter(isObject);
  const join = (type: string): string =>
    chunks
      .filter((chunk) => chunk["type"] === type)
      .map(textOf)
      .join("");
  const reasoning = join("thinking");
  return { ...message, content: join("text"), ...(reasoning === "" ? {} : { reasoning_content: reasoning }) };
}

/** Does the same for every choice of an answer or chunk. */
export function plainChoices(body: unknown, member: "message" | "delta"): unknown {
  if (!isObject(body) || !Array.isArray(body["choices"])) return body;
  const choices = body["choices"].map((choice: unknown) =>
    isObject(choice) && isObject(choice[member]) ? { ...choice, [member]: plain(choice[member]) } : choice,
  );
  return { ...body, choices };
}
