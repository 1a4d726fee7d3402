/**
 * Makes the names and ids of a request acceptable to a provider: those that clients and other providers chose. Equal
 * values stay equal, so that calls find their results, and the answer has the client's own names of tools.
 */
import { createHash } from "node:crypto";
import type { Bounds, NameRule } from "../config/capabilities.ts";
import type { ChatMessage, ChatRequest, ToolCall, ToolChoice } from "../dialects/canonical.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import { carriedIn } from "./carried.ts";

const digestOf = (value: string): string => createHash("sha256").update(value).digest("base64url");

const patterns = new WeakMap<NameRule, RegExp>();

function patternOf(rule: NameRule): RegExp {
  let pattern = patterns.get(rule);
  if (pattern === undefined) {
    const { characters, first = characters, longest } = rule;
    pattern = new RegExp(`^[${first}][${characters}]{0,${longest - 1}}$`);
    patterns.set(rule, pattern);
  }
  return pattern;
}

/** Replaces names, and turns them back. Equal names have equal results in every request. */
export class BoundedNames {
  readonly #rule: NameRule | undefined;
  readonly #originals = new Map<string, string>();

  constructor(rule: NameRule | undefined) {
    this.#rule = rule;
  }

  encode(name: string): string {
    if (this.#rule === undefined || patternOf(this.#rule).test(name)) return name;
    const { characters, first = characters, longest } = this.#rule;
    const digest = createHash("sha256").update(name).digest("hex").slice(0, 12);
    const clean = name.replace(new RegExp(`[^${characters}]`, "g"), "_");
    const start = new RegExp(`^[${first}]`).test(clean) ? clean : `_${clean}`;
    const encoded = `${start.slice(0, longest - digest.length - 1)}_${digest}`;
    this.#originals.set(encoded, name);
    return encoded;
  }

  decode(name: string): string {
    return this.#originals.get(name) ?? name;
  }

  /** Whether a name was replaced. */
  get hasReplaced(): boolean {
    return this.#originals.size > 0;
  }
}

/** An id of a tool call without what belongs to another provider, in the provider's own form. */
export function boundedId(id: string, rule: NameRule): string {
  const own = carriedIn(id).id;
  return patternOf(rule).test(own) ? own : `call_${digestOf(id).slice(0, Math.min(32, rule.longest - 5))}`;
}

const boundedText = (value: string, longest: number): string =>
  value.length <= longest ? value : `user_${digestOf(value)}`.slice(0, longest);

function boundedCall(call: ToolCall, names: BoundedNames, ids: NameRule | undefined): ToolCall {
  const name = names.encode(call.function.name);
  const id = ids === undefined ? call.id : boundedId(call.id, ids);
  return id === call.id && name === call.function.name ? call : { ...call, id, function: { ...call.function, name } };
}

/** The list itself if nothing in it changed. */
function mapped<Item>(items: readonly Item[], change: (item: Item) => Item): Item[] {
  let changed: Item[] | null = null;
  for (const [index, item] of items.entries()) {
    const next = change(item);
    if (next !== item) (changed ??= [...items])[index] = next;
  }
  return changed ?? (items as Item[]);
}

function boundedMessage(message: ChatMessage, bounds: Bounds, names: BoundedNames, labels: BoundedNames): ChatMessage {
  const { callId } = bounds;
  const edits: Partial<ChatMessage> = {};
  const calls = message.tool_calls ?? [];
  const ownCalls = mapped(calls, (call) => boundedCall(call, names, callId));
  if (ownCalls !== calls) edits.tool_calls = ownCalls;
  const answered = message.tool_call_id;
  if (answered !== undefined && callId !== undefined) {
    const own = boundedId(answered, callId);
    if (own !== answered) edits.tool_call_id = own;
  }
  const label = typeof message.name === "string" ? labels.encode(message.name) : undefined;
  if (label !== message.name) edits.name = label as string;
  return Object.keys(edits).length === 0 ? message : { ...message, ...edits };
}

function boundedChoice(choice: ToolChoice | null | undefined, names: BoundedNames): ToolChoice | null | undefined {
  if (typeof choice !== "object" || choice === null) return choice;
  return { ...choice, function: { name: names.encode(choice.function.name) } };
}

/** The pairs that fit, with their values cut. */
function boundedMetadata(metadata: unknown, limits: NonNullable<Bounds["metadata"]>): unknown {
  if (!isObject(metadata)) return metadata;
  const pairs = Object.entries(metadata)
    .filter(([name]) => name.length <= limits.name)
    .slice(0, limits.pairs)
    .map(([name, value]) => [name, typeof value === "string" ? value.slice(0, limits.value) : value]);
  return Object.fromEntries(pairs) as JsonObject;
}

const userMembers = ["user", "safety_identifier", "prompt_cache_key"] as const;

function boundParameters(request: ChatRequest, bounds: Bounds, names: BoundedNames, labels: BoundedNames): void {
  if (bounds.user !== undefined)
    for (const name of userMembers) {
      const value = request[name];
      if (typeof value === "string") request[name as string] = boundedText(value, bounds.user);
    }
  if (bounds.metadata !== undefined && request["metadata"] !== undefined)
    request["metadata"] = boundedMetadata(request["metadata"], bounds.metadata);
  if (Array.isArray(request.tools))
    request.tools = mapped(request.tools, (tool) => {
      const name = names.encode(tool.function.name);
      return name === tool.function.name ? tool : { ...tool, function: { ...tool.function, name } };
    });
  const choice = boundedChoice(request.tool_choice, names);
  if (choice !== request.tool_choice) request.tool_choice = choice as ToolChoice;
  const format = request.response_format;
  if (format?.type !== "json_schema") return;
  const name = labels.encode(format.json_schema.name);
  if (name !== format.json_schema.name)
    request.response_format = { ...format, json_schema: { ...format.json_schema, name } };
}

/** The request within the provider's bounds, and the names of tools that were replaced in it. */
export function boundedRequest(
  request: ChatRequest,
  bounds: Bounds = {},
): { request: ChatRequest; names: BoundedNames } {
  const names = new BoundedNames(bounds.toolName);
  const labels = new BoundedNames(bounds.label);
  const own: ChatRequest = {
    ...request,
    messages: mapped(request.messages, (message) => boundedMessage(message, bounds, names, labels)),
  };
  boundParameters(own, bounds, names, labels);
  return { request: own, names };
}

/** Whether the tools or the user of a chat body, which a client of another provider may have named, are beyond bounds. */
export function isBeyond(body: Readonly<Record<string, unknown>>, { toolName, user }: Bounds): boolean {
  if (user !== undefined && typeof body["user"] === "string" && body["user"].length > user) return true;
  const { tools } = body;
  if (toolName === undefined || !Array.isArray(tools)) return false;
  return tools.some((tool: unknown) => {
    const name = isObject(tool) && isObject(tool["function"]) ? tool["function"]["name"] : undefined;
    return typeof name === "string" && !patternOf(toolName).test(name);
  });
}
