/**
 * What a model accepts, so that nothing is sent that it is sure to refuse: by its family, from the provider's
 * documentation, unless `spec.models[].capabilities` says otherwise. A fact that isn't known is absent.
 */
import type { ProviderModel } from "./provider.ts";

export const thinkingKinds = ["adaptive", "enabled", "disabled", "between_tools"] as const;
export type ThinkingKind = (typeof thinkingKinds)[number];

export interface ModelFacts {
  /** Largest answer, in tokens. */
  maxOutput?: number;
  /** Values of `reasoning_effort`, from least to most. Empty: the model refuses the parameter. */
  efforts?: readonly string[];
  /** Whether temperature, top_p and top_k may be set. */
  sampling?: boolean;
  /** Types of Claude's `thinking`. Empty: the model doesn't think. */
  thinking?: readonly ThinkingKind[];
  /** Whether Claude's `effort` may be set. */
  effort?: boolean;
  /** Whether Claude's thinking has to be asked to show itself. */
  hidesThinking?: boolean;
  jsonSchema?: boolean;
  /** Whether `stop` may be set. */
  stop?: boolean;
}

/** The facts of a family, corrected by the LLMProvider's settings for the model. */
export function factsOf(model: ProviderModel, family: (upstream: string) => ModelFacts): ModelFacts {
  const { upstream, maxOutputTokens, capabilities } = model.config;
  const { reasoningEfforts, thinking, sampling, jsonSchema } = capabilities ?? {};
  return {
    ...family(upstream),
    ...(maxOutputTokens === null ? {} : { maxOutput: maxOutputTokens }),
    ...(reasoningEfforts === undefined ? {} : { efforts: reasoningEfforts }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(sampling === undefined ? {} : { sampling }),
    ...(jsonSchema === undefined ? {} : { jsonSchema }),
  };
}

/** For `Provider.maxOutput`. */
export const maxOutputBy =
  (family: (upstream: string) => ModelFacts) =>
  (model: ProviderModel): number | null =>
    factsOf(model, family).maxOutput ?? null;

/** A limit that the model accepts. */
export const cappedOutput = (limit: number, { maxOutput }: ModelFacts): number => Math.min(limit, maxOutput ?? limit);

const order = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/** The accepted effort that is nearest to the wish, the lower of two; null if the model takes none. */
export function nearestEffort(effort: string, { efforts }: ModelFacts): string | null {
  if (efforts === undefined || efforts.includes(effort)) return effort;
  const wish = order.indexOf(effort);
  if (wish < 0) return efforts.length === 0 ? null : effort;
  const distance = (other: string): number => Math.abs(order.indexOf(other) - wish);
  return efforts.toSorted((a, b) => distance(a) - distance(b) || order.indexOf(a) - order.indexOf(b))[0] ?? null;
}
