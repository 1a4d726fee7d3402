/**
 * `reasoning_effort` → Claude's thinking (https://platform.claude.com/docs/en/build-with-claude/thinking), and the
 * constraints that thinking puts on the rest of a request. Bedrock serves the same models.
 */

import {
  type ChatMessage,
  type ChatRequest,
  type ClaudeWish,
  claudeWish,
  type Refusal,
  refusal,
} from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";
import type { ModelFacts } from "../model-facts.ts";
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
const minBudget = 1024;

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

/** Since Claude 4.7, reasoning is only shown if it is asked for. */
const adaptiveThinking = ({ hidesThinking }: ModelFacts): JsonObject => ({
  type: "adaptive",
  ...(hidesThinking === true ? { display: "summarized" } : {}),
});

/** As little thinking as the model accepts. */
function without({ thinking }: ModelFacts): Reasoning {
  if (thinking === undefined || thinking.includes("disabled")) return { ...nothing, thinking: { type: "disabled" } };
  if (thinking.length === 0) return nothing;
  if (thinking.includes("between_tools")) return { ...nothing, thinking: { type: "between_tools" } };
  return { ...nothing, effort: "low", dropped: ["reasoning_effort"] };
}

function adaptive(request: ChatRequest, effort: string, facts: ModelFacts): Reasoning {
  if (effort === "none") return without(facts);
  const own = efforts[effort] ?? effort;
  if (!forcesTool(request)) return { ...nothing, thinking: adaptiveThinking(facts), effort: own };
  // Without thinking, high is the largest effort accepted.
  return { ...nothing, effort: own === "xhigh" || own === "max" ? "high" : own };
}

/** `asked`: the budget that the caller named. */
function budgeted(request: ChatRequest, effort: string, maxTokens: number, asked: number | null): Reasoning {
  if (effort === "none") return nothing;
  if (maxTokens <= minBudget || forcesTool(request) || continuesWithoutThinking(request.messages))
    return { ...nothing, dropped: ["reasoning_effort"] };
  // At most half of the answer, so that thinking leaves room for the text.
  const most = asked === null ? Math.floor(maxTokens / 2) : maxTokens - 1;
  const budget = Math.max(minBudget, Math.min(asked ?? budgets[effort] ?? minBudget, most));
  return { ...nothing, thinking: { type: "enabled", budget_tokens: budget } };
}

/** What a caller of Anthropic's API wrote, if the model accepts it as it is. */
function asWritten({ thinking, effort }: ClaudeWish, request: ChatRequest, facts: ModelFacts): Reasoning | null {
  const type = thinking?.["type"];
  if (type === undefined)
    return facts.effort === false ? { ...nothing, dropped: ["output_config.effort"] } : { ...nothing, effort };
  if (facts.thinking?.some((kind) => kind === type) !== true) return null;
  if (type === "enabled" || (type === "adaptive" && forcesTool(request))) return null;
  return { ...nothing, thinking, effort };
}

const budgetOf = (wish: ClaudeWish | undefined): number | null => {
  const budget = wish?.thinking?.["budget_tokens"];
  return typeof budget === "number" ? budget : null;
};

/** `mode`: the account's option. */
export function reasoningOf(
  request: ChatRequest,
  mode: string | undefined,
  maxTokens: number,
  facts: ModelFacts,
): Reasoning | Refusal {
  const effort = request.reasoning_effort ?? null;
  if (effort === null) return nothing;
  if (effort !== "none" && !Object.hasOwn(efforts, effort))
    return refusal(
      "reasoning_effort",
      `\`reasoning_effort\` must be one of none, ${Object.keys(efforts).join(", ")}.`,
      "invalid_value",
    );
  const wish = request[claudeWish];
  const written = wish === undefined ? null : asWritten(wish, request, facts);
  if (written !== null) return written;
  if (facts.thinking?.length === 0) return effort === "none" ? nothing : { ...nothing, dropped: ["reasoning_effort"] };
  const knowsBudgetsOnly = facts.thinking !== undefined && !facts.thinking.includes("adaptive");
  const takesBudget = mode === "Budget" || (mode !== "Adaptive" && knowsBudgetsOnly);
  return takesBudget ? budgeted(request, effort, maxTokens, budgetOf(wish)) : adaptive(request, effort, facts);
}

export interface Sampling {
  temperature?: number;
  topP?: number;
  topK?: number;
  dropped: string[];
}

/** Whether temperature, top_p and top_k are supported, by the account's option, or else by the model's name. */
export function dropsSampling(option: string | undefined, { sampling }: ModelFacts): boolean {
  return option === "Drop" || (option !== "Pass" && sampling === false);
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
  const requested = { temperature, top_p: request.top_p, top_k: request["top_k"] };
  const sampling: Sampling = { dropped: [] };
  const names = { temperature: "temperature", top_p: "topP", top_k: "topK" } as const;
  for (const [name, value] of Object.entries(requested)) {
    if (typeof value !== "number") continue;
    if (drop || (thinking && besideThinking[name]?.(value) !== true)) sampling.dropped.push(name);
    else sampling[names[name as keyof typeof names]] = value;
  }
  return sampling;
}
