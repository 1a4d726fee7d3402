/**
 * By how much providers multiply their token rates for modes of processing that the price dataset doesn't know: service
 * tiers, fast inference, inference bound to a region. In millionths. Where a provider publishes a list by model, it is
 * followed; a model that is on none gets the dearest of the list, so that nothing is charged too little.
 */

type Multipliers = Record<string, number>;

/**
 * https://openai.com/api-priority-processing: priority by model, as the longest prefix says. Batch and flex cost half:
 * https://platform.openai.com/docs/pricing.
 */
const openaiPriority: readonly (readonly [prefix: string, millionths: number])[] = [
  ["gpt-4o-mini", 1_666_667],
  ["gpt-4o-2024-05-13", 1_750_000],
  ["gpt-4o", 1_700_000],
  ["gpt-4.1-nano", 2_000_000],
  ["gpt-4.1", 1_750_000],
  ["gpt-5-mini", 1_800_000],
  ["gpt-5.5", 2_500_000],
  ["gpt-5.4", 2_000_000],
  ["gpt-5.2", 2_000_000],
  ["gpt-5.1", 2_000_000],
  ["gpt-5-", 2_000_000],
  ["o3", 1_750_000],
  ["o4-mini", 1_818_182],
];
const dearestPriority = 2_500_000;

function openai(model: string): Multipliers {
  const listed = openaiPriority.find(([prefix]) => `${model}-`.startsWith(prefix));
  const priority = listed?.[1] ?? dearestPriority;
  return { batch: 500_000, flex: 500_000, priority, fast: priority };
}

const byProvider: Readonly<Record<string, (model: string) => Multipliers>> = {
  openai,
  azure: openai,
  // Batch, data residency and fast mode: https://platform.claude.com/docs/en/about-claude/pricing
  anthropic: () => ({ batch: 500_000, fast: 6_000_000, "geo-us": 1_100_000 }),
  // https://ai.google.dev/gemini-api/docs/pricing
  google: () => ({ batch: 500_000, flex: 500_000, priority: 1_800_000 }),
  // https://aws.amazon.com/bedrock/pricing: priority is 75 % dearer, flex and batch cost half.
  aws: () => ({ batch: 500_000, flex: 500_000, priority: 1_750_000 }),
  mistral: () => ({ batch: 500_000 }),
  groq: () => ({ batch: 500_000, flex: 1_000_000 }),
};

/** `provider`: its name in the price dataset. Empty where nothing is known of it. */
export const usualMultipliers = (provider: string, model: string): Multipliers =>
  Object.hasOwn(byProvider, provider) ? (byProvider[provider] as (model: string) => Multipliers)(model) : {};
