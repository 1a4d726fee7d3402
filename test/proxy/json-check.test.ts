/** What is JSON, without exceptions: always what JSON.parse says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isJsonText } from "../../proxy/wire/json-check.ts";
import fc, { runs } from "../harness/property.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const agree = (text: string): void => assert.equal(isJsonText(text), parses(text), JSON.stringify(text));

describe("a text that may be JSON", () => {
  for (const text of [
    ..."[] {} [1] [1,] [,1] {,} {a:1} [t f] [tru] truefalse 01 1. .5 -0 - 1e5 1e 1E+2 +1 NaN Infinity".split(" "),
    ...[
      '{"a":1}',
      '{"a":1,}',
      '{"a" 1}',
      '{"a":}',
      '{"a":1 "b":2}',
      '["a"]',
      '["a" "b"]',
      '"a',
      '"\\u00e9"',
      '"\\u00g9"',
    ],
    ...[
      '"\\x"',
      '"\n"',
      '"\t"',
      '"\u007f"',
      '"\u2028"',
      " [ 1 , 2 ] ",
      "\u00a0[]",
      "[]x",
      "",
      " ",
      "[[[]]",
      "[]]",
      "{}{}",
      "\ufeff[]",
    ],
    ...[
      '[{"a":[{}]}]',
      '{"a":{"b":[1,{"c":null}]}}',
      "[true,false,null]",
      "[}",
      "{]",
      '{"a":1]',
      '["\\',
      '"\\"',
      "[1 2]",
    ],
  ])
    it(`is judged as JSON.parse does: ${JSON.stringify(text)}`, () => agree(text));

  it("is judged as JSON.parse does, whatever is changed in it", () => {
    const change = fc.record({
      place: fc.nat(),
      removed: fc.nat({ max: 2 }),
      added: fc.constantFrom("", ...'{}[]",:\\ \n01e-.tnu\u0000'.split(""), "null", '"a":', "\\u12"),
    });
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 1), fc.array(change, { maxLength: 3 }), (json, indent, changes) => {
        let text = indent === 0 ? json : JSON.stringify(JSON.parse(json), null, 1);
        for (const { place, removed, added } of changes) {
          const at = place % (text.length + 1);
          text = text.slice(0, at) + added + text.slice(at + removed);
        }
        agree(text);
      }),
      { numRuns: runs(3_000) },
    );
  });

  it("may nest as deep as it is long", () => agree(`${"[".repeat(100_000)}${"]".repeat(100_000)}`));
});
