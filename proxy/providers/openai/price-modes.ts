/** By how much OpenAI multiplies its token rates for its service tiers. */
import type { PriceModes } from "../../config/capabilities.ts";

/** Half for batch and flex: https://platform.openai.com/docs/pricing. `fast` is another name of priority. */
export const priceModes: PriceModes = {
  usual: { batch: 500_000, flex: 500_000, priority: 2_500_000, fast: 2_500_000 },
  // https://openai.com/api-priority-processing; a model that is not on the list has the dearest factor of it.
  byModel: [
    ["gpt-4o-mini", 1_666_667],
    ["gpt-4o-2024-05-13", 1_750_000],
    ["gpt-4o-audio", 2_500_000],
    ["gpt-4o-realtime", 2_500_000],
    ["gpt-4o", 1_700_000],
    ["gpt-4.1-nano", 2_000_000],
    ["gpt-4.1", 1_750_000],
    ["gpt-5-mini", 1_800_000],
    ["gpt-5.4", 2_000_000],
    ["gpt-5.2", 2_000_000],
    ["gpt-5.1", 2_000_000],
    ["gpt-5-pro", 2_500_000],
    ["gpt-5-", 2_000_000],
    ["o3-", 1_750_000],
    ["o4-mini", 1_818_182],
  ].map(([prefix, priority]) => ({
    prefix: prefix as string,
    factors: { priority, fast: priority } as Record<string, number>,
  })),
};
