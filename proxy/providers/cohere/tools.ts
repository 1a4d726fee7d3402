/**
 * Tools, tool choice and output format (https://docs.cohere.com/docs/tool-use-overview,
 * https://docs.cohere.com/docs/structured-outputs).
 */

import { type ChatRequest, type FunctionTool, type Refusal, refusal } from "../../dialects/canonical.ts";
import { isSet, type JsonObject } from "../../wire/json.ts";

/** `parameters` is required, even if the function has none. */
function toolOf({ function: { name, description, parameters } }: FunctionTool): JsonObject {
  const schema = parameters ?? { type: "object", properties: {} };
  return { type: "function", function: { name, ...(description == null ? {} : { description }), parameters: schema } };
}

/** Strictness applies to all tools together, and requires that each has a required parameter. */
function strictMember(tools: readonly FunctionTool[], dropped: Set<string>): JsonObject {
  if (tools.every((tool) => tool.function.strict !== true)) return {};
  const fits = tools.every(
    ({ function: { parameters } }) => Array.isArray(parameters?.["required"]) && parameters["required"].length > 0,
  );
  if (fits) return { strict_tools: true };
  dropped.add("tools.strict");
  return {};
}

function chosen(request: ChatRequest): { tools: FunctionTool[]; choice: JsonObject } | Refusal {
  const tools = request.tools ?? [];
  const choice = request.tool_choice ?? "auto";
  if (choice === "auto") return { tools, choice: {} };
  if (choice === "none") return { tools, choice: tools.length === 0 ? {} : { tool_choice: "NONE" } };
  // If there is only one tool and a call is required, this is the same as choosing the tool by name.
  const kept = choice === "required" ? tools : tools.filter((tool) => tool.function.name === choice.function.name);
  if (kept.length > 0) return { tools: kept, choice: { tool_choice: "REQUIRED" } };
  return refusal("tool_choice", "`tool_choice` asks for a function that isn't in `tools`.", "invalid_value");
}

export function toolMembers(request: ChatRequest, dropped: Set<string>): JsonObject | Refusal {
  const toolChoice = chosen(request);
  if (!("tools" in toolChoice)) return toolChoice;
  const { tools, choice } = toolChoice;
  if (tools.length === 0) return {};
  return { tools: tools.map(toolOf), ...strictMember(tools, dropped), ...choice };
}

export function formatMember(request: ChatRequest): JsonObject | Refusal {
  const format = request.response_format;
  if (format == null || format.type === "text") return {};
  if ((request.tools ?? []).length > 0) {
    return refusal("response_format", "Cohere can't combine `response_format` with `tools`. Leave one of them out.");
  }
  if (isSet(request["documents"])) {
    return refusal(
      "response_format",
      "Cohere can't combine `response_format` with `documents`. Leave one of them out.",
    );
  }
  const schema =
    format.type === "json_schema" && format.json_schema.schema != null
      ? { json_schema: format.json_schema.schema }
      : {};
  return { response_format: { type: "json_object", ...schema } };
}
