/** Tools, tool choice and output format (https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview). */

import { type ChatRequest, type FunctionTool, type Refusal, refusal } from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";

export interface Tools {
  tools?: JsonObject[];
  tool_choice?: JsonObject;
  dropped: string[];
}

/** An object schema. OpenAI allows a function without parameters to omit it. */
export function inputSchema({ function: { parameters } }: FunctionTool): JsonObject {
  return parameters === undefined || parameters === null
    ? { type: "object", properties: {} }
    : { type: "object", ...parameters };
}

function toolOf(tool: FunctionTool, strict: boolean): JsonObject {
  const { name, description } = tool.function;
  return {
    name,
    ...(description ? { description } : {}),
    input_schema: inputSchema(tool),
    ...(strict && tool.function.strict === true ? { strict: true } : {}),
  };
}

/** `tool_choice` in Claude's form; null to omit it. */
export function toolChoiceOf({ tool_choice, parallel_tool_calls }: ChatRequest): JsonObject | null {
  if (tool_choice === "none") return { type: "none" };
  const one = parallel_tool_calls === false ? { disable_parallel_tool_use: true } : {};
  if (tool_choice === "required") return { type: "any", ...one };
  if (typeof tool_choice === "object" && tool_choice !== null)
    return { type: "tool", name: tool_choice.function.name, ...one };
  return tool_choice === "auto" || parallel_tool_calls === false ? { type: "auto", ...one } : null;
}

/** A tool choice without any tools. */
export function toolsMissing({ tools, tool_choice }: ChatRequest): Refusal | null {
  const forced = tool_choice === "required" || (typeof tool_choice === "object" && tool_choice !== null);
  return forced && (tools ?? []).length === 0
    ? refusal("tool_choice", "`tool_choice` asks for a tool, but `tools` has none.", "invalid_value")
    : null;
}

/** `strict`: the model supports structured outputs. */
export function toolsOf(request: ChatRequest, strict: boolean): Tools | Refusal {
  const tools = request.tools ?? [];
  const missing = toolsMissing(request);
  if (missing !== null || tools.length === 0) return missing ?? { dropped: [] };
  const choice = toolChoiceOf(request);
  return {
    tools: tools.map((tool) => toolOf(tool, strict)),
    ...(choice === null ? {} : { tool_choice: choice }),
    dropped: !strict && tools.some((tool) => tool.function.strict === true) ? ["tools.strict"] : [],
  };
}

/** The schema that the answer must follow; null if there is none. `native`: the model supports structured outputs. */
export function schemaOf(
  { response_format }: ChatRequest,
  native: boolean,
): { name: string; description?: string; schema: JsonObject } | null | Refusal {
  if (response_format === null || response_format === undefined || response_format.type === "text") return null;
  if (response_format.type === "json_object")
    return refusal(
      "response_format",
      "The provider of this model has no JSON mode without a schema. Give a schema with `json_schema`, or choose another model.",
    );
  if (!native)
    return refusal(
      "response_format",
      "This model doesn't support JSON schemas. Leave `response_format` out, or choose another model.",
    );
  const { name, description, schema } = response_format.json_schema;
  if (schema === undefined || schema === null)
    return refusal(
      "response_format.json_schema.schema",
      "`response_format.json_schema.schema` is missing. Add it.",
      "missing_required_parameter",
    );
  return { name, schema, ...(description ? { description } : {}) };
}
