/**
 * Members of a request body that the gateway acts on by name. Some servers behind it match names case-insensitively, as
 * Go's encoding/json does, and take the last of two that match. For them, `Model` would override the `model` that the
 * gateway checked and set (https://pkg.go.dev/encoding/json#Unmarshal).
 */
import type { RouteConfig, TargetConfig } from "../config/route.ts";
import { steeringMembers } from "../config/steering.ts";

/** Read or edited on every route, in any format. */
const always = [
  "model",
  "messages",
  "input",
  "prompt",
  "system",
  "instructions",
  "stream",
  "stream_options",
  "max_tokens",
  "max_completion_tokens",
  "max_output_tokens",
  "n",
  "best_of",
  "stop",
  "stop_sequences",
  "seed",
  "temperature",
  "top_p",
  "top_k",
  "tools",
  "tool_choice",
  "functions",
  "function_call",
  "response_format",
  "reasoning_effort",
  "reasoning",
  "thinking",
  "include_reasoning",
  "enable_thinking",
  "thinking_budget",
  "output_config",
  "text",
  "user",
  "metadata",
  "safety_identifier",
  "prompt_cache_key",
  "store",
  "previous_response_id",
  "conversation",
  "background",
  "prefer_provider",
  ...steeringMembers,
];

/**
 * Folds case: names that differ only in case have the same folded form. Like Go, it also folds ſ to s and the Kelvin
 * sign to k.
 */
const folded = (name: string): string => name.toUpperCase().toLowerCase();

/** Folded name → the required spelling. */
export type ActedNames = ReadonlyMap<string, string>;

const byDefault: ActedNames = new Map(always.map((name) => [name, name]));

export function actedNames(
  { defaults, overrides }: RouteConfig["request"],
  targets: readonly TargetConfig[] = [],
): ActedNames {
  const set = [defaults, overrides, ...targets.map(({ parameters = {} }) => parameters)];
  const own = set.flatMap((parameters) => Object.keys(parameters)).filter((name) => byDefault.get(name) !== name);
  return own.length === 0 ? byDefault : new Map([...byDefault, ...own.map((name) => [folded(name), name] as const)]);
}

const lowerA = 97;
const lowerZ = 122;
const underscore = 95;

/** Whether the name is its own folded form, as nearly all are. */
function isPlain(name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index);
    if ((code < lowerA || code > lowerZ) && code !== underscore) return false;
  }
  return true;
}

/** Returns the acted-on name that `name` could be mistaken for, or null if it is spelled correctly or matches none. */
export function takenFor(acted: ActedNames, name: string): string | null {
  const meant = acted.get(isPlain(name) ? name : folded(name));
  return meant === undefined || meant === name ? null : meant;
}
