/**
 * Tools, tool choice and output format (https://ai.google.dev/api/caching#Tool,
 * https://ai.google.dev/gemini-api/docs/structured-output).
 */

import {
  type ChatRequest,
  type FunctionTool,
  isRefusal,
  type Refusal,
  refusal,
  type ToolChoice,
} from "../../dialects/canonical.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";
import { reduceSchema } from "./schema.ts";

export type SchemaForm = "JsonSchema" | "OpenApi";

/** A schema under the name that its form requires: `parametersJsonSchema` or `parameters`, and so on. */
function schemaMember(
  schema: JsonObject,
  form: SchemaForm,
  names: { JsonSchema: string; OpenApi: string },
  param: string,
): JsonObject | Refusal {
  const sent = form === "OpenApi" ? reduceSchema(schema, param) : schema;
  return isRefusal(sent) ? sent : { [names[form]]: sent };
}

/** A function without parameters has no schema at all: Gemini refuses an object without properties. */
function takesNothing(schema: JsonObject): boolean {
  const { properties, type } = schema;
  const combined = ["$ref", "allOf", "anyOf", "oneOf"].some((key) => schema[key] !== undefined);
  return (
    !combined &&
    (type === undefined || type === "object") &&
    (!isObject(properties) || Object.keys(properties).length === 0)
  );
}

function declaration(tool: FunctionTool, form: SchemaForm, index: number): JsonObject | Refusal {
  const { name, description, parameters } = tool.function;
  const names = { JsonSchema: "parametersJsonSchema", OpenApi: "parameters" };
  const schema =
    parameters == null || takesNothing(parameters)
      ? {}
      : schemaMember(parameters, form, names, `tools[${index}].function.parameters`);
  return isRefusal(schema) ? schema : { name, ...(description == null ? {} : { description }), ...schema };
}

const modes: Readonly<Record<string, string>> = { auto: "AUTO", none: "NONE", required: "ANY" };

function toolConfig(choice: ToolChoice, tools: readonly FunctionTool[]): JsonObject | Refusal {
  if (typeof choice === "string") return { functionCallingConfig: { mode: modes[choice] ?? "AUTO" } };
  const { name } = choice.function;
  if (tools.every((tool) => tool.function.name !== name))
    return refusal("tool_choice", "`tool_choice` names a function that isn't in `tools`.", "invalid_value");
  return { functionCallingConfig: { mode: "ANY", allowedFunctionNames: [name] } };
}

function declarations(tools: readonly FunctionTool[], form: SchemaForm): JsonObject[] | Refusal {
  const out: JsonObject[] = [];
  for (const [index, tool] of tools.entries()) {
    const declared = declaration(tool, form, index);
    if (isRefusal(declared)) return declared;
    out.push(declared);
  }
  return out;
}

function withoutTools(choice: ToolChoice): JsonObject | Refusal {
  if (choice === "auto" || choice === "none") return {};
  return refusal("tool_choice", "`tool_choice` asks for a call, but there are no `tools`.", "invalid_value");
}

export function toolMembers(request: ChatRequest, form: SchemaForm, dropped: Set<string>): JsonObject | Refusal {
  const tools = request.tools ?? [];
  const choice = request.tool_choice ?? "auto";
  if (tools.length === 0) return withoutTools(choice);
  // Only a forced call must match its schema.
  if (choice === "auto" && tools.some((tool) => tool.function.strict === true)) dropped.add("tools.strict");
  const functionDeclarations = declarations(tools, form);
  if (isRefusal(functionDeclarations)) return functionDeclarations;
  const config = toolConfig(choice, tools);
  return isRefusal(config)
    ? config
    : { tools: [{ functionDeclarations }], ...(request.tool_choice == null ? {} : { toolConfig: config }) };
}

/** Members of generationConfig. */
export function formatMembers(request: ChatRequest, form: SchemaForm): JsonObject | Refusal {
  const format = request.response_format;
  if (format == null || format.type === "text") return {};
  const json = { responseMimeType: "application/json" };
  if (format.type === "json_object" || format.json_schema.schema === undefined) return json;
  const names = { JsonSchema: "responseJsonSchema", OpenApi: "responseSchema" };
  const schema = schemaMember(format.json_schema.schema, form, names, "response_format.json_schema.schema");
  return isRefusal(schema) ? schema : { ...json, ...schema };
}
