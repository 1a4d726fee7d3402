/** What becomes of parameters that a provider has no form for: refused where the answer would mean something else, else dropped and named. */

import { type ChatRequest, isRefusal, type Refusal, refusal } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";

export interface ParameterRules {
  /** The provider's translator looks after these. */
  known: ReadonlySet<string>;
  refused: ReadonlySet<string>;
}

/** Values that ask for nothing but what is the case anyway. */
const harmless: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value === 1,
  logprobs: (value) => value === false,
  top_logprobs: (value) => value === 0,
  logit_bias: (value) => isObject(value) && Object.keys(value).length === 0,
  presence_penalty: (value) => value === 0,
  frequency_penalty: (value) => value === 0,
  modalities: (value) => Array.isArray(value) && value.every((one) => one === "text"),
  metadata: (value) => isObject(value) && Object.keys(value).length === 0,
  service_tier: (value) => value === "auto",
  store: (value) => value === false,
  stream_options: () => true,
};

/** Names of what is dropped. */
export function judgeParameters(request: ChatRequest, rules: ParameterRules): string[] | Refusal {
  const dropped: string[] = [];
  for (const name of Object.keys(request)) {
    const value = request[name];
    if (value === null || value === undefined || rules.known.has(name)) continue;
    if (Object.hasOwn(harmless, name) && harmless[name]?.(value)) continue;
    if (rules.refused.has(name))
      return refusal(
        name,
        `\`${name}\` is not known to the provider of this model. Leave it out, or choose another model.`,
      );
    dropped.push(name);
  }
  return dropped;
}

/** Stop sequences; Claude takes none of white space alone. */
export function stopsOf(request: ChatRequest, claude: boolean): string[] | Refusal {
  const given = typeof request.stop === "string" ? [request.stop] : (request.stop ?? []);
  const stops = given.filter((one) => one !== "");
  if (claude && stops.some((one) => one.trim() === ""))
    return refusal("stop", "`stop` must hold more than white space for the provider of this model.");
  return stops;
}

/** Members that are there of an object of optional ones. */
export function present<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const out: { [K in keyof T]?: NonNullable<T[K]> } = {};
  for (const name in members) {
    const value = members[name];
    if (value !== undefined && value !== null) out[name] = value;
  }
  return out;
}

export type SettledParameters<T> = { [K in keyof T]: Exclude<T[K], Refusal> };

/** Parts of a request that were translated on their own: all of them, or the first refusal. */
export function settleParameters<T extends Record<string, unknown>>(parts: T): SettledParameters<T> | Refusal {
  for (const name in parts) {
    const part: unknown = parts[name];
    if (typeof part === "object" && part !== null && isRefusal(part)) return part;
  }
  return parts as SettledParameters<T>;
}
