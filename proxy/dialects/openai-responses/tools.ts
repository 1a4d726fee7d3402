/**
 * Tools of a Responses body → functions, and calls of them back. Tools in a namespace get a name of their own, freeform
 * tools become functions of one string, and tools that OpenAI runs are left out.
 */
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import type { ChatRequest, FunctionTool, Refusal, ToolChoice } from "../canonical.ts";
import * as is from "../check.ts";
import { freeformTool } from "../freeform.ts";
import { type WebSearchWish, webSearch, wishFrom } from "../web-search.ts";
import { openAiOnly } from "./content.ts";

/** A tool as the client named it. */
export interface ClientTool {
  name: string;
  namespace: string | null;
  isFreeform: boolean;
}

/** Name of a tool of a namespace in the canonical request. */
export const flatName = (namespace: unknown, name: string): string =>
  typeof namespace === "string" && namespace !== "" ? `${namespace}__${name}` : name;

const types = { description: is.aString, parameters: is.anObject, strict: is.aBoolean };

function named(tool: JsonObject, param: string): Refusal | null {
  return is.required(tool, "name", is.aString, `${param}.`) ?? is.members(tool, types, `${param}.`);
}

const checks: Readonly<Record<string, (tool: JsonObject, param: string) => Refusal | null>> = {
  function: named,
  custom: (tool, param) => is.required(tool, "name", is.aString, `${param}.`),
  namespace: (tool, param) =>
    is.required(tool, "name", is.aString, `${param}.`) ??
    is.required(tool, "tools", is.objects(checkedTool), `${param}.`),
};

/** Tools of other types are dropped. */
export function checkedTool(tool: JsonObject, param: string): Refusal | null {
  const type = String(tool["type"]);
  return Object.hasOwn(checks, type) ? (checks[type]?.(tool, param) ?? null) : null;
}

function functionTool(tool: JsonObject, name: string): FunctionTool {
  const { description, parameters, strict } = tool as {
    description?: string;
    parameters?: JsonObject;
    strict?: boolean;
  };
  return {
    type: "function",
    function: {
      name,
      ...(description == null ? {} : { description }),
      ...(parameters == null ? {} : { parameters }),
      ...(strict == null ? {} : { strict }),
    },
  };
}

interface Listed {
  tool: JsonObject;
  client: ClientTool;
}

function listed(tools: readonly JsonObject[], namespace: string | null): Listed[] {
  return tools.flatMap((tool): Listed[] => {
    const name = String(tool["name"]);
    if (tool["type"] === "namespace") return listed(objectsIn(tool["tools"]), name);
    if (tool["type"] !== "function" && tool["type"] !== "custom") return [];
    return [{ tool, client: { name, namespace, isFreeform: tool["type"] === "custom" } }];
  });
}

/** Items that offer more tools in the course of a conversation. */
const offering: ReadonlySet<unknown> = new Set(["additional_tools", "tool_search_output"]);

function allTools(body: JsonObject): Listed[] {
  const later = objectsIn(body["input"]).filter((item) => offering.has(item["type"]));
  return listed([...objectsIn(body["tools"]), ...later.flatMap((item) => objectsIn(item["tools"]))], null);
}

/** Name in the canonical request → the client's tool, for those whose calls differ from a function's. */
export function clientTools(body: JsonObject): ReadonlyMap<string, ClientTool> {
  const special = allTools(body).filter(({ client }) => client.isFreeform || client.namespace !== null);
  return new Map(special.map(({ client }) => [flatName(client.namespace, client.name), client]));
}

export function functionsOf(body: JsonObject): FunctionTool[] {
  const functions = new Map<string, FunctionTool>();
  for (const { tool, client } of allTools(body)) {
    const name = flatName(client.namespace, client.name);
    functions.set(name, client.isFreeform ? freeformTool(name, tool) : functionTool(tool, name));
  }
  return [...functions.values()];
}

const callable: ReadonlySet<unknown> = new Set(["function", "custom", "namespace"]);

/** A search in the web as it is now. Of OpenAI's index alone, no other provider has a copy. */
const isLiveSearch = (tool: JsonObject): boolean =>
  /^web_search(_preview)?(_\d{4}_\d{2}_\d{2})?$/.test(String(tool["type"])) && tool["external_web_access"] !== false;

const isHostedSearch = (choice: unknown): boolean => isObject(choice) && isLiveSearch(choice);

function searchWish(body: JsonObject): WebSearchWish | null {
  const tool = objectsIn(body["tools"]).find(isLiveSearch);
  return tool === undefined ? null : wishFrom(tool, `tools.${String(tool["type"])}`, body["max_tool_calls"]);
}

/** Types of the tools that only OpenAI can run. */
export function hostedTypes(body: JsonObject): string[] {
  const others = objectsIn(body["tools"]).filter((tool) => !isLiveSearch(tool));
  const types = others.map((tool) => String(tool["type"]).slice(0, 64));
  return [...new Set(types.filter((type) => !callable.has(type)))];
}

export const toolChoice: is.Check = (value, param) => {
  if (typeof value === "string") return is.oneOf("auto", "none", "required")(value, param);
  if (!isObject(value)) return is.invalid(param, "auto, none, required or a function");
  if (value["type"] === "allowed_tools")
    return (
      is.required(
        value,
        "tools",
        is.objects(() => null),
        `${param}.`,
      ) ?? is.members(value, { mode: is.oneOf("auto", "required") }, `${param}.`)
    );
  if (callable.has(value["type"])) return is.required(value, "name", is.aString, `${param}.`);
  return isHostedSearch(value) ? null : openAiOnly(`${param}.type`);
};

function chosen(tool: JsonObject): string {
  return flatName(tool["namespace"], String(tool["name"]));
}

type ToolMembers = Pick<ChatRequest, "tools" | "tool_choice" | typeof webSearch>;

/** Other providers can't be made to search. */
function choiceMembers(given: unknown, tools: FunctionTool[]): ToolMembers {
  const choice = isHostedSearch(given) ? null : given;
  if (!isObject(choice)) return { tools, ...(choice === null ? {} : { tool_choice: choice as ToolChoice }) };
  if (choice["type"] !== "allowed_tools")
    return { tools, tool_choice: { type: "function", function: { name: chosen(choice) } } };
  const allowed = new Set(objectsIn(choice["tools"]).map(chosen));
  return {
    tools: tools.filter((tool) => allowed.has(tool.function.name)),
    tool_choice: choice["mode"] === "required" ? "required" : "auto",
  };
}

export function toolParameters(body: JsonObject): ToolMembers {
  const wish = searchWish(body);
  return { ...functionMembers(body, wish !== null), ...(wish === null ? {} : { [webSearch]: wish }) };
}

/** A choice without tools, where only hosted ones were offered, is left out unless it asks for a call of another. */
function functionMembers(body: JsonObject, searches: boolean): ToolMembers {
  const tools = functionsOf(body);
  const members = choiceMembers(body["tool_choice"] ?? null, tools);
  const isForced = members.tool_choice === "required" || typeof members.tool_choice === "object";
  if (tools.length > 0) return members;
  const noneLeft = objectsIn(body["tools"]).length > 0;
  return members.tool_choice === undefined || (noneLeft && (!isForced || searches))
    ? {}
    : { tool_choice: members.tool_choice };
}
