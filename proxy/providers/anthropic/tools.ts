/** Tools, tool choice and output format (https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview). */

import {
  type ChatMessage,
  type ChatRequest,
  type FunctionTool,
  type Refusal,
  refusal,
} from "../../dialects/canonical.ts";
import { lostDetails, type WebSearchWish, webSearch } from "../../dialects/web-search.ts";
import type { JsonObject } from "../../wire/json.ts";
import type { ModelFacts } from "../model-facts.ts";
import type { SearchingRequest } from "../provider.ts";
import { present } from "./parameters.ts";

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
    ...(tool.cache_control === undefined ? {} : { cache_control: tool.cache_control }),
  };
}

/** `tool_choice` in Claude's form; null to omit it. */
export function toolChoiceOf({ tool_choice, parallel_tool_calls }: ChatRequest): JsonObject | null {
  if (tool_choice === "none") return { type: "none" };
  const single = parallel_tool_calls === false ? { disable_parallel_tool_use: true } : {};
  if (tool_choice === "required") return { type: "any", ...single };
  if (typeof tool_choice === "object" && tool_choice !== null)
    return { type: "tool", name: tool_choice.function.name, ...single };
  return tool_choice === "auto" || parallel_tool_calls === false ? { type: "auto", ...single } : null;
}

/** A tool choice without any tools. */
export function toolsMissing({ tools, tool_choice }: ChatRequest): Refusal | null {
  const forced = tool_choice === "required" || (typeof tool_choice === "object" && tool_choice !== null);
  return forced && (tools ?? []).length === 0
    ? refusal("tool_choice", "`tool_choice` asks for a tool, but `tools` has none.", "invalid_value")
    : null;
}

const searchName = "web_search";

/**
 * Claude 3.5 and later (https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool). It takes one
 * list of domains, and names must be unique.
 */
export const claudeSearches = ({ [webSearch]: wish, tools }: SearchingRequest, upstream: string): boolean =>
  !/claude-(2|instant|3-(opus|sonnet|haiku))/.test(upstream) &&
  (wish.allowedDomains === null || wish.blockedDomains === null) &&
  (tools ?? []).every((tool) => tool.function.name !== searchName);

const searchTool = (wish: WebSearchWish): JsonObject => ({
  type: "web_search_20250305",
  name: searchName,
  ...present({
    max_uses: wish.maxUses,
    allowed_domains: wish.allowedDomains,
    blocked_domains: wish.blockedDomains,
    user_location: wish.location && { type: "approximate", ...wish.location },
  }),
});

/** `strict`: the model supports structured outputs. */
export function toolsOf(request: ChatRequest, strict: boolean): Tools | Refusal {
  const { [webSearch]: wish } = request;
  const tools = request.tools ?? [];
  const missing = toolsMissing(request);
  if (missing !== null) return missing;
  if (tools.length === 0 && wish === undefined) return { dropped: [] };
  const choice = toolChoiceOf(request);
  return {
    tools: [...tools.map((tool) => toolOf(tool, strict)), ...(wish === undefined ? [] : [searchTool(wish)])],
    ...(choice === null ? {} : { tool_choice: choice }),
    dropped: [...strictness(tools, strict), ...(wish === undefined ? [] : lostDetails(wish, "search_context_size"))],
  };
}

const strictness = (tools: readonly FunctionTool[], strict: boolean): string[] =>
  !strict && tools.some((tool) => tool.function.strict === true) ? ["tools.strict"] : [];

const jsonOnly = "Answer with a single JSON object: no text before or after it, and no code fence around it.";

/** Claude has no JSON mode without a schema, so it gets an instruction. Callers of that mode ask for JSON themselves, too. */
export function messagesWithFormat({ messages, response_format }: ChatRequest): ChatMessage[] {
  if (response_format?.type !== "json_object") return messages;
  const system: ChatMessage = { role: "system", content: jsonOnly };
  const end = messages.findLastIndex((message) => message.role === "system" || message.role === "developer") + 1;
  return [...messages.slice(0, end), system, ...messages.slice(end)];
}

/** Whether structured outputs are supported, by the account's option, or else by the model's name. */
export function isStructured(option: string | undefined, { jsonSchema }: ModelFacts): boolean {
  return option === "Native" || (option !== "Refuse" && jsonSchema !== false);
}

/** The schema that the answer must follow; null if there is none. `native`: the model supports structured outputs. */
export function schemaOf(
  { response_format }: ChatRequest,
  native: boolean,
): { name: string; description?: string; schema: JsonObject } | null | Refusal {
  if (response_format === null || response_format === undefined || response_format.type === "text") return null;
  if (response_format.type === "json_object") return null;
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
