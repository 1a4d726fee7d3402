/** The most that tokens and tool uses can cost, at a model's highest rates. */
import type { Price, TokenRates, TokenUnit, UseUnit } from "../config/price.ts";
import { unitRate } from "../telemetry/cost.ts";
import type { ServerUses } from "./server-tools.ts";

/** Token units with separate rates that a call may use. */
export interface UnitsOfCall {
  media: boolean;
  hourOfCache: boolean;
  audioAnswer: boolean;
}

const mediaUnits = ["inputAudio", "inputImage", "inputVideo"] as const;

function promptRates(rates: TokenRates, { media, hourOfCache }: UnitsOfCall): number[] {
  const units: TokenUnit[] = [...(media ? mediaUnits : []), ...(hourOfCache ? ["cacheWrite1h" as const] : [])];
  return [rates.input, rates.cachedInput, rates.cacheWrite, ...units.map((unit) => unitRate(rates, unit))];
}

function answerRates(rates: TokenRates, { audioAnswer }: UnitsOfCall): number[] {
  return [rates.output, rates.reasoning, ...(audioAnswer ? [unitRate(rates, "outputAudio")] : [])];
}

/** nano-USD per million tokens of prompts and of answers, by price and by the call's units as a bit mask. */
const dearestPrices = new WeakMap<Price, Map<number, readonly [prompt: number, answer: number]>>();

const bitsOf = ({ media, hourOfCache, audioAnswer }: UnitsOfCall): number =>
  Number(media) + 2 * Number(hourOfCache) + 4 * Number(audioAnswer);

function dearestRates(price: Price, units: UnitsOfCall): readonly [prompt: number, answer: number] {
  let byUnits = dearestPrices.get(price);
  if (byUnits === undefined) dearestPrices.set(price, (byUnits = new Map()));
  const bits = bitsOf(units);
  let rates = byUnits.get(bits);
  if (rates === undefined) {
    const tiers: TokenRates[] = [price, ...price.tiers];
    rates = [
      Math.max(...tiers.flatMap((tier) => promptRates(tier, units))),
      Math.max(...tiers.flatMap((tier) => answerRates(tier, units))),
    ];
    byUnits.set(bits, rates);
  }
  return rates;
}

/** The most that the tokens can cost, in nano-USD, rounded up; 0 if they are free. */
export function dearest(prompt: number, completion: number, price: Price, units: UnitsOfCall): number {
  const rates = dearestRates(price, units);
  const sum = prompt * rates[0] + completion * rates[1];
  return sum === 0 ? 0 : Math.ceil(sum / 1_000_000) + 2;
}

const noRates: NonNullable<Price["uses"]> = {};

/**
 * Cost of the provider's own tools and of the call itself, in nano-USD. `times`: number of answers that may each use
 * them.
 */
export function usesCost({ uses, either, calls }: ServerUses, price: Price, times: number): number {
  const { uses: rates = noRates } = price;
  let dearestUse = 0;
  for (let index = 0; index < either.length; index++)
    dearestUse = Math.max(dearestUse, rates[either[index] as UseUnit] ?? 0);
  let perThousand = calls * dearestUse;
  for (const unit in uses) perThousand += (uses[unit as UseUnit] ?? 0) * (rates[unit as UseUnit] ?? 0);
  return Math.ceil((perThousand * times + (rates["request"] ?? 0)) / 1_000);
}
