/** OpenAI's models (https://platform.openai.com/docs/models), the first match of a name's beginning. */
import type { ModelFacts } from "../model-facts.ts";

const plain = (maxOutput: number): ModelFacts => ({ maxOutput, efforts: [] });
const reasoning = (maxOutput: number, efforts: readonly string[]): ModelFacts => ({
  maxOutput,
  efforts,
  sampling: false,
  stop: false,
});
const usual = ["low", "medium", "high"];

const families: readonly [RegExp, ModelFacts][] = [
  [/^gpt-3\.5-turbo/, { ...plain(4_096), jsonSchema: false }],
  [/^gpt-4-turbo|^gpt-4-1106|^gpt-4-0125/, { ...plain(4_096), jsonSchema: false }],
  [/^gpt-4(-0\d{3}|-32k)?($|-)/, { ...plain(8_192), jsonSchema: false }],
  [/^(chatgpt-4o|gpt-4o|gpt-4\.5)/, plain(16_384)],
  [/^gpt-4\.1/, plain(32_768)],
  [/^o1-mini/, reasoning(65_536, [])],
  [/^o1-preview/, reasoning(32_768, [])],
  [/^o\d/, reasoning(100_000, usual)],
  [/^gpt-5[\d.]*-chat/, plain(16_384)],
  [/^gpt-5-pro/, reasoning(272_000, ["high"])],
  [/^gpt-5(\.1)?-codex-max/, reasoning(128_000, [...usual, "xhigh"])],
  [/^gpt-5(\.1)?-codex/, reasoning(128_000, usual)],
  [/^gpt-5\.1/, reasoning(128_000, ["none", ...usual])],
  [/^gpt-5\.\d+-pro/, reasoning(128_000, ["medium", "high", "xhigh"])],
  [/^gpt-5\.\d+/, reasoning(128_000, ["none", ...usual, "xhigh"])],
  [/^gpt-5/, reasoning(128_000, ["minimal", ...usual])],
];

const unknown: ModelFacts = {};

/** Fine-tuned models (`ft:BASE:…`) are their base. */
export function openAiFacts(upstream: string): ModelFacts {
  const name = upstream.replace(/^ft:/, "");
  return families.find(([pattern]) => pattern.test(name))?.[1] ?? unknown;
}
