/**
 * Freeform tools, whose input is plain text (https://platform.openai.com/docs/guides/function-calling#custom-tools), as
 * functions of one string, for models that only have functions.
 */
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import type { FunctionTool } from "./canonical.ts";

const member = "input";

/** The grammar tells the model what the input looks like; nothing enforces it at other providers. */
function grammarOf(format: unknown): string {
  if (!isObject(format)) return "";
  const grammar = isObject(format["grammar"]) ? format["grammar"] : format;
  const { definition, syntax } = grammar;
  return typeof definition === "string"
    ? `\n\n\`${member}\` must follow this ${typeof syntax === "string" ? syntax : ""} grammar:\n${definition}`
    : "";
}

export function freeformTool(name: string, { description, format }: JsonObject): FunctionTool {
  const text = (typeof description === "string" ? description : "") + grammarOf(format);
  return {
    type: "function",
    function: {
      name,
      ...(text.trim() === "" ? {} : { description: text.trim() }),
      parameters: {
        type: "object",
        properties: { [member]: { type: "string", description: "The tool's whole input, as plain text." } },
        required: [member],
        additionalProperties: false,
      },
    },
  };
}

export const freeformArguments = (input: string): string => JSON.stringify({ [member]: input });

/** The text that the model wrote. Arguments in another form stay as they are. */
export function freeformInput(text: string): string {
  const value = jsonIn(text);
  return isObject(value) && typeof value[member] === "string" ? value[member] : text;
}
