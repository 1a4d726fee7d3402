/** Reads the numbers of a provider's usage report and combines them. */
import { isObject, type JsonObject } from "../wire/json.ts";
import type { Units, Usage } from "./canonical.ts";

/** No call has this many tokens, and their cost still fits a safe integer. */
const maxTokens = 1e9;

/** A count as sent by the provider. Anything but a positive number that a call can have becomes 0. */
export function count(value: unknown, most = maxTokens): number {
  return typeof value === "number" && value > 0 && value <= most ? Math.floor(value) : 0;
}

/** Whether a value is absent or a plausible count: a number, not negative, and not far too large. */
const canBe = (value: unknown, most: number): boolean =>
  value === undefined || value === null || (typeof value === "number" && value >= 0 && value <= most);

const none: JsonObject = Object.freeze({});

export const member = (object: unknown, name: string): JsonObject => {
  const value = isObject(object) ? object[name] : undefined;
  return isObject(value) ? value : none;
};

/** The counts of one report. Remembers whether any of them is implausible. */
export class Counts {
  implausible = false;
  readonly #most: number;

  /** `most`: of one count. A batch has more than a call. */
  constructor(most = maxTokens) {
    this.#most = most;
  }

  of(value: unknown): number {
    if (!canBe(value, this.#most)) this.implausible = true;
    return count(value, this.#most);
  }

  /** `tokens`: the counts that every report has. Omits units that weren't used. */
  usage(tokens: Omit<Usage, "estimated" | "units" | "modes" | "implausible">, more: More = {}): Usage {
    const usage: Usage = { ...tokens, estimated: false };
    const units = more.units === undefined ? null : used(more.units);
    if (units !== null) usage.units = units;
    if (more.modes?.some(isMode) === true) usage.modes = more.modes.filter(isMode);
    if (this.implausible) usage.implausible = true;
    return usage;
  }
}

const isMode = (mode: string | null): mode is string => mode !== null;

interface More {
  units?: Units;
  modes?: readonly (string | null)[];
}

function used(units: Units): Units | null {
  let some: Units | null = null;
  for (const name in units) {
    const unit = name as keyof Units;
    const amount = units[unit] ?? 0;
    if (amount > 0) (some ??= {})[unit] = amount;
  }
  return some;
}

/**
 * Completion and reasoning tokens if the total exceeds the sum of its parts: servers that don't count reasoning as
 * completion include it only in the total.
 */
export function withHidden(
  { prompt, completion, reasoning }: Pick<Usage, "prompt" | "completion" | "reasoning">,
  total: number,
): Pick<Usage, "completion" | "reasoning"> {
  const hidden = total - prompt - completion;
  return hidden <= 0
    ? { completion, reasoning }
    : { completion: completion + hidden, reasoning: Math.max(reasoning, hidden) };
}

/** How the provider processed the call, if not in the standard way; null if standard or not stated. */
export function tierMode(tier: unknown): string | null {
  if (typeof tier !== "string") return null;
  const name = tier.toLowerCase();
  return ordinaryTiers.has(name) || !/^[a-z][a-z0-9-]{0,62}$/.test(name) ? null : name;
}

const tiers: ReadonlySet<string> = new Set(["flex", "priority", "batch", "scale", "reserved"]);

/** How the call was processed, in the words of `service_tier`; null for the ordinary way. */
export const tierOf = (usage: Usage | null): string | null => usage?.modes?.find((mode) => tiers.has(mode)) ?? null;

const ordinaryTiers: ReadonlySet<string> = new Set([
  "default",
  "auto",
  "standard",
  "on_demand",
  "ondemand",
  "on-demand",
]);
