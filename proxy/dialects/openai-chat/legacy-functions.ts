/**
 * `functions` and `function_call`, the predecessors of tools, as tools, and calls of them back
 * (https://platform.openai.com/docs/api-reference/chat/create#chat_create-functions).
 */
import { isObject, isSet, type JsonObject } from "../../wire/json.ts";
import type { FinishReason, Refusal, ToolCall, ToolCallDelta } from "../canonical.ts";
import * as is from "../check.ts";

const isLegacyMessage = (message: unknown): boolean =>
  isObject(message) && (message["role"] === "function" || isSet(message["function_call"]));

/** Whether the client offers functions rather than tools, and so reads calls of them. */
export const offersFunctions = (body: JsonObject | undefined): boolean => isSet(body?.["functions"]);

const isLegacy = (body: JsonObject): boolean =>
  offersFunctions(body) ||
  isSet(body["function_call"]) ||
  (Array.isArray(body["messages"]) && body["messages"].some(isLegacyMessage));

const named: is.Check = (value, param) =>
  is.anObject(value, param) ?? is.required(value as JsonObject, "name", is.aString, `${param}.`);

const called: is.Check = (value, param) =>
  named(value, param) ?? is.required(value as JsonObject, "arguments", is.aString, `${param}.`);

const choice: is.Check = (value, param) =>
  typeof value === "string" ? is.oneOf("auto", "none")(value, param) : named(value, param);

const messages: is.Check = is.objects((message, path) => {
  if (message["role"] === "function") return is.required(message, "name", is.aString, `${path}.`);
  return isSet(message["function_call"]) ? called(message["function_call"], `${path}.function_call`) : null;
});

const checks: Readonly<Record<string, is.Check>> = {
  functions: is.objects(named),
  function_call: choice,
  messages,
};

/** A function's result answers the latest call of that name. */
function toolMessages(given: readonly JsonObject[]): JsonObject[] {
  const ids = new Map<string, string>();
  return given.map((message, index) => {
    if (message["role"] === "function") {
      const { name, ...rest } = message;
      return { ...rest, role: "tool", tool_call_id: ids.get(String(name)) ?? `call_function_${index}` };
    }
    if (!isSet(message["function_call"])) return message;
    const { function_call: call, ...rest } = message as { function_call: { name: string; arguments: string } };
    const id = `call_function_${index}`;
    ids.set(call.name, id);
    return { content: null, ...rest, tool_calls: [{ id, type: "function", function: { ...call } }] };
  });
}

/** A body with tools instead of functions; the body itself if it has none. A function is called once in an answer. */
export function withTools(body: JsonObject): JsonObject | Refusal {
  if (!isLegacy(body)) return body;
  const problem = is.members(body, checks);
  if (problem) return problem;
  const { functions, function_call: wish, ...rest } = body;
  return {
    ...rest,
    ...(Array.isArray(rest["messages"]) ? { messages: toolMessages(rest["messages"] as JsonObject[]) } : {}),
    ...(isSet(functions)
      ? {
          tools: (functions as JsonObject[]).map((fn) => ({ type: "function", function: fn })),
          parallel_tool_calls: false,
        }
      : {}),
    ...(isSet(wish)
      ? { tool_choice: isObject(wish) ? { type: "function", function: { name: wish["name"] } } : wish }
      : {}),
  };
}

/** The members of an answer's message that hold its call. */
export function functionCallOf(calls: readonly ToolCall[] | undefined): JsonObject {
  const [call] = calls ?? [];
  return call === undefined ? {} : { function_call: { ...call.function } };
}

export function functionPieces(pieces: readonly ToolCallDelta[] | undefined): JsonObject {
  const [piece] = (pieces ?? []).filter(({ index }) => index === 0);
  return piece?.function === undefined ? {} : { function_call: { ...piece.function } };
}

export const functionReason = (reason: FinishReason): FinishReason =>
  reason === "tool_calls" ? "function_call" : reason;
