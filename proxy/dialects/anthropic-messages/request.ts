/** A Messages body → canonical request (https://platform.claude.com/docs/en/api/messages/create). */
import { givenBesides, isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import {
  type ChatMessage,
  type ChatRequest,
  type ContentPart,
  claudeWish,
  type FunctionTool,
  isRefusal,
  type Refusal,
  refusal,
  type ToolChoice,
} from "../canonical.ts";
import * as is from "../check.ts";
import { checkThinking, effortOfThinking } from "../claude-thinking.ts";
import { webSearch, wishFrom } from "../web-search.ts";
import { markOf } from "./blocks.ts";
import { decodeMessages, leftOutBlocks } from "./messages.ts";
import { unreadMembers } from "./unread.ts";

/** Other tools run at Anthropic, or have a schema that only Claude knows. They are dropped. */
const isCustom = (tool: JsonObject): boolean => (tool["type"] ?? "custom") === "custom";

/** Members of a tool that have a counterpart elsewhere, or change only how a call is streamed. */
const toolMembers: ReadonlySet<string> = new Set([
  ...["type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming"],
]);

const isSearch = (tool: JsonObject): boolean => /^web_search_\d{8}$/.test(String(tool["type"]));

function tool(given: JsonObject, param: string): Refusal | null {
  if (!isCustom(given)) return null;
  return (
    is.required(given, "name", is.aString, `${param}.`) ??
    is.members(given, { description: is.aString, input_schema: is.anObject, strict: is.aBoolean }, `${param}.`)
  );
}

function functionTool(given: JsonObject): FunctionTool {
  const {
    name,
    description,
    input_schema: parameters,
    strict,
  } = given as { name: string; description?: string; input_schema?: JsonObject; strict?: boolean };
  return {
    type: "function",
    function: {
      name,
      ...(description == null ? {} : { description }),
      ...(parameters == null ? {} : { parameters }),
      ...(strict == null ? {} : { strict }),
    },
    ...markOf(given),
  };
}

const toolChoices: Readonly<Record<string, (choice: JsonObject) => ToolChoice>> = {
  auto: () => "auto",
  any: () => "required",
  none: () => "none",
  tool: (choice) => ({ type: "function", function: { name: String(choice["name"]) } }),
};

const toolChoice: is.Check = (value, param) => {
  if (!isObject(value)) return is.invalid(param, "an object");
  const problem = is.oneOf(...Object.keys(toolChoices))(value["type"], `${param}.type`);
  return problem ?? (value["type"] === "tool" ? is.required(value, "name", is.aString, `${param}.`) : null);
};

const outputConfig: is.Check = (value, param) => {
  if (!isObject(value)) return is.invalid(param, "an object");
  const problem = is.members(value, { effort: is.aString, format: is.anObject }, `${param}.`);
  const format = value["format"];
  if (problem || !isObject(format)) return problem;
  return (
    is.oneOf("json_schema")(format["type"], `${param}.format.type`) ??
    is.required(format, "schema", is.anObject, `${param}.format.`)
  );
};

const outputFormat: is.Check = (value, param) => outputConfig({ format: value }, param);

const anthropicOnly: is.Check = (_value, param) =>
  refusal(
    param,
    `\`${param}\` can't be translated for the provider of this model. Leave it out, or choose an Anthropic model.`,
  );

const checks: Readonly<Record<string, is.Check>> = {
  max_tokens: is.aCount,
  stream: is.aBoolean,
  temperature: is.aNumber,
  top_p: is.aNumber,
  top_k: is.aNumber,
  stop_sequences: is.aStringOrStrings,
  metadata: is.anObject,
  tools: is.objects(tool),
  tool_choice: toolChoice,
  thinking: checkThinking,
  output_config: outputConfig,
  output_format: outputFormat,
  container: anthropicOnly,
  mcp_servers: anthropicOnly,
  // The gateway must not drop a limit on where a request may be processed.
  inference_geo: anthropicOnly,
};
const known: ReadonlySet<string> = new Set([
  ...Object.keys(checks),
  ...["model", "messages", "system", "cache_control", "service_tier"],
]);

/** OpenAI's names of the tiers. Others are left to the provider, which names what it doesn't have. */
const tiers: Readonly<Record<string, string>> = { standard_only: "default" };

function tierOf({ service_tier: tier }: JsonObject): Optional {
  return typeof tier === "string" ? { service_tier: Object.hasOwn(tiers, tier) ? tiers[tier] : tier } : {};
}

/** A mark on the whole body stands for one at its end. */
function withMarkAtEnd(messages: ChatMessage[], body: JsonObject): ChatMessage[] {
  const last = messages.at(-1);
  const mark = markOf(body);
  if (last === undefined || mark.cache_control === undefined) return messages;
  const { content } = last;
  if (last.role === "assistant" || last.role === "tool") return [...messages.slice(0, -1), { ...last, ...mark }];
  const parts: ContentPart[] = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
  const end = parts.at(-1);
  if (end === undefined) return messages;
  return [...messages.slice(0, -1), { ...last, content: [...parts.slice(0, -1), { ...mark, ...end }] }];
}

function effortOf(body: JsonObject): string | null {
  const mode = isObject(body["thinking"]) ? body["thinking"] : {};
  const output = isObject(body["output_config"]) ? body["output_config"] : {};
  if (mode["type"] !== "disabled" && typeof output["effort"] === "string") return output["effort"];
  return effortOfThinking(mode);
}

/** `output_format` is the form of the structured outputs' beta. */
function formatOf({ output_config: output, output_format: format }: JsonObject): JsonObject | null {
  if (isObject(output) && isObject(output["format"])) return output["format"];
  return isObject(format) ? format : null;
}

type Optional = Partial<ChatRequest>;

function wishOf(body: JsonObject): Optional {
  const thinking = isObject(body["thinking"]) ? body["thinking"] : null;
  const output = isObject(body["output_config"]) ? body["output_config"] : {};
  const effort = typeof output["effort"] === "string" ? output["effort"] : null;
  return thinking === null && effort === null ? {} : { [claudeWish]: { thinking, effort } };
}

function toolParameters(body: JsonObject): Optional {
  const definitions = (body["tools"] ?? []) as JsonObject[];
  const tools = definitions.filter(isCustom);
  const noneLeft = definitions.length > 0 && tools.length === 0;
  const choice = ownChoice(body, definitions);
  const search = definitions.find(isSearch);
  const requested = choice === null ? undefined : toolChoices[String(choice["type"])]?.(choice);
  return {
    ...(tools.length === 0 ? {} : { tools: tools.map(functionTool) }),
    ...(requested === undefined || (noneLeft && (requested === "auto" || search !== undefined))
      ? {}
      : { tool_choice: requested }),
    ...(choice?.["disable_parallel_tool_use"] === true ? { parallel_tool_calls: false } : {}),
    ...(search === undefined ? {} : { [webSearch]: wishFrom(search, `tools.${String(search["type"])}`) }),
  };
}

/** The choice, unless it names a tool that Anthropic runs: other providers can't be made to use theirs. */
function ownChoice({ tool_choice: choice }: JsonObject, tools: readonly JsonObject[]): JsonObject | null {
  if (!isObject(choice)) return null;
  const chosen = choice["type"] === "tool" ? tools.find(({ name }) => name === choice["name"]) : undefined;
  return chosen === undefined || isCustom(chosen) ? choice : null;
}

function outputParameters(body: JsonObject): Optional {
  const format = formatOf(body);
  const effort = effortOf(body);
  return {
    ...(format === null
      ? {}
      : {
          response_format: {
            type: "json_schema",
            json_schema: { name: "output", schema: format["schema"] as JsonObject, strict: true },
          },
        }),
    ...(effort === null ? {} : { reasoning_effort: effort }),
  };
}

/** Anthropic's name → OpenAI's, for parameters whose value stays the same. */
const renamed: Readonly<Record<string, string>> = {
  max_tokens: "max_completion_tokens",
  temperature: "temperature",
  top_p: "top_p",
  top_k: "top_k",
  stop_sequences: "stop",
  stream: "stream",
};

function plainParameters(body: JsonObject): Optional {
  const out: Optional = {};
  for (const [from, to] of Object.entries(renamed)) if ((body[from] ?? null) !== null) out[to] = body[from];
  const user = isObject(body["metadata"]) ? body["metadata"]["user_id"] : undefined;
  if (typeof user === "string") out.user = user;
  return out;
}

export function decode(body: JsonObject): ChatRequest | Refusal {
  const problem = is.required(body, "model", is.aString) ?? is.members(body, checks);
  if (problem) return problem;
  const messages = decodeMessages(body);
  if (isRefusal(messages)) return messages;
  return {
    model: body["model"] as string,
    messages: withMarkAtEnd(messages, body),
    ...plainParameters(body),
    ...tierOf(body),
    ...toolParameters(body),
    ...outputParameters(body),
    ...wishOf(body),
  };
}

/**
 * Parameters that can't be translated. A provider without marks for its cache names `cache_control` itself.
 */
export function dropped(body: JsonObject): string[] {
  const tools = objectsIn(body["tools"]);
  const others = tools.filter((tool) => !isCustom(tool) && !isSearch(tool));
  const lost = tools.filter(isCustom).flatMap((tool) => givenBesides(tool, toolMembers));
  const types = others.map((tool) => String(tool["type"]).slice(0, 64));
  return [
    ...givenBesides(body, known),
    ...new Set([...types, ...lost].map((name) => `tools.${name}`)),
    ...leftOutBlocks(body).map((type) => `messages.content.${type}`),
    ...unreadMembers(body),
  ];
}
