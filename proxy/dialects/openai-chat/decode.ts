/** Checks what translation needs of a chat request; what a provider lacks is for its translator to say. */

import { isObject, type JsonObject } from "../../wire/json.ts";
import { type ChatRequest, type Refusal, refusal } from "../canonical.ts";

const roles: ReadonlySet<unknown> = new Set(["system", "developer", "user", "assistant", "tool", "function"]);
const limits = { messages: 2048, tools: 256 };

function checkMessage(message: unknown, at: number): Refusal | null {
  const param = `messages[${at}]`;
  if (!isObject(message)) return refusal(param, `\`${param}\` must be an object.`, "invalid_value");
  if (!roles.has(message["role"]))
    return refusal(`${param}.role`, `\`${param}.role\` must be one of ${[...roles].join(", ")}.`, "invalid_value");
  const content = message["content"] ?? null;
  if (content !== null && typeof content !== "string" && !(Array.isArray(content) && content.every(isObject))) {
    return refusal(`${param}.content`, `\`${param}.content\` must be a string or a list of parts.`, "invalid_value");
  }
  return checkToolCalls(message["tool_calls"] ?? null, param);
}

function checkToolCalls(calls: unknown, param: string): Refusal | null {
  if (calls === null) return null;
  const fits =
    Array.isArray(calls) &&
    calls.every((call) => isObject(call) && isObject(call["function"]) && typeof call["function"]["name"] === "string");
  return fits
    ? null
    : refusal(`${param}.tool_calls`, `\`${param}.tool_calls\` must be a list of function calls.`, "invalid_value");
}

function checkTools(tools: unknown): Refusal | null {
  if (tools === null || tools === undefined) return null;
  if (!Array.isArray(tools) || tools.length > limits.tools)
    return refusal("tools", `\`tools\` must be a list of at most ${limits.tools}.`, "invalid_value");
  const bad = tools.findIndex(
    (tool) =>
      !(
        isObject(tool) &&
        tool["type"] === "function" &&
        isObject(tool["function"]) &&
        typeof tool["function"]["name"] === "string"
      ),
  );
  return bad < 0
    ? null
    : refusal(`tools[${bad}]`, "Only tools of type function can be used with this model's provider.");
}

export function decodeChat(body: JsonObject): ChatRequest | Refusal {
  const messages = body["messages"];
  if (!Array.isArray(messages) || messages.length === 0)
    return refusal("messages", "`messages` must be a list of at least one message.", "invalid_value");
  if (messages.length > limits.messages)
    return refusal("messages", `\`messages\` has more than ${limits.messages} entries.`, "invalid_value");
  for (const [at, message] of messages.entries()) {
    const problem = checkMessage(message, at);
    if (problem) return problem;
  }
  return checkTools(body["tools"]) ?? (body as unknown as ChatRequest);
}
