/** What a call costs, in integer nano-USD. Pure. */
import {
  measures,
  type Price,
  ratesFor,
  type TokenRates,
  type TokenUnit,
  tokenUnits,
  type UseUnit,
  useUnits,
} from "../config/price.ts";
import type { ImageShape, Units, Usage } from "../dialects/canonical.ts";

const perMillion = 1_000_000;

/** nano-USD per million tokens of a unit. If the price lacks it, a rate that is never below the provider's. */
export function unitRate(rates: TokenRates, unit: TokenUnit): number {
  const own = rates.units?.[unit];
  if (own !== undefined) return own;
  // An hour in Anthropic's cache costs twice the input, wherever it is sold:
  // https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing
  if (unit === "cacheWrite1h") return Math.max(rates.cacheWrite, 2 * rates.input);
  if (unit === "cachedAudio") return rates.units?.["inputAudio"] ?? rates.cachedInput;
  if (unit === "cachedImage") return rates.units?.["inputImage"] ?? rates.cachedInput;
  return rates[tokenUnits[unit]];
}

type Base = (typeof tokenUnits)[TokenUnit];
type Term = readonly [count: number, rate: number];

/** Tokens of a unit that no other unit counts. */
function ownCount(units: Units, unit: TokenUnit): number {
  const all = units[unit] ?? 0;
  if (unit === "inputAudio") return Math.max(0, all - (units.cachedAudio ?? 0));
  if (unit === "inputImage") return Math.max(0, all - (units.cachedImage ?? 0));
  return all;
}

/** If the parts of a report add up to more than the whole, the parts are charged. */
function tokenTerms(usage: Usage, rates: TokenRates): Term[] {
  const left: Record<Base, number> = {
    input: usage.prompt - usage.cachedPrompt - usage.cacheWrite,
    cachedInput: usage.cachedPrompt,
    cacheWrite: usage.cacheWrite,
    output: usage.completion - usage.reasoning,
  };
  const terms: Term[] = [[usage.reasoning, rates.reasoning]];
  if (usage.units !== undefined)
    for (const unit of Object.keys(tokenUnits) as TokenUnit[]) {
      const count = ownCount(usage.units, unit);
      left[tokenUnits[unit]] -= count;
      if (count > 0) terms.push([count, unitRate(rates, unit)]);
    }
  for (const base of Object.keys(left) as Base[]) terms.push([Math.max(0, left[base]), rates[base]]);
  return terms;
}

function usesNanoUsd(units: Units, uses: Readonly<Record<string, number>>): bigint {
  let thousandths = 0n;
  for (const unit of useUnits) thousandths += BigInt(units[unit] ?? 0) * BigInt(uses[unit] ?? 0);
  return ceiling(thousandths, 1_000n);
}

/** nano-USD per thousand images; if several entries may apply, the highest. undefined if the price has none. */
export function imageRate({ images = [], uses }: Price, { size, quality }: ImageShape): number | undefined {
  const fits = (wanted: string | undefined, known: string | undefined): boolean =>
    wanted === undefined || known === undefined || wanted === known;
  const fitting = images.filter((entry) => fits(entry.size, size) && fits(entry.quality, quality));
  if (fitting.length === 0) return uses?.["image"];
  const isKnown = size !== undefined && quality !== undefined;
  return isKnown ? fitting[0]?.rate : Math.max(...fitting.map(({ rate }) => rate));
}

function usesOf(usage: Usage, price: Price): Readonly<Record<string, number>> {
  const rate = usage.image === undefined ? undefined : imageRate(price, usage.image);
  return rate === undefined ? (price.uses ?? {}) : { ...price.uses, image: rate };
}

const ceiling = (dividend: bigint, divisor: bigint): bigint => (dividend + divisor - 1n) / divisor;

/** The cost of the plain tokens of most calls, in nano-USD times a million; null if a float can't hold that exactly. */
function plainSum(usage: Usage, rates: TokenRates): number | null {
  // No term is negative, so the sum is exact if it is a safe integer.
  const sum =
    Math.max(0, usage.prompt - usage.cachedPrompt - usage.cacheWrite) * rates.input +
    usage.cachedPrompt * rates.cachedInput +
    usage.cacheWrite * rates.cacheWrite +
    Math.max(0, usage.completion - usage.reasoning) * rates.output +
    usage.reasoning * rates.reasoning;
  return Number.isSafeInteger(sum) ? sum : null;
}

/** For any size, with multipliers in millionths, applied one after another. */
function exactTokens(terms: readonly Term[], multipliers: readonly number[]): bigint {
  let dividend = terms.reduce((all, [count, rate]) => all + BigInt(count) * BigInt(rate), 0n);
  let divisor = 1_000_000n;
  for (const multiplier of multipliers) {
    dividend *= BigInt(multiplier);
    divisor *= 1_000_000n;
  }
  return ceiling(dividend, divisor);
}

const asBilled = (usage: Usage, { prompt, completion }: NonNullable<Usage["billed"]>): Usage => ({
  ...usage,
  prompt,
  completion,
  cachedPrompt: Math.min(usage.cachedPrompt, prompt),
});

/**
 * Cost in nano-USD, rounded up; null if the model has no price. Units that the price lacks (`unpriced`) cost nothing,
 * and a mode that it lacks multiplies by one.
 */
export function costNanoUsd(reported: Usage, price: Price | null): number | null {
  if (price === null) return null;
  const usage = reported.billed === undefined ? reported : asBilled(reported, reported.billed);
  const rates = ratesFor(price, usage.prompt);
  const { units, modes } = usage;
  if (units === undefined && modes === undefined && price.uses?.["request"] === undefined) {
    const sum = plainSum(usage, rates);
    if (sum !== null) return (sum - (sum % perMillion)) / perMillion + (sum % perMillion > 0 ? 1 : 0);
  }
  const multipliers = (modes ?? []).map((mode) => price.multipliers?.[mode] ?? perMillion);
  const tokens = exactTokens(tokenTerms(usage, rates), multipliers);
  return Number(tokens + usesNanoUsd({ request: 1, ...units }, usesOf(usage, price)));
}

const nothing: readonly string[] = [];

/** Use units and modes that the price lacks, in a fixed order. */
export function unpriced(usage: Usage, price: Price | null): readonly (UseUnit | string)[] {
  const { units, modes } = usage;
  if (price === null) return nothing;
  const tokens = price.tokensUnknown === true && usage.prompt + usage.completion > 0 ? ["tokens"] : nothing;
  if (units === undefined && modes === undefined) return tokens;
  const rates = usesOf(usage, price);
  // A call charged by tokens needs no other price.
  const byTokens = usage.prompt + usage.completion > 0;
  const uses = useUnits.filter(
    (unit) => (units?.[unit] ?? 0) > 0 && rates[unit] === undefined && !(byTokens && measures.has(unit)),
  );
  return [...tokens, ...uses, ...(modes ?? []).filter((mode) => price.multipliers?.[mode] === undefined)];
}
