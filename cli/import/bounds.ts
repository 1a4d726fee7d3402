/** Bounds of fields that an imported configuration can exceed. Whatever doesn't fit gets a line in the report. */
import type { Spec } from "./manifests.ts";
import { modelNameFrom } from "./names.ts";
import type { Setting } from "./setting.ts";

/** Most models that a RoutingPolicy can match. */
const maxMatched = 64;

/** Most models that an ApiKey can list. */
export const maxKeyModels = 256;

/** Most tags of an ApiKey. */
export const maxTags = 32;

/** Most networks of a policy. */
export const maxNetworks = 256;

/** Most patterns in each list of a guard. */
export const maxPatterns = 64;

/** Most custom patterns that a guard can mask. */
export const maxCustom = 32;

/**
 * The first values, as many as the field allows. `settingOf`: the setting under which the report lists each of the
 * others.
 */
export function takeFirst<T>(
  items: readonly T[],
  most: number,
  what: string,
  settingOf: (item: T) => Setting | undefined,
): T[] {
  for (const item of items.slice(most))
    settingOf(item)?.remark("NotImported", `${what} can be at most ${most}, and this is beyond them`);
  return items.slice(0, most);
}

/** The number, or the nearest that the field accepts. */
export function boundedNumber(number: number, least: number, most: number, field: string, setting: Setting): number {
  const kept = Math.min(most, Math.max(least, number));
  if (kept !== number) setting.remark("Changed", `${field} is ${kept}: it is from ${least} to ${most}`);
  return kept;
}

/** Retries → attempts. The first attempt isn't a retry. */
export function attemptsFrom(retries: Setting): Spec {
  if (retries.number === undefined) return {};
  const attempts = boundedNumber(Math.floor(retries.number) + 1, 1, 10, "retry.attempts", retries);
  retries.imported(`retry.attempts is ${attempts}: retries and the first attempt`);
  return { attempts };
}

/** A model's name in the other configuration, and the setting that has it. */
export type NamedModel = readonly [string, Setting | undefined];

/** `match.models`, in names that callers can write. */
export function matchedModels(models: readonly NamedModel[], policy: string): string[] {
  const names = new Map<string, Setting | undefined>();
  for (const [text, setting] of models) {
    const name = modelNameFrom(text);
    if (name === null) setting?.remark("NotImported", "nothing is left of the name as a model's name");
    else if (name !== text) setting?.remark("Changed", `callers write ${name}`);
    if (name !== null && !names.has(name)) names.set(name, setting);
  }
  const what = `models of the policy for ${policy}`;
  return takeFirst([...names], maxMatched, what, ([, setting]) => setting).map(([name]) => name);
}
