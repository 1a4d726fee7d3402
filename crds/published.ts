/**
 * A schema as it stands in the CRD: each pattern is a CEL rule with words, and so is that a text is a regular
 * expression. The API server's `pattern` and CEL's `matches` are one engine (RE2, found anywhere in the text), so both
 * take the same texts; both at once would tell of every mistake twice.
 */
import { celMatches, literal } from "./cel.ts";
import type { Schema } from "./structural.ts";
import type { CelRule } from "./types/scalars.ts";
import type { Words } from "./types/worded.ts";

const expression = (variable: string, { message, hints }: Words): string =>
  hints.reduceRight(
    (otherwise, [when, say]) => `${celMatches(variable, when.source)} ? ${literal(say)} : ${otherwise}`,
    literal(message),
  );

function ruleOf(variable: string, source: string, words: Words): CelRule {
  const rule = { rule: celMatches(variable, source), message: words.message };
  return words.hints.length === 0 ? rule : { ...rule, messageExpression: expression(variable, words) };
}

/** Of a rule on the object around a text the API server tells no value. */
function quietRules(properties: Record<string, Schema>): CelRule[] {
  return Object.entries(properties).flatMap(([name, { pattern, words, unquoted }]) => {
    if (pattern === undefined || words === undefined || unquoted === undefined) return [];
    const { rule, ...says } = ruleOf(`self.${name}`, pattern, words);
    return [{ rule: `!has(self.${name}) || ${rule}`, ...says, fieldPath: `.${name}` }];
  });
}

/** Of a text that is no regular expression the server says why, and then the message. Offline it is the compiler that judges, with words of RE2JS. */
const expressionRules: Readonly<Record<NonNullable<Schema["regularExpression"]>, CelRule>> = {
  Any: {
    rule: `"".matches(self) in [true, false]`,
    message: "must be a regular expression of RE2, which has no look-around and no back-references",
  },
  Texts: {
    rule: `!"".matches(self)`,
    message:
      "must be a regular expression of RE2, which has no look-around and no back-references, and one that the empty text does not match",
  },
};

/**
 * A place that stands for nothing would reach people as it is written. One pattern for the whole text, since rules that
 * take it apart cost the API server too much: it may have `{` alone, known places, and `{{` that end no place. The
 * compiler looks more closely.
 */
function placesRule(places: readonly string[]): CelRule {
  const place = `[{][{]+\\s*(${places.join("|")})\\s*[}][}]`;
  return {
    rule: celMatches("self", `^([^{]|[{]([^{]|$)|${place}|[{][{]+[^{}]*([}]([^}]|$)|[{]|$))*$`),
    message: `has a {{place}} that stands for nothing; there are ${places.map((name) => `{{${name}}}`).join(", ")}`,
  };
}

/** The rules that stand for what a schema has beside them. */
function made({ pattern, words, unquoted, regularExpression, places, properties = {} }: Schema): CelRule[] {
  const own = pattern === undefined || words === undefined || unquoted ? [] : [ruleOf("self", pattern, words)];
  return [
    ...own,
    ...(regularExpression === undefined ? [] : [expressionRules[regularExpression]]),
    ...(places === undefined ? [] : [placesRule(places)]),
    ...quietRules(properties),
  ];
}

/** `kubectl explain` shows no rules, so what a value must be stands in the description as well. */
function explained({ description, words, items }: Schema): { description?: string } {
  if (description === undefined) return {};
  if (words !== undefined) return { description: `${description} ${words.message.replace(/^must/, "Must")}.` };
  return items?.words === undefined ? { description } : { description: `${description} Each ${items.words.message}.` };
}

const each = (members: Record<string, Schema>): Record<string, Schema> =>
  Object.fromEntries(Object.entries(members).map(([name, member]) => [name, published(member)]));

/** What rules are made of. */
const replaced: ReadonlySet<string> = new Set([
  "pattern",
  "words",
  "regularExpression",
  "places",
  "unquoted",
] satisfies (keyof Schema)[]);

export function published(schema: Schema): Schema {
  const rest = Object.fromEntries(Object.entries(schema).filter(([name]) => !replaced.has(name))) as unknown as Schema;
  const { items, properties, additionalProperties, "x-kubernetes-validations": rules = [] } = rest;
  const all = [...made(schema), ...rules];
  return {
    ...rest,
    ...explained(schema),
    ...(items === undefined ? {} : { items: published(items) }),
    ...(properties === undefined ? {} : { properties: each(properties) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: published(additionalProperties) }),
    ...(all.length === 0 ? {} : { "x-kubernetes-validations": all }),
  };
}
