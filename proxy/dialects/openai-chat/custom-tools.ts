/**
 * Freeform tools of chat completions → functions, and calls of them back
 * (https://platform.openai.com/docs/api-reference/chat/create#chat_create-tools).
 */
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import type { ChatMessage, ChatRequest, FunctionTool, ToolCall, ToolCallDelta, ToolChoice } from "../canonical.ts";
import { freeformArguments, freeformInput, freeformTool } from "../freeform.ts";

const customOf = (value: unknown): JsonObject | null =>
  isObject(value) && value["type"] === "custom" && isObject(value["custom"]) ? value["custom"] : null;

/** Names of a body's freeform tools. */
export function freeformNames(body: JsonObject | undefined): ReadonlySet<string> {
  const names = objectsIn(body?.["tools"]).flatMap((tool) => customOf(tool)?.["name"] ?? []);
  return new Set(names.map(String));
}

function toolOf(tool: JsonObject): FunctionTool {
  const custom = customOf(tool);
  return custom === null ? (tool as unknown as FunctionTool) : freeformTool(String(custom["name"]), custom);
}

function callOf(call: JsonObject): ToolCall {
  const custom = customOf(call);
  if (custom === null) return call as unknown as ToolCall;
  const fn = { name: String(custom["name"]), arguments: freeformArguments(String(custom["input"] ?? "")) };
  return { id: String(call["id"]), type: "function", function: fn };
}

function messageOf(message: JsonObject): ChatMessage {
  const calls = objectsIn(message["tool_calls"]);
  if (!calls.some((call) => customOf(call) !== null)) return message as unknown as ChatMessage;
  return { ...message, tool_calls: calls.map(callOf) } as unknown as ChatMessage;
}

interface Choice {
  choice: ToolChoice | null;
  /** Names of the only tools that may be called; null for all. */
  allowed: ReadonlySet<string> | null;
}

const nameOf = (tool: JsonObject): string =>
  String((customOf(tool) ?? (isObject(tool["function"]) ? tool["function"] : {}))["name"]);

function choiceOf(given: unknown): Choice {
  if (!isObject(given)) return { choice: (given ?? null) as ToolChoice | null, allowed: null };
  const list = isObject(given["allowed_tools"]) ? given["allowed_tools"] : null;
  if (list === null) return { choice: { type: "function", function: { name: nameOf(given) } }, allowed: null };
  const choice = list["mode"] === "required" ? "required" : "auto";
  return { choice, allowed: new Set(objectsIn(list["tools"]).map(nameOf)) };
}

/** Whether a body has anything that isn't a plain function. */
function isSpecial(body: JsonObject): boolean {
  const choice = body["tool_choice"];
  return (
    (isObject(choice) && choice["type"] !== "function") ||
    objectsIn(body["tools"]).some((tool) => tool["type"] === "custom") ||
    objectsIn(body["messages"]).some((message) => objectsIn(message["tool_calls"]).some((call) => customOf(call)))
  );
}

/** A body that was checked, with functions only. */
export function withFunctions(body: JsonObject): ChatRequest {
  if (!isSpecial(body)) return body as unknown as ChatRequest;
  const { choice, allowed } = choiceOf(body["tool_choice"]);
  const tools = objectsIn(body["tools"]).map(toolOf);
  return {
    ...(body as unknown as ChatRequest),
    messages: objectsIn(body["messages"]).map(messageOf),
    ...((body["tools"] ?? null) === null
      ? {}
      : { tools: allowed === null ? tools : tools.filter((tool) => allowed.has(tool.function.name)) }),
    ...(choice === null ? {} : { tool_choice: choice }),
  };
}

/** A call in the form in which the client offered its tool. */
export function clientCall(call: ToolCall, freeform: ReadonlySet<string>): JsonObject {
  const { name, arguments: text } = call.function;
  if (!freeform.has(name)) return { ...call };
  return { id: call.id, type: "custom", custom: { name, input: freeformInput(text) } };
}

/** Freeform calls of a stream. Their text is within JSON, and is sent once that is complete. */
export class FreeformCalls {
  readonly #names: ReadonlySet<string>;
  readonly #open = new Map<string, { choice: number; index: number; text: string }>();

  constructor(names: ReadonlySet<string>) {
    this.#names = names;
  }

  /** The part of these pieces that can be sent now. */
  pieces(choice: number, pieces: readonly ToolCallDelta[]): JsonObject[] {
    return pieces.flatMap((piece): JsonObject[] => {
      const place = `${choice}:${piece.index}`;
      const name = piece.function?.name;
      const begins = name !== undefined && this.#names.has(name) && !this.#open.has(place);
      if (begins) this.#open.set(place, { choice, index: piece.index, text: "" });
      const open = this.#open.get(place);
      if (open === undefined) return [{ ...piece }];
      open.text += piece.function?.arguments ?? "";
      return begins ? [{ index: piece.index, id: piece.id, type: "custom", custom: { name, input: "" } }] : [];
    });
  }

  /** The inputs of a choice that has finished. */
  end(choice: number): JsonObject[] {
    const done = [...this.#open].filter(([, open]) => open.choice === choice);
    return done.map(([place, { index, text }]) => {
      this.#open.delete(place);
      return { index, custom: { input: freeformInput(text) } };
    });
  }
}
