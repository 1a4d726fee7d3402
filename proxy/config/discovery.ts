/** Models that a provider itself lists, in the contract and in what proxies report of them. */
import { z } from "zod";
import { millis } from "./basics.ts";
import { listsModel } from "./model-pattern.ts";

export const discoveryConfig = z.object({
  intervalMs: millis,
  /** Names and patterns of models to take on. */
  models: z.array(z.string()),
  /** The most models to take on. */
  most: z.int().min(1),
});
export type DiscoveryConfig = z.output<typeof discoveryConfig>;

/** What one proxy found at a provider. */
export interface DiscoveryReading {
  /** Sorted; null if no list has been read yet. */
  models: readonly string[] | null;
  /** Number of models that could be taken on; `models` has the first of them. */
  matching: number;
  /** Why the last look failed; null if it didn't. Never holds the provider's own words. */
  reason: string | null;
}

const maxCharacters = 128;
/** As names of models in LLMProviders. */
const name = /^[A-Za-z0-9]([A-Za-z0-9._:/@+-]*[A-Za-z0-9])?$/;

/** Those of a provider's models that are to be taken on, sorted. Others have names that can't be used. */
export const taken = (names: readonly string[], { models }: Pick<DiscoveryConfig, "models">): string[] =>
  [...new Set(names)]
    .filter((model) => model.length <= maxCharacters && name.test(model) && listsModel(models, model))
    .sort();
