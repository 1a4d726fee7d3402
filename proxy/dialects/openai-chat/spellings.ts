/**
 * Other spellings that clients of gateways in OpenAI's format write → OpenAI's or Claude's own: an image's address
 * without an object around it, and reasoning parameters of OpenRouter
 * (https://openrouter.ai/docs/use-cases/reasoning-tokens) and Qwen
 * (https://www.alibabacloud.com/help/en/model-studio/deep-thinking).
 */
import { isObject, isSet, type JsonObject } from "../../wire/json.ts";
import { isRefusal, type Refusal } from "../canonical.ts";
import * as is from "../check.ts";
import { checkThinking, effortOfThinking } from "../claude-thinking.ts";

const isBareImage = (part: unknown): boolean =>
  isObject(part) && part["type"] === "image_url" && typeof part["image_url"] === "string";

const withAddress = (part: unknown): unknown =>
  isBareImage(part) ? { ...(part as JsonObject), image_url: { url: (part as JsonObject)["image_url"] } } : part;

function withObjects(message: unknown): unknown {
  if (!isObject(message) || !Array.isArray(message["content"]) || !message["content"].some(isBareImage)) return message;
  return { ...message, content: message["content"].map(withAddress) };
}

/** Messages whose images are objects; the list itself if all are. */
export function withImageObjects(messages: readonly unknown[]): readonly unknown[] {
  for (let index = 0; index < messages.length; index++)
    if (withObjects(messages[index]) !== messages[index]) return messages.map(withObjects);
  return messages;
}

/** Members that say how much a model reasons, besides OpenAI's `reasoning_effort`. */
export const reasoningMembers = [
  "reasoning",
  "thinking",
  "include_reasoning",
  "enable_thinking",
  "thinking_budget",
] as const;

const checks: Readonly<Record<string, is.Check>> = {
  reasoning: (value, param) =>
    is.anObject(value, param) ??
    is.members(
      value as JsonObject,
      { effort: is.aString, max_tokens: is.aCount, enabled: is.aBoolean, exclude: is.aBoolean },
      `${param}.`,
    ),
  include_reasoning: is.aBoolean,
  enable_thinking: is.aBoolean,
  thinking_budget: is.aCount,
};

const read: ReadonlySet<string> = new Set(["effort", "max_tokens", "enabled", "exclude"]);

/** Members of `reasoning` that have no counterpart. */
export function unreadReasoning({ reasoning }: JsonObject): string[] {
  const names = isObject(reasoning) ? Object.keys(reasoning).filter((name) => isSet(reasoning[name])) : [];
  return names.filter((name) => !read.has(name)).map((name) => `reasoning.${name}`);
}

/** Whether the client doesn't want to see the reasoning. */
export function hidesReasoning(body: JsonObject | undefined): boolean {
  const reasoning = body?.["reasoning"];
  return body?.["include_reasoning"] === false || (isObject(reasoning) && reasoning["exclude"] === true);
}

export function withoutReasoning<Said extends object>(said: Said): Said {
  const { reasoning_content: _text, thinking_blocks: _blocks, ...rest } = said as Said & JsonObject;
  return rest as unknown as Said;
}

const budgeted = (tokens: unknown): JsonObject => ({ thinking: { type: "enabled", budget_tokens: tokens } });

/** `reasoning_effort` or Claude's `thinking` in place of the other spellings; the more precise one wins. */
function wished(body: JsonObject): JsonObject {
  const reasoning = isObject(body["reasoning"]) ? body["reasoning"] : {};
  const { effort, max_tokens: budget, enabled } = reasoning;
  if (enabled === false || body["enable_thinking"] === false) return { reasoning_effort: "none" };
  if (isSet(effort)) return { reasoning_effort: effort };
  if (isSet(budget)) return budgeted(budget);
  if (isSet(body["thinking_budget"])) return budgeted(body["thinking_budget"]);
  // OpenRouter's default.
  return enabled === true || body["enable_thinking"] === true ? { reasoning_effort: "medium" } : {};
}

/** The body with `reasoning_effort` or `thinking` only; the body itself if it has no other spelling. */
export function withOwnReasoning(body: JsonObject): JsonObject | Refusal {
  if (!reasoningMembers.some((name) => name !== "thinking" && isSet(body[name]))) return body;
  const problem = is.members(body, checks);
  if (problem) return problem;
  const { reasoning: _, include_reasoning: _shown, enable_thinking: _on, thinking_budget: _most, ...rest } = body;
  const own = wished(body);
  return "thinking" in own && isSet(rest["thinking"]) ? rest : { ...rest, ...own };
}

/** The effort that a chat asks for, in any spelling; null if it asks for none. */
export function effortAsked(body: JsonObject): string | null | Refusal {
  const own = withOwnReasoning(body);
  if (isRefusal(own)) return own;
  const { reasoning_effort: effort, thinking } = own;
  if (typeof effort === "string") return effort;
  if (!isSet(thinking)) return null;
  return checkThinking(thinking, "thinking") ?? effortOfThinking(thinking as JsonObject);
}
