/**
 * `reasoning_effort` → Claude's thinking (https://platform.claude.com/docs/en/build-with-claude/thinking), and the
 * constraints that thinking puts on the rest of a request. Bedrock serves the same models.
 */

import type { ChatMessage, ChatRequest, Refusal } from "../../dialects/canonical.ts";
import { refusal } from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";
import { isSigned } from "./blocks.ts";

export interface Reasoning {
  /** `thinking` of the body; null leaves it to the model. */
  thinking: JsonObject | null;
  effort: string | null;
  dropped: string[];
}

export function thinks({ thinking }: Reasoning): boolean {
  return thinking !== null && thinking["type"] !== "disabled";
}

/** OpenAI's efforts → Claude's. */
const efforts: Readonly<Record<string, string>> = {
  minimal: "low",
  low: "low",
  medium: "medium",
  high: "high",
  xhigh: "xhigh",
  max: "max",
};

/** Thinking tokens for models that take a budget. The API requires at least 1024, and less than `max_tokens`. */
const budgets: Readonly<Record<string, number>> = {
  minimal: 1024,
  low: 1024,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
  max: 16_384,
};
const leastBudget = 1024;

/** Thinking allows only the tool choices auto and none. */
const forcesTool = ({ tools, tool_choice }: ChatRequest): boolean =>
  (tools ?? []).length > 0 && (tool_choice === "required" || typeof (tool_choice ?? "auto") === "object");

/**
 * Whether the calls whose results are being sent were made without signed reasoning, or a client lost it (OpenAI's SDKs
 * drop unknown members). Thinking with a budget would be refused, because such a turn must begin with signed reasoning.
 */
function continuesWithoutThinking(messages: readonly ChatMessage[]): boolean {
  const from = messages.findLastIndex((message) => message.role === "user");
  return messages
    .slice(from + 1)
    .some((message) => (message.tool_calls ?? []).length > 0 && !(message.thinking_blocks ?? []).some(isSigned));
}

const nothing: Reasoning = { thinking: null, effort: null, dropped: [] };

function adaptive(request: ChatRequest, effort: string): Reasoning {
  if (effort === "none") return { ...nothing, thinking: { type: "disabled" } };
  const own = efforts[effort] ?? effort;
  if (!forcesTool(request)) return { ...nothing, thinking: { type: "adaptive" }, effort: own };
  // Without thinking, high is the largest effort accepted.
  return { ...nothing, effort: own === "xhigh" || own === "max" ? "high" : own };
}

function budgeted(request: ChatRequest, effort: string, maxTokens: number): Reasoning {
  if (effort === "none") return nothing;
  if (maxTokens <= leastBudget || forcesTool(request) || continuesWithoutThinking(request.messages))
    return { ...nothing, dropped: ["reasoning_effort"] };
  // At most half of the answer, so that thinking leaves room for the text.
  const budget = Math.max(leastBudget, Math.min(budgets[effort] ?? leastBudget, Math.floor(maxTokens / 2)));
  return { ...nothing, thinking: { type: "enabled", budget_tokens: budget } };
}

export function reasoningOf(request: ChatRequest, mode: string | undefined, maxTokens: number): Reasoning | Refusal {
  const effort = request.reasoning_effort ?? null;
  if (effort === null) return nothing;
  if (effort !== "none" && !Object.hasOwn(efforts, effort))
    return refusal(
      "reasoning_effort",
      `\`reasoning_effort\` must be one of none, ${Object.keys(efforts).join(", ")}.`,
      "invalid_value",
    );
  return mode === "Budget" ? budgeted(request, effort, maxTokens) : adaptive(request, effort);
}

export interface Sampling {
  temperature?: number;
  topP?: number;
  topK?: number;
  dropped: string[];
}

/**
 * Which values of each parameter thinking allows
 * (https://platform.claude.com/docs/en/build-with-claude/extended-thinking).
 */
const besideThinking: Readonly<Record<string, (value: number) => boolean>> = {
  temperature: (value) => value === 1,
  top_p: (value) => value >= 0.95 && value <= 1,
  top_k: () => false,
};

/** temperature, top_p and top_k, as far as they may be sent. */
export function samplingOf(request: ChatRequest, thinking: boolean, drop: boolean): Sampling | Refusal {
  const { temperature } = request;
  if (typeof temperature === "number" && temperature > 1)
    return refusal(
      "temperature",
      "`temperature` must be between 0 and 1 for the provider of this model.",
      "invalid_value",
    );
  const given = { temperature, top_p: request.top_p, top_k: request["top_k"] };
  const sampling: Sampling = { dropped: [] };
  const names = { temperature: "temperature", top_p: "topP", top_k: "topK" } as const;
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== "number") continue;
    if (drop || (thinking && besideThinking[name]?.(value) !== true)) sampling.dropped.push(name);
    else sampling[names[name as keyof typeof names]] = value;
  }
  return sampling;
}
