/**
 * Tools that the provider runs itself: the most that one call can use of them, and how the provider is limited to that.
 * Each use costs money in addition to tokens, and is followed by another turn of the model over the whole context.
 * https://platform.openai.com/docs/api-reference/responses/create (tools, max_tool_calls),
 * https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (server tools, max_uses).
 */
import type { Shaped } from "../call/shaped.ts";
import type { UseUnit } from "../config/price.ts";
import type { Usage } from "../dialects/canonical.ts";
import { isObject, type JsonObject } from "../wire/json.ts";

export interface ServerUses {
  /** Maximum uses per unit. For `either`, all uses together are at most `calls`. */
  uses: Partial<Record<UseUnit, number>>;
  either: readonly UseUnit[];
  calls: number;
  /** Turns of the model after the first. */
  turns: number;
  /** Top-level members that make the provider enforce this. */
  caps: JsonObject;
  /** Whether the answer may contain audio. */
  audio: boolean;
  /** An unknown member or tool, for which nothing can be reserved. */
  unknown: string | null;
}

/** Cap that is sent if the caller sets none. */
const usualCalls = 4;
/** Anthropic's own limit on the turns of one request with server tools. */
const anthropicTurns = 10;

export const noUses: ServerUses = { uses: {}, either: [], calls: 0, turns: 0, caps: {}, audio: false, unknown: null };

type ToolKind = UseUnit | "tokens" | "client";

/**
 * The first match applies. `tokens`: the provider runs it and charges only for tokens. `client`: the caller runs it.
 */
const openAiTools: readonly (readonly [RegExp, ToolKind])[] = [
  [/^(function|custom|computer(_use_preview)?|local_shell|apply_patch|namespace|tool_search)$/, "client"],
  [/^web_search(_preview)?(_\d{4}_\d{2}_\d{2})?$/, "webSearch"],
  [/^file_search$/, "fileSearch"],
  [/^(code_interpreter|shell)$/, "codeExecution"],
  [/^image_generation$/, "imageGeneration"],
  [/^mcp$/, "tokens"],
];
const anthropicTools: readonly (readonly [RegExp, ToolKind])[] = [
  [/^(custom|(bash|text_editor|computer|memory)_\d{8})$/, "client"],
  [/^web_search_\d{8}$/, "webSearch"],
  [/^(web_fetch_\d{8}|tool_search_tool_\w+|mcp_toolset)$/, "tokens"],
  [/^code_execution_\d{8}$/, "codeExecution"],
];

function kindOf(tool: unknown, kinds: readonly (readonly [RegExp, ToolKind])[]): ToolKind | null {
  const type = isObject(tool) ? (tool["type"] ?? "custom") : null;
  return typeof type !== "string" ? null : (kinds.find(([pattern]) => pattern.test(type))?.[1] ?? null);
}

const typeOf = (tool: unknown): string => (isObject(tool) ? String(tool["type"]).slice(0, 64) : "tools");

const positive = (value: unknown): number | null =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;

/** Members with which OpenAI-compatible servers enable their own search. */
const searches = ["plugins", "search_parameters", "enable_search", "search_options", "mcp_servers"] as const;

function ownSearch(json: JsonObject): string | undefined {
  for (let index = 0; index < searches.length; index++) {
    const name = searches[index] as string;
    if ((json[name] ?? false) !== false) return name;
  }
  return undefined;
}

function ofChat(json: JsonObject, tools: readonly unknown[]): ServerUses {
  const search = ownSearch(json);
  if (search === undefined && tools.length === 0 && (json["web_search_options"] ?? null) === null) return noUses;
  const other = tools.find((tool) => !isObject(tool) || !["function", "custom"].includes(String(tool["type"])));
  const unknown = search ?? (other === undefined ? null : typeOf(other));
  // A search model searches once: https://platform.openai.com/docs/guides/tools-web-search
  const searched = (json["web_search_options"] ?? null) !== null;
  return { ...noUses, unknown, ...(searched ? { uses: { webSearch: 1 }, turns: 1 } : {}) };
}

function ofResponses(json: JsonObject, tools: readonly unknown[]): ServerUses {
  const kinds = tools.map((tool) => [tool, kindOf(tool, openAiTools)] as const);
  const run = kinds.flatMap(([, kind]) => (kind === null || kind === "client" ? [] : [kind]));
  const other = kinds.find(([, kind]) => kind === null);
  const unknown = other === undefined ? null : typeOf(other[0]);
  if (run.length === 0) return { ...noUses, unknown };
  const limit = json["max_tool_calls"] ?? null;
  const calls = limit === null ? usualCalls : positive(limit);
  if (calls === null) return { ...noUses, unknown: "max_tool_calls" };
  return {
    ...noUses,
    unknown,
    // All calls of a response use one container.
    uses: run.includes("codeExecution") ? { codeExecution: 1 } : {},
    either: run.filter((kind): kind is UseUnit => kind !== "tokens" && kind !== "codeExecution"),
    calls,
    turns: calls,
    caps: limit === null ? { max_tool_calls: calls } : {},
  };
}

/** How often one tool may be used, by the caller's cap or the gateway's. */
function searchesOf(tool: JsonObject): { count: number; sent: JsonObject; odd: boolean } {
  const limit = tool["max_uses"] ?? null;
  if (limit === null) return { count: usualCalls, sent: { ...tool, max_uses: usualCalls }, odd: false };
  const count = positive(limit);
  return { count: count ?? 0, sent: tool, odd: count === null };
}

function ofAnthropic(json: JsonObject, tools: readonly unknown[]): ServerUses {
  const kinds = tools.map((tool) => kindOf(tool, anthropicTools));
  const other = kinds.indexOf(null);
  const searches = new Map(
    tools.flatMap((tool, index) =>
      kinds[index] === "webSearch" ? [[tool, searchesOf(tool as JsonObject)] as const] : [],
    ),
  );
  const counts = [...searches.values()];
  const count = counts.reduce((sum, search) => sum + search.count, 0);
  const runsOthers = kinds.some((kind) => kind === "tokens" || kind === "codeExecution");
  const turns = runsOthers || (json["mcp_servers"] ?? null) !== null ? anthropicTurns : Math.min(anthropicTurns, count);
  const capped = [...searches].some(([tool, { sent }]) => sent !== tool);
  return {
    ...noUses,
    uses: {
      ...(counts.length > 0 ? { webSearch: count } : {}),
      ...(kinds.includes("codeExecution") ? { codeExecution: 1 } : {}),
    },
    turns,
    caps: capped ? { tools: tools.map((tool) => searches.get(tool)?.sent ?? tool) } : {},
    unknown: counts.some(({ odd }) => odd) ? "max_uses" : other < 0 ? null : typeOf(tools[other]),
  };
}

const noTools: readonly unknown[] = [];

/** The request as sent: the caller's body with the policy's edits. */
export function serverUses({ received, edits, format }: Shaped): ServerUses {
  const { json } = received;
  const tools = "tools" in edits ? edits["tools"] : json["tools"];
  const list: readonly unknown[] = Array.isArray(tools) ? tools : noTools;
  const requested = "max_tool_calls" in edits ? { ...json, max_tool_calls: edits["max_tool_calls"] } : json;
  const audio =
    (json["audio"] ?? null) !== null || (Array.isArray(json["modalities"]) && json["modalities"].includes("audio"));
  const by =
    format === "openai.responses"
      ? ofResponses(requested, list)
      : format === "anthropic.messages"
        ? ofAnthropic(requested, list)
        : ofChat(requested, list);
  return audio ? { ...by, audio } : by;
}

/** Models that search the web for every chat, and don't say so in their usage. */
const searchModel = /-search-(preview|api)(-|$)/;
const searchesItself = ({ format }: Shaped, upstream: string): boolean =>
  format !== "openai.embeddings" && upstream.includes("-search-") && searchModel.test(upstream);

/**
 * The most that a call can use of a target's tools. `uses`: the part that is the same for every target, computed once.
 */
export function usesAt(uses: ServerUses, shaped: Shaped, upstream: string): ServerUses {
  if (uses.uses.webSearch !== undefined || !searchesItself(shaped, upstream)) return uses;
  return { ...uses, uses: { ...uses.uses, webSearch: 1 }, turns: Math.max(1, uses.turns) };
}

/** Adds a search for models that search for every chat, if the answer doesn't count its searches. */
export function withOwnSearch(usage: Usage, shaped: Shaped, upstream: string): Usage {
  if (usage.units?.webSearch !== undefined || !searchesItself(shaped, upstream)) return usage;
  return { ...usage, units: { ...usage.units, webSearch: 1 } };
}
