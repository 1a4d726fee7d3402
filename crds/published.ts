/**
 * A schema as it stands in the CRD: each pattern is a CEL rule with words. The API server's `pattern` and CEL's
 * `matches` are one engine (RE2, found anywhere in the text), so both take the same texts; both at once would tell
 * of every mistake twice.
 */
import { literal, matches } from "./cel.ts";
import type { Schema } from "./structural.ts";
import type { CelRule } from "./types/scalars.ts";
import type { Words } from "./types/worded.ts";

const expression = ({ message, hints }: Words): string =>
  hints.reduceRight((otherwise, [when, say]) => `${matches("self", when.source)} ? ${literal(say)} : ${otherwise}`, literal(message));

function ruleOf(source: string, words: Words): CelRule {
  const rule = { rule: matches("self", source), message: words.message };
  return words.hints.length === 0 ? rule : { ...rule, messageExpression: expression(words) };
}

const each = (members: Record<string, Schema>): Record<string, Schema> =>
  Object.fromEntries(Object.entries(members).map(([name, member]) => [name, published(member)]));

export function published(schema: Schema): Schema {
  const { pattern: source, words, ...rest } = schema;
  const { items, properties, additionalProperties, "x-kubernetes-validations": rules = [] } = rest;
  const all = source === undefined || words === undefined ? rules : [ruleOf(source, words), ...rules];
  return {
    ...rest,
    ...(items === undefined ? {} : { items: published(items) }),
    ...(properties === undefined ? {} : { properties: each(properties) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: published(additionalProperties) }),
    ...(all.length === 0 ? {} : { "x-kubernetes-validations": all }),
  };
}
