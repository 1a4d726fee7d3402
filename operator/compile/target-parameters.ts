/** `spec.routing.targets[].parameters`: the members of a call that a target may set, and their allowed values. Pure. */
import { modelMembers } from "../../proxy/config/steering.ts";
import { own, problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

interface Rule {
  accepts(value: unknown): boolean;
  /** Completes "must be …". */
  form: string;
}

const number = (least: number, most: number): Rule => ({
  accepts: (value) => typeof value === "number" && value >= least && value <= most,
  form: `a number from ${least} to ${most}`,
});
const integer = (least: number, most: number): Rule => ({
  accepts: (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
  form: `a whole number from ${least} to ${most}`,
});
const word = (...words: string[]): Rule => ({
  accepts: (value) => typeof value === "string" && words.includes(value),
  form: `one of ${words.join(", ")}`,
});
const boolean: Rule = { accepts: (value) => typeof value === "boolean", form: "true or false" };

const maxStops = 16;
const isStop = (value: unknown): boolean => typeof value === "string" && value.length > 0 && value.length <= 256;
const stops: Rule = {
  accepts: (value) =>
    isStop(value) || (Array.isArray(value) && value.length > 0 && value.length <= maxStops && value.every(isStop)),
  form: `a text, or a list of 1 to ${maxStops} texts`,
};

/** Parameters whose values are known; others are sent as they are. */
const rules: Readonly<Record<string, Rule>> = {
  temperature: number(0, 2),
  top_p: number(0, 1),
  top_k: integer(0, 1_000_000),
  min_p: number(0, 1),
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  seed: integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  max_tokens: integer(1, 10_000_000),
  max_completion_tokens: integer(1, 10_000_000),
  stop: stops,
  reasoning_effort: word("none", "minimal", "low", "medium", "high", "xhigh", "max"),
  verbosity: word("low", "medium", "high"),
  service_tier: word("auto", "default", "flex", "standard_only", "priority", "scale"),
  parallel_tool_calls: boolean,
};

/**
 * Members that only the caller may set, or on which cost and caching depend, which the gateway decides before it
 * chooses a target.
 */
const refused: ReadonlySet<string> = new Set([
  ...modelMembers,
  ...["messages", "input", "prompt", "system", "instructions", "stream", "stream_options", "n", "best_of"],
  ...[
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "max_tool_calls",
    "mcp_servers",
    "web_search_options",
    "plugins",
  ],
  ...["search_parameters", "enable_search"],
  ...["container", "previous_response_id", "conversation", "background", "store", "audio", "modalities"],
  ...["max_output_tokens", "response_format", "prefer_provider", "user", "metadata"],
]);

const maxBytes = 4096;

export function checkTargetParameters(
  parameters: Readonly<Record<string, unknown>> | undefined,
  path: (string | number)[],
): Problem[] {
  if (parameters === undefined) return [];
  const where = path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
    .join("")
    .slice(1);
  const problems: Problem[] = [];
  if (JSON.stringify(parameters).length > maxBytes)
    problems.push(problem("Invalid", `${where} must be at most ${maxBytes} characters of JSON`, path));
  for (const [name, value] of Object.entries(parameters)) {
    const rule = own(rules, name);
    if (name === "model")
      problems.push(problem("Invalid", `${where} must not set model: set the target's model`, [...path, name]));
    else if (refused.has(name))
      problems.push(
        problem("Invalid", `${where} must not set ${name}: it is the caller's, or the same for all targets`, [
          ...path,
          name,
        ]),
      );
    else if (rule !== undefined && !rule.accepts(value))
      problems.push(problem("Invalid", `${where}.${name} must be ${rule.form}`, [...path, name]));
  }
  return problems;
}
