/** Tools of Converse (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html). */

import { type ChatRequest, type FunctionTool, isRefusal, type Refusal, refusal } from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";
import { inputSchema, toolChoiceOf, toolsMissing } from "../anthropic/tools.ts";
import type { ToolNames } from "./names.ts";

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

function specOf(tool: FunctionTool, names: ToolNames, strict: boolean): JsonObject {
  const { name, description } = tool.function;
  return {
    toolSpec: {
      name: names.encode(name),
      ...(description?.trim() ? { description } : {}),
      inputSchema: { json: inputSchema(tool) },
      ...(strict && tool.function.strict === true ? { strict: true } : {}),
    },
  };
}

function choiceOf({ tool_choice }: ChatRequest, names: ToolNames): JsonObject | null {
  if (tool_choice === "required") return { any: {} };
  if (typeof tool_choice === "object" && tool_choice !== null)
    return { tool: { name: names.encode(tool_choice.function.name) } };
  return tool_choice === "auto" ? { auto: {} } : null;
}

const usedTools = ({ messages }: ChatRequest): boolean =>
  messages.some((message) => message.role === "tool" || (message.tool_calls ?? []).length > 0);

/**
 * Converse has no option to limit the model to one call at a time. Claude has one in its own `tool_choice`, which then
 * replaces Converse's.
 */
function oneAtATime(request: ChatRequest, names: ToolNames, claude: boolean): JsonObject | Refusal {
  if (!claude)
    return refusal(
      "parallel_tool_calls",
      "This model can't be limited to one tool call at a time. Leave `parallel_tool_calls` out, or choose another model.",
    );
  const choice = toolChoiceOf(request) ?? {};
  return {
    tool_choice: typeof choice["name"] === "string" ? { ...choice, name: names.encode(choice["name"]) } : choice,
  };
}

export function toolsOf(
  request: ChatRequest,
  names: ToolNames,
  claude: boolean,
  strict: boolean,
): ConverseTools | Refusal {
  const missing = toolsMissing(request);
  if (missing !== null) return missing;
  const tools = request.tools ?? [];
  const nothing: ConverseTools = { additional: {}, dropped: [] };
  // Converse has no tool choice `none`: tools that must not be called are left out.
  if (tools.length === 0 || request.tool_choice === "none")
    return usedTools(request) ? { ...nothing, toolConfig: { tools: [placeholder] } } : nothing;
  const specs = tools.map((tool) => specOf(tool, names, strict));
  const dropped = !strict && tools.some((tool) => tool.function.strict === true) ? ["tools.strict"] : [];
  if (request.parallel_tool_calls === false) {
    const one = oneAtATime(request, names, claude);
    return isRefusal(one) ? one : { toolConfig: { tools: specs }, additional: one, dropped };
  }
  const toolChoice = choiceOf(request, names);
  return { toolConfig: { tools: specs, ...(toolChoice === null ? {} : { toolChoice }) }, additional: {}, dropped };
}
