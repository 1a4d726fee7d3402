/** What some real models accept, from their providers' documentation. Names that aren't listed accept everything. */
export interface ModelFacts {
  /** Largest answer, in tokens. */
  maxOutput?: number;
  /** Values of `reasoning_effort`, or none if the model refuses the parameter. */
  efforts?: readonly string[];
  /** Whether temperature and top_p may be set. */
  sampling?: boolean;
  /** Types of `thinking` that the model accepts. */
  thinking?: readonly string[];
  /** Whether it is a reasoning model of OpenAI, which refuses `max_tokens` and `stop`. */
  reasons?: boolean;
  jsonSchema?: boolean;
  /** Whether chat completions refuse functions unless `reasoning_effort` is `none`. */
  toolsOnlyInResponses?: boolean;
}

const reasoning = ["minimal", "low", "medium", "high"];

export const modelFacts: Readonly<Record<string, ModelFacts>> = {
  "gpt-4o-mini": { maxOutput: 16_384, efforts: [] },
  "gpt-4o": { maxOutput: 16_384, efforts: [] },
  "gpt-4.1": { maxOutput: 32_768, efforts: [] },
  "gpt-3.5-turbo": { maxOutput: 4_096, efforts: [], jsonSchema: false },
  "gpt-5": { maxOutput: 128_000, efforts: reasoning, sampling: false, reasons: true },
  "gpt-5.1": { maxOutput: 128_000, efforts: ["none", "low", "medium", "high"], sampling: false, reasons: true },
  "gpt-5.6": {
    maxOutput: 128_000,
    efforts: ["none", "low", "medium", "high", "xhigh"],
    sampling: false,
    reasons: true,
    toolsOnlyInResponses: true,
  },
  "o3-mini": { maxOutput: 100_000, efforts: ["low", "medium", "high"], sampling: false, reasons: true },
  "claude-3-haiku-20240307": { maxOutput: 4_096, thinking: [], jsonSchema: false },
  "claude-3-5-haiku-latest": { maxOutput: 8_192, thinking: [], jsonSchema: false },
  "claude-haiku-4-5": { maxOutput: 64_000, thinking: ["enabled", "disabled"] },
  "claude-sonnet-4-5": { maxOutput: 64_000, thinking: ["enabled", "disabled"] },
  "claude-opus-4-1": { maxOutput: 32_000, thinking: ["enabled", "disabled"], jsonSchema: false },
  "claude-opus-4-6": { maxOutput: 128_000, thinking: ["adaptive", "enabled", "disabled"] },
  "claude-opus-4-7": { maxOutput: 128_000, thinking: ["adaptive", "disabled"], sampling: false },
  "claude-sonnet-5-5": { maxOutput: 128_000, thinking: ["adaptive", "between_tools"], sampling: false },
  "claude-opus-5-5": { maxOutput: 128_000, thinking: ["adaptive"], sampling: false },
  "claude-fable-5-1": { maxOutput: 128_000, thinking: ["adaptive"], sampling: false },
};

export const factsOf = (model: unknown): ModelFacts => modelFacts[String(model)] ?? {};
