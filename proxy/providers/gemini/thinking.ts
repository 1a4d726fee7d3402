/**
 * `reasoning_effort` → `generationConfig.thinkingConfig` (https://ai.google.dev/gemini-api/docs/thinking). The numbers
 * and names are those of Google's own OpenAI-compatible endpoint
 * (https://ai.google.dev/gemini-api/docs/openai#thinking).
 */

import { type Refusal, refusal } from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";

export type Thinking = "Level" | "Budget" | "None";

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

const levels: Readonly<Record<string, string>> = {
  none: "minimal",
  minimal: "minimal",
  low: "low",
  medium: "medium",
  high: "high",
  xhigh: "high",
  max: "high",
};
/** Tokens. */
const budgets: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 1_024,
  low: 1_024,
  medium: 8_192,
  high: 24_576,
  xhigh: 24_576,
  max: 24_576,
};

/** Smallest thinking budget of 2.5 Pro, in tokens. */
const minProBudget = 128;

/**
 * By the option, otherwise by the model's name. Names without a version (`gemini-flash-latest`) get a budget, which
 * Gemini 3 also accepts.
 */
export function thinkingOf(model: string, option: string | undefined): Thinking {
  if (option === "Level" || option === "Budget") return option;
  if (/^gemma|^gemini-(1|2\.0)/.test(model)) return "None";
  const generation = /^gemini-(\d+)/.exec(model)?.[1];
  return Number(generation ?? 0) >= 3 ? "Level" : "Budget";
}

/** Pro models of Gemini 3 have no `minimal`, and the first of them has no `medium`. */
function levelOf(model: string, effort: string): string | undefined {
  const level = levels[effort];
  if (level === "minimal" && /-pro\b/.test(model)) return "low";
  return level === "medium" && /^gemini-3-pro/.test(model) ? "high" : level;
}

function budgetOf(model: string, effort: string): number | undefined {
  const budget = budgets[effort];
  return budget === 0 && /-pro\b/.test(model) ? minProBudget : budget;
}

const maxBudget = (model: string): number => (/-pro\b/.test(model) ? 32_768 : 24_576);

/** Returns null if the model doesn't think. The effort is then dropped. */
/** `asked`: the budget that the caller named, in tokens. */
export function thinkingConfig(
  model: string,
  thinking: Thinking,
  effort: string,
  asked: number | null = null,
): JsonObject | null | Refusal {
  if (!efforts.includes(effort))
    return refusal("reasoning_effort", `\`reasoning_effort\` must be one of ${efforts.join(", ")}.`, "invalid_value");
  if (thinking === "None") return null;
  const amount =
    thinking === "Level"
      ? { thinkingLevel: levelOf(model, effort) }
      : { thinkingBudget: asked === null ? budgetOf(model, effort) : Math.min(asked, maxBudget(model)) };
  return { ...amount, includeThoughts: effort !== "none" };
}
