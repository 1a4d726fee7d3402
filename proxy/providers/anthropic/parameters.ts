/**
 * Handles parameters that a provider doesn't support: refused if the answer would mean something else without them,
 * otherwise dropped and reported.
 */

import { type ChatRequest, isRefusal, type Refusal, refusal } from "../../dialects/canonical.ts";
import { unreadParameters } from "../idle-values.ts";

export interface ParameterRules {
  /** Parameters that the provider's translator handles. */
  known: ReadonlySet<string>;
  refused: ReadonlySet<string>;
}

/** Names of the dropped parameters. */
export function judgeParameters(request: ChatRequest, rules: ParameterRules): string[] | Refusal {
  const unread = unreadParameters(request, rules.known);
  const refused = unread.find((name) => rules.refused.has(name));
  return refused === undefined
    ? unread
    : refusal(
        refused,
        `The provider of this model doesn't support \`${refused}\`. Leave it out, or choose another model.`,
      );
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
