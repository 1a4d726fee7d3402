/** A price as people write it, in decimal USD → nano-USD. */
import { decimalToNano } from "../../crds/quantity.ts";
import type { Price } from "../../proxy/config/provider.ts";

/** USD for a million tokens, as decimal strings. */
export interface Rates {
  inputPerMillion: string;
  cachedInputPerMillion?: string | undefined;
  cacheWritePerMillion?: string | undefined;
  outputPerMillion: string;
  reasoningPerMillion?: string | undefined;
}

export function priceOf(spec: Rates): Price {
  const input = decimalToNano(spec.inputPerMillion);
  const output = decimalToNano(spec.outputPerMillion);
  const or = (text: string | undefined, fallback: number): number =>
    text === undefined ? fallback : decimalToNano(text);
  return {
    input,
    cachedInput: or(spec.cachedInputPerMillion, input),
    cacheWrite: or(spec.cacheWritePerMillion, input),
    output,
    reasoning: or(spec.reasoningPerMillion, output),
    tiers: [],
    source: "override",
  };
}
