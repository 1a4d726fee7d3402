/** Tools of Converse (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html). */

import type { ChatRequest, FunctionTool, Refusal } from "../../dialects/canonical.ts";
import { lostDetails, webSearch } from "../../dialects/web-search.ts";
import type { JsonObject } from "../../wire/json.ts";
import { inputSchema, toolChoiceOf, toolsMissing } from "../anthropic/tools.ts";
import type { SearchingRequest } from "../provider.ts";
import { cachePoint } from "./blocks.ts";
import type { Family } from "./families.ts";

export interface ConverseTools {
  toolConfig?: JsonObject;
  /** For `additionalModelRequestFields`. */
  additional: JsonObject;
  dropped: string[];
}

/** If the history has calls but none may be made now, Converse still requires a tool. */
const placeholder = {
  toolSpec: {
    name: "unavailable",
    description: "Not available. Never call this.",
    inputSchema: { json: { type: "object", properties: {} } },
  },
};

/** Nova ignores tools with other members at the top (https://docs.aws.amazon.com/nova/latest/userguide/prompting-tool-troubleshooting.html). */
function novaSchema(schema: JsonObject): JsonObject {
  const { $schema: _dialect, title: _title, description: _description, additionalProperties: _more, ...rest } = schema;
  return rest;
}

function specOf(tool: FunctionTool, family: Family, strict: boolean): JsonObject {
  const { name, description } = tool.function;
  const schema = inputSchema(tool);
  return {
    toolSpec: {
      name,
      ...(description?.trim() ? { description } : {}),
      inputSchema: { json: family === "Nova" ? novaSchema(schema) : schema },
      ...(strict && tool.function.strict === true ? { strict: true } : {}),
    },
  };
}

function choiceOf({ tool_choice }: ChatRequest): JsonObject | null {
  if (tool_choice === "required") return { any: {} };
  if (typeof tool_choice === "object" && tool_choice !== null) return { tool: { name: tool_choice.function.name } };
  return tool_choice === "auto" ? { auto: {} } : null;
}

const usedTools = ({ messages }: ChatRequest): boolean =>
  messages.some((message) => message.role === "tool" || (message.tool_calls ?? []).length > 0);

/** https://docs.aws.amazon.com/nova/latest/nova2-userguide/web-grounding.html */
const grounding = { systemTool: { name: "nova_grounding" } };

/** Nova searches in regions of the US, and takes no details. */
export const novaSearches = (
  { [webSearch]: wish, tools }: SearchingRequest,
  family: Family,
  { upstream, region }: { upstream: string; region: string },
): boolean =>
  family === "Nova" &&
  /nova-(2-|premier)/.test(upstream) &&
  region.startsWith("us-") &&
  wish.allowedDomains === null &&
  wish.blockedDomains === null &&
  (tools ?? []).length === 0;

export function toolsOf(request: ChatRequest, family: Family, strict: boolean): ConverseTools | Refusal {
  const missing = toolsMissing(request);
  if (missing !== null) return missing;
  const { [webSearch]: wish } = request;
  if (wish !== undefined && family === "Nova") {
    const dropped = lostDetails(wish, "user_location", "search_context_size", "max_uses");
    return { toolConfig: { tools: [grounding] }, additional: {}, dropped };
  }
  const claude = family === "Claude";
  const tools = request.tools ?? [];
  const nothing: ConverseTools = { additional: {}, dropped: [] };
  // Converse has no tool choice `none`: tools that must not be called are left out.
  if (tools.length === 0 || request.tool_choice === "none")
    return usedTools(request) ? { ...nothing, toolConfig: { tools: [placeholder] } } : nothing;
  const specs = tools.flatMap((tool) => {
    const spec = specOf(tool, family, strict);
    return claude && tool.cache_control !== undefined ? [spec, cachePoint(tool.cache_control)] : [spec];
  });
  const dropped = !strict && tools.some((tool) => tool.function.strict === true) ? ["tools.strict"] : [];
  // Converse has no option to limit the model to one call at a time. Claude has one in its own `tool_choice`, which then
  // replaces Converse's.
  if (claude && request.parallel_tool_calls === false)
    return { toolConfig: { tools: specs }, additional: { tool_choice: toolChoiceOf(request) ?? {} }, dropped };
  const toolChoice = choiceOf(request);
  return { toolConfig: { tools: specs, ...(toolChoice === null ? {} : { toolChoice }) }, additional: {}, dropped };
}
