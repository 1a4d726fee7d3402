/** The words that stand in the CRDs for patterns: they take what the pattern takes, and say what lint says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Environment } from "@marcbachmann/cel-js";
import { RE2JS } from "re2js";
import { kinds } from "../../crds/kinds.ts";
import { published } from "../../crds/published.ts";
import { type Schema, structural } from "../../crds/structural.ts";
import { durationHints } from "../../crds/types/scalars.ts";
import { roomy, said, type Words } from "../../crds/types/worded.ts";
import fc, { runs } from "../harness/property.ts";

interface Text {
  path: string;
  pattern: RegExp;
  words: Words;
  schema: Schema;
}

function texts(schema: Schema, path: string): Text[] {
  const { pattern, words, items, properties = {}, additionalProperties } = schema;
  const own =
    pattern === undefined || words === undefined ? [] : [{ path, pattern: new RegExp(pattern), words, schema }];
  const below: [string, Schema | undefined][] = [
    ["[]", items],
    [".*", additionalProperties],
    ...Object.entries(properties).map(([name, member]) => [`.${name}`, member] as [string, Schema]),
  ];
  return [...own, ...below.flatMap(([step, member]) => (member === undefined ? [] : texts(member, path + step)))];
}

const specs = Object.values(kinds).map((kind) => ({ kind: kind.kind, schema: structural(kind.spec, kind.kind) }));
/** One for each pattern and its words: most stand at several places. */
const distinct = [
  ...new Map(
    specs
      .flatMap(({ kind, schema }) => texts(schema, kind))
      .map((one) => [`${one.pattern.source} ${JSON.stringify(one.words)}`, one]),
  ).values(),
];

const environment = new Environment({ unlistedVariablesAreDyn: true });

/** Texts of the pattern and of its hints, the same with one character more, fewer or other, and any. */
function candidates({ pattern, words }: Text): fc.Arbitrary<string> {
  const sources = [pattern, ...words.hints.map(([when]) => when)];
  const near = fc.oneof(...sources.map((source) => fc.stringMatching(source)));
  const changed = fc
    .tuple(near, fc.nat(), fc.nat(1), fc.string({ maxLength: 1, unit: "grapheme" }))
    .map(([text, at, removed, added]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + added + text.slice(place + removed);
    });
  return fc.oneof(near, changed, fc.string({ unit: "grapheme", maxLength: 40 }), fc.constant(""));
}

describe("a worded pattern", () => {
  for (const one of distinct) {
    // A rule that is not to repeat its value stands on the object around it.
    const around = published({ type: "object", properties: { text: one.schema } });
    const quiet = one.schema.unquoted === true;
    const [rule] = (quiet ? around : around.properties?.["text"])?.["x-kubernetes-validations"] ?? [];
    const context = (text: string) => ({ self: quiet ? { text } : text });
    it(`of ${one.path} is a rule that takes the same texts, by RE2 as well, and says what lint says`, () => {
      assert.ok(rule);
      assert.equal(rule.fieldPath, quiet ? ".text" : undefined);
      const holds = environment.parse(rule.rule);
      const says =
        rule.messageExpression === undefined ? () => rule.message : environment.parse(rule.messageExpression);
      const byRe2 = RE2JS.compile(one.pattern.source);
      const hints = one.words.hints.map(([when]) => [when, RE2JS.compile(when.source)] as const);
      const check = (self: string): void => {
        const taken = one.pattern.test(self);
        assert.equal(holds(context(self)), taken, "the rule");
        assert.equal(byRe2.matcher(self).find(), taken, "RE2");
        for (const [when, re2] of hints) assert.equal(re2.matcher(self).find(), when.test(self), "a hint by RE2");
        if (!taken) assert.equal(says(context(self)), said(one.words, self));
      };
      fc.assert(fc.property(candidates(one), check), { numRuns: runs(150) });
    });

    it(`of ${one.path} bounds the length itself where the schema leaves room for wrong texts`, () => {
      if (one.schema.maxLength !== roomy) return;
      assert.doesNotMatch(
        one.pattern.source.replaceAll(/\[[^\]]*\]/g, "x").replaceAll(/\\./g, "x"),
        /[*+]|\{[0-9]+,\}/,
      );
    });

    it(`of ${one.path} has words that go on from a path, in one line`, () => {
      for (const message of [one.words.message, ...one.words.hints.map(([, say]) => say)])
        assert.match(message, /^(must|needs|takes|has|can) [^\n]*[^.\n]$/);
      assert.match(one.words.message, /^must be /);
    });
  }

  it("stands nowhere in a CRD as a bare pattern", () => {
    const bare = (schema: Schema): boolean =>
      schema.pattern !== undefined || schema.words !== undefined || below(schema).some(bare);
    const below = ({ items, additionalProperties, properties = {} }: Schema): Schema[] =>
      [items, additionalProperties, ...Object.values(properties)].filter((one) => one !== undefined);
    for (const { schema } of specs) assert.ok(!bare(published(schema)));
  });
});

describe("the rules of the largest object", () => {
  /** What the API server charges for `self.matches(pattern)`: a tenth of the text times a quarter of the pattern. */
  const cost = (maxLength: number, source: string): number =>
    Math.ceil((maxLength + 1) * 0.1) * Math.ceil(source.length * 0.25);
  const worst = ({
    pattern,
    maxLength = 0,
    items,
    maxItems = 1,
    additionalProperties,
    maxProperties = 1,
    properties = {},
  }: Schema): number =>
    (pattern === undefined ? 0 : cost(maxLength, pattern)) +
    (items === undefined ? 0 : maxItems * worst(items)) +
    (additionalProperties === undefined ? 0 : maxProperties * worst(additionalProperties)) +
    Object.values(properties).reduce((sum, member) => sum + worst(member), 0);

  for (const { kind, schema } of specs) {
    it(`cost the API server at most half of the ten million units after which it would refuse a valid ${kind}`, () => {
      assert.ok(worst(schema) < 5_000_000, `${worst(schema)}`);
    });
  }
});

describe("what is said of a wrong duration", () => {
  const words: Words = { message: "must be a duration", hints: durationHints("30s or 10m") };
  const rows: Record<string, RegExp> = {
    "30": /needs a unit, such as 30s or 10m/,
    "1.5": /needs a unit/,
    "1.5h": /whole numbers only/,
    "1,5h": /whole numbers only/,
    "10 m": /without spaces/,
    "1h 30m": /without spaces/,
    "10min": /numbers with units/,
    "10M": /numbers with units/,
    "1w": /numbers with units/,
    "-5s": /must be a duration/,
    "0s": /must be a duration/,
    "": /must be a duration/,
  };
  for (const [text, message] of Object.entries(rows))
    it(`${JSON.stringify(text)}: ${message.source}`, () => assert.match(said(words, text), message));
});
