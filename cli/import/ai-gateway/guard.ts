/** Masking of personal data → guard of the policies. */
import { matchesNothing, patternProblem } from "../../../crds/pattern.ts";
import { maxCustom, takeFirst } from "../bounds.ts";
import { firstSet, section } from "../fields.ts";
import type { Spec } from "../manifests.ts";
import { uniqueName } from "../names.ts";
import type { Setting } from "../setting.ts";

const types: Readonly<Record<string, string>> = {
  email: "Email",
  phone: "Phone",
  phone_number: "Phone",
  ssn: "SSN",
  credit_card: "CreditCard",
  card: "CreditCard",
};

const camelName = (text: string): string =>
  text
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("")
    .slice(0, 40);

interface Custom {
  spec: Spec;
  setting: Setting;
}

const builtInMembers = ["type", "name", "pattern", "regex", "replacement"];

function addPattern(pattern: Setting, detect: Set<string>, custom: Map<string, Custom>): void {
  const label = pattern.isMapping ? firstSet(pattern, "type", "name").text : pattern.text;
  const type = types[(label ?? "").toLowerCase()];
  const expression = firstSet(pattern, "pattern", "regex").text;
  if (type !== undefined) {
    detect.add(type);
    if (pattern.isMapping && firstSet(pattern, "replacement", "pattern").isSet)
      pattern.changed(`guard.mask.detect has ${type}, with Sluice's own pattern and replacement`, builtInMembers);
    else pattern.imported(`guard.mask.detect has ${type}`, builtInMembers);
    return;
  }
  const name = uniqueName(camelName(label ?? ""), new Set(custom.keys()), { separator: "", most: 40 });
  if (
    expression === undefined ||
    !/^[A-Z]/.test(name) ||
    patternProblem(expression) !== null ||
    matchesNothing(expression)
  ) {
    pattern.notImported("it needs a name and a pattern of RE2");
    return;
  }
  const replacement = pattern.get("replacement").text;
  const spec = { name, pattern: expression, ...(replacement === undefined ? {} : { replacement }) };
  custom.set(name, { spec, setting: pattern });
  pattern.imported(`guard.mask.custom ${name}`, builtInMembers);
}

export function guardOf(documents: readonly Setting[]): Spec {
  const detect = new Set<string>();
  const custom = new Map<string, Custom>();
  let answers = false;
  for (const document of documents) {
    const masking = firstSet(
      document,
      "pii_masking",
      "security.pii_masking",
      "data_masking",
      "security.data_masking",
      "compliance.pii_masking",
    );
    const enabled = masking.get("enabled");
    enabled.imported("guard.mask");
    if (!masking.isMapping || (enabled.isSet && !enabled.isTrue)) continue;
    for (const pattern of firstSet(masking, "patterns", "types", "pii_types").items())
      addPattern(pattern, detect, custom);
    const responses = firstSet(masking, "mask_responses", "apply_to_responses", "responses");
    answers ||= responses.isTrue;
    responses.imported("guard.mask.answers");
  }
  if (detect.size === 0 && custom.size === 0) return {};
  const kept = takeFirst([...custom.values()], maxCustom, "guard.mask.custom", ({ setting }) => setting);
  const mask = {
    detect: [...detect],
    ...(custom.size === 0 ? {} : { custom: kept.map(({ spec }) => spec) }),
    ...(answers ? { answers } : {}),
  };
  return section("guard", { mask });
}
