/** Untrusted JSON, because V8 can misread names with escapes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { jsonIn, parseJson } from "../../proxy/wire/json.ts";
import fc, { runs } from "../harness/property.ts";

/** The value of a text, with its members in order. */
type Tree = string | number | boolean | null | Tree[] | Map<string, Tree>;

const name = fc.constantFrom(
  "a",
  "b",
  "model",
  "\\",
  '"',
  "\\u006",
  "\\u0",
  "mo\\u0",
  "mo\\",
  "\n",
  "日",
  "constructor",
  "__proto__",
  "",
  "7",
);
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: "binary" }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => (Object.is(one, -0) ? 0 : one)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie("tree")), { maxLength: 4 }).map((members) => new Map(members)),
  ),
}));

const inEscapes = (text: string): string =>
  `"${[...text].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"`;

function written(value: Tree, escaped: () => boolean, blank: () => string): string {
  const one = (inner: Tree): string => `${blank()}${written(inner, escaped, blank)}${blank()}`;
  if (Array.isArray(value)) return `[${value.length === 0 ? blank() : value.map(one).join(",")}]`;
  if (!(value instanceof Map)) return JSON.stringify(value);
  const members = [...value].map(
    ([key, inner]) => `${blank()}${escaped() ? inEscapes(key) : JSON.stringify(key)}${blank()}:${one(inner)}`,
  );
  return `{${members.length === 0 ? blank() : members.join(",")}}`;
}

function meant(value: Tree): unknown {
  if (Array.isArray(value)) return value.map(meant);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value].map(([key, inner]) => [key, meant(inner)]));
}

describe("untrusted JSON", () => {
  it("is parsed correctly, whatever names were parsed before", () => {
    fc.assert(
      fc.property(
        tree,
        fc.infiniteStream(fc.boolean()),
        fc.infiniteStream(fc.constantFrom("", " ", "\n", "\t ")),
        (value, escaped, blanks) => {
          const text = written(
            value,
            () => escaped.next().value ?? false,
            () => blanks.next().value ?? "",
          );
          const read = parseJson(text);
          assert.deepEqual(read, meant(value), text);
          assert.equal(JSON.stringify(read), JSON.stringify(meant(value)), "and in its order");
        },
      ),
      { numRuns: runs(3000) },
    );
  });

  const misread: [before: string, text: string, meant: unknown][] = [
    ['{"first":1,"\\\\":2}', '{"first":1,"\\u0061":2}', { first: 1, a: 2 }],
    ['{"first":1,"\\\\u006":2}', '{"first":1,"\\u006dodel":2}', { first: 1, model: 2 }],
    ['{"first":1,"mo\\\\u0":2}', '{"first":1,"mo\\u0064el":2}', { first: 1, model: 2 }],
    ['{"first":1,"\\\\":2}', '{"first":1,"\\"":2}', { first: 1, '"': 2 }],
    ['[{"first":1,"\\\\":2}]', '[[{"first":1,"\\u65e5":[{"\\n":null}]}]]', [[{ first: 1, 日: [{ "\n": null }] }]]],
  ];
  for (const [before, text, expected] of misread) {
    it(`parses ${text} after ${before}`, () => {
      parseJson(before);
      assert.deepEqual(parseJson(text), expected);
    });
  }

  it("refuses invalid JSON, with and without such names", () => {
    const good = '{"\\u0061":[1,"x\\"",{"b":-1.5e3}],"c":null}';
    assert.notEqual(jsonIn(good), undefined);
    for (let end = 0; end < good.length; end++) assert.equal(jsonIn(good.slice(0, end)), undefined, good.slice(0, end));
    for (const text of [
      '{"\\u0061":1}}',
      '{"\\u006":1}',
      '{"\\u0061" 1}',
      '{"\\u0061":1,}',
      "{'\\u0061':1}",
      '{"\\u0061":01}',
    ]) {
      assert.equal(jsonIn(text), undefined, text);
      assert.throws(() => parseJson(text), SyntaxError);
    }
  });

  it("that nests too deep with such names is invalid, and doesn't crash the process", () => {
    assert.equal(jsonIn(`${'{"\\u0061":'.repeat(200_000)}1${"}".repeat(200_000)}`), undefined);
  });
});
