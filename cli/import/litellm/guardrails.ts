/** `guardrails` → guard of the policies. */
import { matchesNothing, patternProblem } from "../../../crds/pattern.ts";
import { maxCustom, maxPatterns, takeFirst } from "../bounds.ts";
import type { Spec } from "../manifests.ts";
import { uniqueName } from "../names.ts";
import type { Setting } from "../setting.ts";
import type { Config } from "./config.ts";

const entities: Readonly<Record<string, string>> = {
  EMAIL_ADDRESS: "Email",
  EMAIL: "Email",
  PHONE_NUMBER: "Phone",
  PHONE: "Phone",
  US_SSN: "SSN",
  SSN: "SSN",
  CREDIT_CARD: "CreditCard",
  VISA: "CreditCard",
  MASTERCARD: "CreditCard",
  AMEX: "CreditCard",
};

interface Guard {
  detect: Set<string>;
  custom: Map<string, { spec: Spec; setting: Setting }>;
  deny: Map<string, Setting>;
  mode: "Replace" | "Placeholder";
  answers: boolean;
}

const isBlock = (setting: Setting): boolean => setting.get("action").text?.toUpperCase() === "BLOCK";

function detect(setting: Setting, entity: string, blocks: boolean, guard: Guard): void {
  const type = entities[entity.toUpperCase().replace(/^US_(?!SSN)/, "")];
  if (type === undefined) {
    setting.notImported("this type has no counterpart; write a pattern into guard.mask.custom");
    return;
  }
  guard.detect.add(type);
  if (blocks) setting.changed(`guard.mask.detect has ${type}: such texts are masked and not refused`, patternMembers);
  else setting.imported(`guard.mask.detect has ${type}`, patternMembers);
}

function presidio(parameters: Setting, guard: Guard): void {
  const configured = parameters.get("pii_entities_config");
  for (const [entity, action] of configured.entries()) detect(action, entity, action.text === "BLOCK", guard);
  if (!configured.isSet) for (const type of ["Email", "Phone", "SSN", "CreditCard"]) guard.detect.add(type);
  const reversible = parameters.get("output_parse_pii");
  if (reversible.isTrue) guard.mode = "Placeholder";
  reversible.imported("guard.mask.mode");
  for (const name of ["presidio_analyzer_api_base", "presidio_anonymizer_api_base", "presidio_language"])
    parameters.get(name).notImported("Sluice masks without a server");
  parameters.get("guardrail").changed("guard.mask finds by patterns and checksums, and not by Presidio's recognizers");
}

const camel = (text: string): string => {
  const name = text
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
  return /^[A-Z]/.test(name) ? name.slice(0, 40) : `Custom${name}`.slice(0, 40);
};

const patternMembers = ["pattern_type", "pattern_name", "pattern", "name", "action"];
const wordMembers = ["keyword", "action"];

function pattern(setting: Setting, guard: Guard): void {
  const prebuilt = setting.get("pattern_name").text;
  if (prebuilt !== undefined) {
    detect(setting, prebuilt, isBlock(setting), guard);
    return;
  }
  const text = setting.get("pattern").text;
  if (text === undefined || patternProblem(text) !== null || text.length > 1_024) {
    setting.notImported("it is not a pattern of RE2, which has neither look-around nor back-references");
    return;
  }
  if (isBlock(setting)) {
    guard.deny.set(text, setting);
    setting.imported("guard.deny", patternMembers);
    return;
  }
  if (matchesNothing(text)) {
    setting.notImported("it matches the empty text");
    return;
  }
  const wished = camel(setting.get("name").text ?? `Pattern${guard.custom.size + 1}`);
  const name = uniqueName(wished, new Set(guard.custom.keys()), { separator: "", most: 40 });
  guard.custom.set(name, { spec: { name, pattern: text }, setting });
  setting.imported(`guard.mask.custom ${name}`, patternMembers);
}

/** A pattern for the whole word, ignoring case. */
function wordPattern(word: string): string {
  const quoted = word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  const edge = (letter: string | undefined): string => (/\w/.test(letter ?? "") ? "\\b" : "");
  return `(?i)${edge(word[0])}${quoted}${edge(word.at(-1))}`;
}

function contentFilter(parameters: Setting, guard: Guard): void {
  for (const setting of parameters.get("patterns").items()) pattern(setting, guard);
  for (const word of parameters.get("blocked_words").items()) {
    const text = word.text ?? word.get("keyword").text;
    if (text === undefined || text === "") continue;
    guard.deny.set(wordPattern(text), word);
    if (word.isMapping && !isBlock(word))
      word.changed("guard.deny refuses the text instead of masking it", wordMembers);
    else word.imported("guard.deny", wordMembers);
  }
  parameters.get("guardrail").imported("guard");
}

const converters: Readonly<Record<string, (parameters: Setting, guard: Guard) => void>> = {
  presidio,
  litellm_content_filter: contentFilter,
};

function convert(entry: Setting, guard: Guard): void {
  const parameters = entry.get("litellm_params");
  const kind = parameters.get("guardrail").text ?? "";
  const converter = Object.hasOwn(converters, kind) ? converters[kind] : undefined;
  if (converter === undefined) {
    entry.notImported(`${kind || "this guardrail"} has no counterpart: guard has deny, allow, maxPromptBytes and mask`);
    return;
  }
  const always = parameters.get("default_on");
  if (!always.isTrue) {
    entry.notImported("it applies to calls that ask for it; Sluice's guard applies to every call of a policy");
    return;
  }
  const mode = parameters.get("mode");
  if (mode.texts.includes("post_call")) guard.answers = true;
  if (mode.texts.every((text) => /^(pre_call|post_call|during_call)$/.test(text))) mode.imported("guard");
  else mode.changed("logs are masked wherever requests are");
  converter(parameters, guard);
  entry.get("guardrail_name").imported("guard of every policy");
  always.imported("guard of every policy");
}

export function guardOf(config: Config): Spec {
  const guard: Guard = { detect: new Set(), custom: new Map(), deny: new Map(), mode: "Replace", answers: false };
  for (const entry of config.sections("guardrails").flatMap((section) => section.items())) convert(entry, guard);
  const custom = takeFirst([...guard.custom.values()], maxCustom, "guard.mask.custom", ({ setting }) => setting).map(
    ({ spec }) => spec,
  );
  const deny = takeFirst([...guard.deny], maxPatterns, "guard.deny", ([, setting]) => setting).map(([text]) => text);
  const masks = guard.detect.size > 0 || guard.custom.size > 0;
  const mask = {
    detect: [...guard.detect],
    ...(guard.custom.size === 0 ? {} : { custom }),
    mode: guard.mode,
    ...(guard.answers ? { answers: true } : {}),
  };
  const spec = {
    ...(guard.deny.size === 0 ? {} : { deny }),
    ...(masks ? { mask } : {}),
  };
  return Object.keys(spec).length === 0 ? {} : { guard: spec };
}
