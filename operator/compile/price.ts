/** A price as people write it, in decimal USD → nano-USD. */
import { decimalToNano } from "../../crds/quantity.ts";
import type { ModelPrice } from "../../crds/types/price.ts";
import type { PriceModes } from "../../proxy/config/capabilities.ts";
import {
  type Price,
  type TokenRates,
  type TokenUnit,
  tokenUnits,
  type UseUnit,
  useUnits,
} from "../../proxy/config/price.ts";

type Rates =
  | Omit<ModelPrice, "contextTiers" | "multipliers" | "images" | "compute">
  | NonNullable<ModelPrice["contextTiers"]>[number];

function given<Unit extends string>(units: readonly Unit[], text: (unit: Unit) => string | undefined) {
  const rates: Record<string, number> = {};
  for (const unit of units) {
    const value = text(unit);
    if (value !== undefined) rates[unit] = decimalToNano(value);
  }
  return Object.keys(rates).length === 0 ? undefined : rates;
}

function tokenRatesOf(spec: Rates): TokenRates {
  const input = decimalToNano(spec.inputPerMillion);
  const output = decimalToNano(spec.outputPerMillion);
  const or = (text: string | undefined, fallback: number): number =>
    text === undefined ? fallback : decimalToNano(text);
  const units = given(Object.keys(tokenUnits) as TokenUnit[], (unit) => spec[`${unit}PerMillion`]);
  return {
    input,
    cachedInput: or(spec.cachedInputPerMillion, input),
    cacheWrite: or(spec.cacheWritePerMillion, input),
    output,
    reasoning: or(spec.reasoningPerMillion, output),
    ...(units === undefined ? {} : { units }),
  };
}

/** nano-USD per hour → per thousand seconds, rounded up. */
const perThousandSeconds = (perHour: number): number => Math.ceil((perHour * 10) / 36);

/** nano-USD of a call's time at a server, per thousand milliseconds, rounded up. */
function computeRate({ perGPUHour, gpus, callsAtOnce }: NonNullable<ModelPrice["compute"]>): number {
  const divisor = 3_600n * BigInt(callsAtOnce);
  return Number((BigInt(decimalToNano(perGPUHour)) * BigInt(gpus) + divisor - 1n) / divisor);
}

/** Units with separate fields. */
type OddUnit = "audioSecond" | "character" | "computeMillisecond";

function usesOf(spec: ModelPrice): Record<string, number> | undefined {
  const odd: ReadonlySet<UseUnit> = new Set<OddUnit>(["audioSecond", "character", "computeMillisecond"]);
  const counted = useUnits.filter((unit): unit is Exclude<UseUnit, OddUnit> => !odd.has(unit));
  const uses = given(counted, (unit) => spec[`${unit}PerThousand`]);
  const { audioPerHour, charactersPerMillion, compute } = spec;
  if (audioPerHour === undefined && charactersPerMillion === undefined && compute === undefined) return uses;
  return {
    ...uses,
    ...(audioPerHour === undefined ? {} : { audioSecond: perThousandSeconds(decimalToNano(audioPerHour)) }),
    ...(charactersPerMillion === undefined
      ? {}
      : { character: Math.ceil(decimalToNano(charactersPerMillion) / 1_000) }),
    ...(compute === undefined ? {} : { computeMillisecond: computeRate(compute) }),
  };
}

const imagesOf = (images: NonNullable<ModelPrice["images"]>): NonNullable<Price["images"]> =>
  images.map(({ size, quality, perThousand }) => ({
    ...(size === undefined ? {} : { size }),
    ...(quality === undefined ? {} : { quality }),
    rate: decimalToNano(perThousand),
  }));

/** A factor as written → millionths. */
export const millionths = (text: string): number => decimalToNano(text) / 1_000;

export function multipliersOf(given: Readonly<Record<string, string>>): Record<string, number> {
  const entries = Object.entries(given).map(([mode, factor]): [string, number] => [mode, millionths(factor)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function priceOf(spec: ModelPrice): Price {
  const uses = usesOf(spec);
  const tiers = (spec.contextTiers ?? []).map((tier) => ({ aboveTokens: tier.aboveTokens, ...tokenRatesOf(tier) }));
  return {
    ...tokenRatesOf(spec),
    tiers: tiers.sort((a, b) => a.aboveTokens - b.aboveTokens),
    ...(uses === undefined ? {} : { uses }),
    ...(spec.compute === undefined ? {} : { computeCallsAtOnce: spec.compute.callsAtOnce }),
    ...(spec.images === undefined ? {} : { images: imagesOf(spec.images) }),
    ...(spec.multipliers === undefined ? {} : { multipliers: multipliersOf(spec.multipliers) }),
    source: "override",
  };
}

/** Adds the provider's usual factors for modes that the price leaves out. `model`: its name in the price table. */
export function withUsualModes(price: Price, model: string, modes: PriceModes | undefined): Price {
  if (modes === undefined) return price;
  const byModel = Object.entries(modes.byModel ?? {}).flatMap(([mode, factors]): [string, number][] => {
    const prefix = Object.keys(factors).find((name) => `${model}-`.startsWith(name));
    return prefix === undefined ? [] : [[mode, factors[prefix] as number]];
  });
  return { ...price, multipliers: { ...modes.usual, ...Object.fromEntries(byModel), ...price.multipliers } };
}
