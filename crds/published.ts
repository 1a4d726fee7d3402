/**
 * A schema as published in the CRD: each pattern becomes a CEL rule with a message, and so does the check that a text
 * is a regular expression. The API server's `pattern` and CEL's `matches` use one engine (RE2, matching anywhere in the
 * text), so both accept the same texts; both together would report every mistake twice.
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

/** For a rule on the object around a text, the API server does not quote the value. */
function quietRules(properties: Record<string, Schema>): CelRule[] {
  return Object.entries(properties).flatMap(([name, { pattern, words, unquoted }]) => {
    if (pattern === undefined || words === undefined || unquoted === undefined) return [];
    const { rule, ...says } = ruleOf(`self.${name}`, pattern, words);
    return [{ rule: `!has(self.${name}) || ${rule}`, ...says, fieldPath: `.${name}` }];
  });
}

/**
 * For an invalid regular expression the server reports the cause, then the message. Offline the compiler checks it,
 * with RE2JS's messages.
 */
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
 * An unknown placeholder would reach people unreplaced. One pattern checks the whole text, since rules that split it
 * cost the API server too much: it accepts a single `{`, known placeholders, and `{{` that starts no placeholder. The
 * compiler checks more closely.
 */
function placesRule(places: readonly string[]): CelRule {
  const place = `[{][{]+\\s*(${places.join("|")})\\s*[}][}]`;
  return {
    rule: celMatches("self", `^([^{]|[{]([^{]|$)|${place}|[{][{]+[^{}]*([}]([^}]|$)|[{]|$))*$`),
    message: `has an unknown {{placeholder}}; known placeholders are ${places.map((name) => `{{${name}}}`).join(", ")}`,
  };
}

/** The CEL rules for a schema's own checks. */
function made({ pattern, words, unquoted, regularExpression, places, properties = {} }: Schema): CelRule[] {
  const own = pattern === undefined || words === undefined || unquoted ? [] : [ruleOf("self", pattern, words)];
  return [
    ...own,
    ...(regularExpression === undefined ? [] : [expressionRules[regularExpression]]),
    ...(places === undefined ? [] : [placesRule(places)]),
    ...quietRules(properties),
  ];
}

/** `kubectl explain` shows no rules, so the description states what a value must be as well. */
function explained({ description, words, items }: Schema): { description?: string } {
  if (description === undefined) return {};
  if (words !== undefined) return { description: `${description} ${words.message.replace(/^must/, "Must")}.` };
  return items?.words === undefined ? { description } : { description: `${description} Each ${items.words.message}.` };
}

const each = (members: Record<string, Schema>, inList: boolean): Record<string, Schema> =>
  Object.fromEntries(Object.entries(members).map(([name, member]) => [name, publishedIn(member, inList)]));

/**
 * The API server writes defaults into objects. In a list that is applied as a whole, they make the object differ from
 * its manifest for ever: Argo CD shows a diff, and `kubectl apply --server-side` a conflict. There the compiler fills
 * them in, and the description states them.
 */
function undefaulted(schema: Schema): Schema {
  const { default: fallback, ...rest } = schema;
  if (fallback === undefined || schema.type === "object" || schema.description === undefined) return rest;
  return { ...rest, description: `${schema.description} Default: ${JSON.stringify(fallback)}.` };
}

/** The keys that rules are made from. */
const replaced: ReadonlySet<string> = new Set([
  "pattern",
  "words",
  "regularExpression",
  "places",
  "unquoted",
] satisfies (keyof Schema)[]);

export const published = (schema: Schema): Schema => publishedIn(schema, false);

function publishedIn(given: Schema, inList: boolean): Schema {
  const schema = inList ? undefaulted(given) : given;
  const rest = Object.fromEntries(Object.entries(schema).filter(([name]) => !replaced.has(name))) as unknown as Schema;
  const { items, properties, additionalProperties, "x-kubernetes-validations": rules = [] } = rest;
  const all = [...made(schema), ...rules];
  return {
    ...rest,
    ...explained(schema),
    ...(items === undefined ? {} : { items: publishedIn(items, true) }),
    ...(properties === undefined ? {} : { properties: each(properties, inList) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: publishedIn(additionalProperties, inList) }),
    ...(all.length === 0 ? {} : { "x-kubernetes-validations": all }),
  };
}
