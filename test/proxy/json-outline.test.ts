import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { outline } from "../../proxy/wire/json-edit.ts";

/** A JSON text as a tree, so that a name can stand twice in an object. */
type Tree = string | number | boolean | null | { list: Tree[] } | { members: [name: string, value: Tree][] };

const name = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("a", "b", "c", 'quo"te', "back\\slash", "日本", "{", "]", "") },
  { weight: 1, arbitrary: fc.constant("__proto__") },
);
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.record({ list: fc.array(tie("tree"), { maxLength: 4 }) }),
    fc.record({ members: fc.array(fc.tuple(name, tie("tree")), { maxLength: 4 }) }),
  ),
}));

/** Every name once plain and once in escapes, blanks wherever they may be. */
function written(value: Tree, spelled: () => boolean, blank: () => string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if ("list" in value) return `[${blank()}${value.list.map((one) => written(one, spelled, blank)).join(`${blank()},${blank()}`)}${blank()}]`;
  const quoted = (text: string): string =>
    spelled()
      ? `"${[...text].map((letter) => (letter.length === 1 ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}` : letter)).join("")}"`
      : JSON.stringify(text);
  return `{${value.members.map(([key, one]) => `${blank()}${quoted(key)}${blank()}:${blank()}${written(one, spelled, blank)}`).join(`${blank()},`)}${blank()}}`;
}

const below = (value: Tree): Tree[] => (typeof value !== "object" || value === null ? [] : "list" in value ? value.list : value.members.map(([, one]) => one));
const somewhere = (value: Tree, test: (names: string[]) => boolean): boolean =>
  (typeof value === "object" && value !== null && "members" in value && test(value.members.map(([key]) => key))) ||
  below(value).some((one) => somewhere(one, test));
const depthOf = (value: Tree): number => (typeof value === "object" && value !== null ? 1 + Math.max(0, ...below(value).map(depthOf)) : 0);

describe("the outline of a body", () => {
  it("finds a name that stands twice, and __proto__, at every level and in every spelling, and nothing else", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, tree), { maxLength: 4 }),
        fc.infiniteStream(fc.boolean()),
        fc.infiniteStream(fc.constantFrom("", " ", "\n", "\t ")),
        (members, flags, blanks) => {
          const body: Tree = { members };
          const text = written(
            body,
            () => flags.next().value ?? false,
            () => blanks.next().value ?? "",
          );
          JSON.parse(text);
          const found = outline(Buffer.from(text), 64);
          const twice = somewhere(body, (names) => new Set(names).size < names.length);
          const proto = somewhere(body, (names) => names.includes("__proto__"));
          if (typeof found === "string") assert.ok((found === "duplicate" && twice) || (found === "proto" && proto), `${found}: ${text}`);
          else {
            assert.ok(!twice && !proto, text);
            assert.deepEqual(
              found.members.map((one) => [one.name, JSON.parse(Buffer.from(text).toString("utf8", one.valueStart, one.valueEnd))]),
              Object.entries(JSON.parse(text) as object).sort(([a], [b]) => members.findIndex(([key]) => key === a) - members.findIndex(([key]) => key === b)),
            );
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("refuses what nests deeper than it may, and nothing that doesn't", () => {
    fc.assert(
      fc.property(tree, fc.integer({ min: 1, max: 6 }), (value, most) => {
        fc.pre(!somewhere(value, (names) => new Set(names).size < names.length || names.includes("__proto__")));
        const found = outline(
          Buffer.from(
            written(
              { members: [["a", value]] },
              () => false,
              () => "",
            ),
          ),
          most,
        );
        assert.equal(found === "depth", 1 + depthOf(value) > most);
      }),
    );
  });
});
