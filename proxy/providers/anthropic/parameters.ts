/**
 * Handles parameters that a provider doesn't support: refused if the answer would mean something else without them,
 * otherwise dropped and reported.
 */

import { type ChatRequest, isRefusal, type Refusal, refusal } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";

export interface ParameterRules {
  /** Parameters that the provider's translator handles. */
  known: ReadonlySet<string>;
  refused: ReadonlySet<string>;
}

/** Values that ask only for the default behaviour. */
const harmless: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value === 1,
  logprobs: (value) => value === false,
  top_logprobs: (value) => value === 0,
  logit_bias: (value) => isObject(value) && Object.keys(value).length === 0,
  presence_penalty: (value) => value === 0,
  frequency_penalty: (value) => value === 0,
  modalities: (value) => Array.isArray(value) && value.every((modality) => modality === "text"),
  metadata: (value) => isObject(value) && Object.keys(value).length === 0,
  service_tier: (value) => value === "auto",
  store: (value) => value === false,
  stream_options: () => true,
};

/** Names of the dropped parameters. */
export function judgeParameters(request: ChatRequest, rules: ParameterRules): string[] | Refusal {
  const dropped: string[] = [];
  for (const name of Object.keys(request)) {
    const value = request[name];
    if (value === null || value === undefined || rules.known.has(name)) continue;
    if (Object.hasOwn(harmless, name) && harmless[name]?.(value)) continue;
    if (rules.refused.has(name))
      return refusal(
        name,
        `The provider of this model doesn't support \`${name}\`. Leave it out, or choose another model.`,
      );
    dropped.push(name);
  }
  return dropped;
}

/** Stop sequences. Claude refuses those of white space only. */
export function stopsOf(request: ChatRequest, claude: boolean): string[] | Refusal {
  const sequences = typeof request.stop === "string" ? [request.stop] : (request.stop ?? []);
  const stops = sequences.filter((text) => text !== "");
  if (claude && stops.some((stop) => stop.trim() === ""))
    return refusal("stop", "`stop` must hold more than white space for the provider of this model.");
  return stops;
}

/** The members of an object that have a value. */
export function present<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const out: { [K in keyof T]?: NonNullable<T[K]> } = {};
  for (const name in members) {
    const value = members[name];
    if (value !== undefined && value !== null) out[name] = value;
  }
  return out;
}

export type SettledParameters<T> = { [K in keyof T]: Exclude<T[K], Refusal> };

/** Combines parts of a request that were translated separately: all of them, or the first refusal. */
export function settleParameters<T extends Record<string, unknown>>(parts: T): SettledParameters<T> | Refusal {
  for (const name in parts) {
    const part: unknown = parts[name];
    if (typeof part === "object" && part !== null && isRefusal(part)) return part;
  }
  return parts as SettledParameters<T>;
}
