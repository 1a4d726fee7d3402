import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseJson } from "../../proxy/wire/json.ts";
import { applyEdits } from "../../proxy/wire/json-edit.ts";
import { type Outline, outline } from "../../proxy/wire/json-outline.ts";
import { skimmed } from "../../proxy/wire/json-skim.ts";
import fc, { runs } from "../harness/property.ts";

/** A JSON text as a tree, so that an object can have duplicate names. */
type Tree = string | number | boolean | null | { list: Tree[] } | { members: [name: string, value: Tree][] };

const name = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom("a", "b", "c", "7", "constructor", 'quo"te', "back\\slash", "日本", "{", "]", ""),
  },
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

/** Each name once plain and once escaped, with whitespace wherever it is allowed. */
function written(value: Tree, spelled: () => boolean, blank: () => string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if ("list" in value)
    return `[${blank()}${value.list.map((one) => written(one, spelled, blank)).join(`${blank()},${blank()}`)}${blank()}]`;
  const quoted = (text: string): string =>
    spelled()
      ? `"${[...text].map((letter) => (letter.length === 1 ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}` : letter)).join("")}"`
      : JSON.stringify(text);
  return `{${value.members.map(([key, one]) => `${blank()}${quoted(key)}${blank()}:${blank()}${written(one, spelled, blank)}`).join(`${blank()},`)}${blank()}}`;
}

/** As a body is skimmed: one character per byte. */
const skim = (text: string, maxDepth: number): Outline | null =>
  skimmed(Buffer.from(text).toString("latin1"), JSON.parse(text) as object, maxDepth);

const spaced = (body: Tree, flags: fc.Stream<boolean>, blanks: fc.Stream<string>): string =>
  written(
    body,
    () => flags.next().value ?? false,
    () => blanks.next().value ?? "",
  );
const hasEscapedName = (text: string): boolean =>
  [...text.matchAll(/"((?:[^"\\]|\\.)*)"(\s*:)?/g)].some(
    ([, name, colon]) => colon !== undefined && name?.includes("\\"),
  );
const flags = fc.infiniteStream(fc.boolean());
const blanks = fc.infiniteStream(fc.constantFrom("", " ", "\n", "\t "));

const below = (value: Tree): Tree[] =>
  typeof value !== "object" || value === null ? [] : "list" in value ? value.list : value.members.map(([, one]) => one);
const somewhere = (value: Tree, test: (names: string[]) => boolean): boolean =>
  (typeof value === "object" && value !== null && "members" in value && test(value.members.map(([key]) => key))) ||
  below(value).some((one) => somewhere(one, test));
const depthOf = (value: Tree): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...below(value).map(depthOf)) : 0;

describe("the outline of a body", () => {
  it("finds only duplicate names and __proto__, at every level and in every spelling", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, tree), { maxLength: 4 }), flags, blanks, (members, spelled, between) => {
        const body: Tree = { members };
        const text = spaced(body, spelled, between);
        JSON.parse(text);
        const found = outline(Buffer.from(text), 64);
        const twice = somewhere(body, (names) => new Set(names).size < names.length);
        const proto = somewhere(body, (names) => names.includes("__proto__"));
        if (typeof found === "string")
          assert.ok((found === "duplicate" && twice) || (found === "proto" && proto), `${found}: ${text}`);
        else {
          assert.ok(!twice && !proto, text);
          assert.deepEqual(
            found.members.map((member) => [
              member.name,
              JSON.parse(Buffer.from(text).toString("utf8", member.valueStart, member.valueEnd)),
            ]),
            Object.entries(parseJson(text) as object).sort(
              ([a], [b]) => members.findIndex(([key]) => key === a) - members.findIndex(([key]) => key === b),
            ),
          );
        }
      }),
      { numRuns: runs(2000) },
    );
  });

  it("is the same for a skimmed body, and falls back to the full outline if anything is wrong", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, tree), { maxLength: 4 }),
        flags,
        blanks,
        fc.integer({ min: 1, max: 6 }),
        (members, spelled, between, most) => {
          const text = spaced({ members }, spelled, between);
          const found = outline(Buffer.from(text), most);
          const quick = skim(text, most);
          const leftAlone = typeof found === "string" || members.some(([key]) => key === "7") || hasEscapedName(text);
          assert.deepEqual(quick, leftAlone ? null : found, text);
        },
      ),
      { numRuns: runs(2000) },
    );
  });

  it("leaves all bytes unchanged that an edit does not name", () => {
    const changes = fc.dictionary(
      fc.constantFrom("a", "b", "日本", "constructor", "new", "model"),
      fc.oneof(
        { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 1 }) },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
      { maxKeys: 3 },
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, tree), { maxLength: 4 }),
        changes,
        flags,
        blanks,
        (members, edits, spelled, between) => {
          const text = spaced({ members }, spelled, between);
          const found = outline(Buffer.from(text), 64);
          // Inserted values are the test's own, and have no such name.
          fc.pre(typeof found !== "string" && !JSON.stringify(edits).includes("__proto__"));
          const bytes = Buffer.from(text);
          const out = applyEdits(bytes, found as Outline, edits);
          assert.equal(bytes.toString(), text, "the body itself");
          const expected = { ...(parseJson(text) as Record<string, unknown>) };
          for (const [key, value] of Object.entries(edits)) {
            if (value === undefined) delete expected[key];
            else expected[key] = JSON.parse(JSON.stringify(value));
          }
          assert.deepEqual(parseJson(out.toString()), expected);
          const valueIn = (body: Buffer, within: Outline, key: string): string | undefined => {
            const member = within.members.find((member) => member.name === key);
            return member === undefined ? undefined : body.toString("utf8", member.valueStart, member.valueEnd);
          };
          const after = outline(out, 64) as Outline;
          for (const { name: key } of (found as Outline).members)
            if (!Object.hasOwn(edits, key))
              assert.equal(valueIn(out, after, key), valueIn(bytes, found as Outline, key));
          // If nothing is removed, the whitespace between values stays too.
          if (!Object.values(edits).includes(undefined)) {
            const added = Object.keys(edits).filter(
              (key) => !(found as Outline).members.some((member) => member.name === key),
            );
            const front = added.map((key) => `${JSON.stringify(key)}:${JSON.stringify(edits[key])}`).join(",");
            let rest = front === "" || members.length === 0 ? front : `${front},`;
            let from = (found as Outline).open;
            for (const member of (found as Outline).members) {
              if (!Object.hasOwn(edits, member.name)) continue;
              rest += bytes.toString("utf8", from, member.valueStart) + JSON.stringify(edits[member.name]);
              from = member.valueEnd;
            }
            assert.equal(
              out.toString(),
              bytes.toString("utf8", 0, (found as Outline).open) + rest + bytes.toString("utf8", from),
            );
          }
        },
      ),
      { numRuns: runs(2000) },
    );
  });

  it("refuses exactly what nests too deep", () => {
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
