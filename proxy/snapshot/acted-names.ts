/**
 * Members of a body that the gateway acts on by name. Some servers behind it read names without regard to case, as Go's
 * encoding/json does, and of two that are alike take the last; for them `Model` would stand over the `model` that the
 * gateway saw, checked and put in (https://pkg.go.dev/encoding/json#Unmarshal).
 */
import type { RouteConfig } from "../config/route.ts";
import { steeringMembers } from "../config/steering.ts";

/** Read or edited for every route, in whichever format. */
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

/** Names that differ in case only have this in common; Go takes ſ for s and the sign of Kelvin for k as well. */
const folded = (name: string): string => name.toUpperCase().toLowerCase();

/** Folded name → as it must be written. */
export type ActedNames = ReadonlyMap<string, string>;

const byDefault: ActedNames = new Map(always.map((name) => [name, name]));

export function actedNames({ defaults, overrides }: RouteConfig["request"]): ActedNames {
  const own = [...Object.keys(defaults), ...Object.keys(overrides)].filter((name) => byDefault.get(name) !== name);
  return own.length === 0 ? byDefault : new Map([...byDefault, ...own.map((name) => [folded(name), name] as const)]);
}

const lowerA = 97;
const lowerZ = 122;
const underscore = 95;

/** It is its own folded form, as nearly all names are. */
function isPlain(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if ((code < lowerA || code > lowerZ) && code !== underscore) return false;
  }
  return true;
}

/** The name that `name` could be taken for, and isn't; null as a rule. */
export function takenFor(acted: ActedNames, name: string): string | null {
  const meant = acted.get(isPlain(name) ? name : folded(name));
  return meant === undefined || meant === name ? null : meant;
}
