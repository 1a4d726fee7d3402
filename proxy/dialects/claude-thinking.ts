/**
 * Claude's `thinking`, which callers of Anthropic's API and of gateways in OpenAI's format write, and the effort that
 * stands for it with other providers (https://platform.claude.com/docs/en/build-with-claude/thinking).
 */
import { isObject, type JsonObject } from "../wire/json.ts";
import type { Refusal } from "./canonical.ts";
import * as is from "./check.ts";

const kinds = ["enabled", "disabled", "adaptive", "between_tools"] as const;

export const checkThinking: is.Check = (value, param): Refusal | null => {
  if (!isObject(value)) return is.invalid(param, "an object");
  return (
    is.oneOf(...kinds)(value["type"], `${param}.type`) ??
    is.members(value, { budget_tokens: is.aCount, display: is.aString }, `${param}.`)
  );
};

/** The inverse of the budgets that each effort gets with a provider of Anthropic models. null: the model decides. */
export function effortOfThinking(thinking: JsonObject): string | null {
  const { type, budget_tokens: budget } = thinking;
  if (type === "disabled") return "none";
  if (type === "adaptive") return "high";
  if (type === "between_tools") return "low";
  if (type !== "enabled") return null;
  if (typeof budget !== "number") return "medium";
  if (budget < 2_048) return "low";
  return budget < 4_096 ? "medium" : "high";
}
