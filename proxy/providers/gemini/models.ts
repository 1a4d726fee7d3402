/** Gemini's models (https://ai.google.dev/gemini-api/docs/models). */
import type { ModelFacts } from "../model-facts.ts";

const unknown: ModelFacts = {};

export function geminiFacts(upstream: string): ModelFacts {
  const name = upstream.replace(/^models\//, "");
  if (/^gemini-(1|2\.0)/.test(name)) return { maxOutput: 8_192 };
  return /^gemini-(2\.5|[3-9])/.test(name) ? { maxOutput: 65_536 } : unknown;
}
