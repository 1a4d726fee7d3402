/** Reads the numbers of a provider's usage report, and puts together what they amount to. */
import { isObject, type JsonObject } from "../wire/json.ts";
import type { Units, Usage } from "./canonical.ts";

/** No call has as many tokens; and what they cost can be counted. */
const mostTokens = 1e9;

/** A count as the wire gives it; anything but a number above 0 that a call can have is 0. */
export function count(value: unknown): number {
  return typeof value === "number" && value > 0 && value <= mostTokens ? Math.floor(value) : 0;
}

/** Absent, or a count: not negative, no text, not beyond all measure. */
const canBe = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === "number" && value >= 0 && value <= mostTokens);

export const member = (object: unknown, name: string): JsonObject => {
  const value = isObject(object) ? object[name] : undefined;
  return isObject(value) ? value : {};
};

/** The counts of one report. It remembers whether any can't be one. */
export class Counts {
  implausible = false;

  of(value: unknown): number {
    if (!canBe(value)) this.implausible = true;
    return count(value);
  }

  /** `tokens`: the counts that every report has. Units of which nothing was used are left out. */
  usage(tokens: Omit<Usage, "estimated" | "units" | "modes" | "implausible">, more: More = {}): Usage {
    const units = used(more.units ?? {});
    const modes = (more.modes ?? []).filter((mode) => mode !== null);
    return {
      ...tokens,
      estimated: false,
      ...(units === null ? {} : { units }),
      ...(modes.length === 0 ? {} : { modes }),
      ...(this.implausible ? { implausible: true as const } : {}),
    };
  }
}

interface More {
  units?: Units;
  modes?: readonly (string | null)[];
}

function used(units: Units): Units | null {
  const entries = Object.entries(units).filter(([, amount]) => amount > 0);
  return entries.length === 0 ? null : (Object.fromEntries(entries) as Units);
}

/**
 * Tokens of an answer where the total says more than its parts: servers that leave reasoning out of the answer's count
 * put it into the total alone.
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

/** How the provider processed the call, where that isn't the ordinary way; null where it is, or nothing is said. */
export function tierMode(tier: unknown): string | null {
  if (typeof tier !== "string") return null;
  const name = tier.toLowerCase();
  return ordinaryTiers.has(name) || !/^[a-z][a-z0-9-]{0,62}$/.test(name) ? null : name;
}

const ordinaryTiers: ReadonlySet<string> = new Set([
  "default",
  "auto",
  "standard",
  "on_demand",
  "ondemand",
  "on-demand",
]);
