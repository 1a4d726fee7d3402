/** The chain: whatever is done to it afterwards is found. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Chain } from "../../../proxy/audit/chain.ts";
import { type Verified, Verifier } from "../../../proxy/audit/verify.ts";
import fc, { runs } from "../../harness/property.ts";

const made = (count: number, id = "c1", key: Uint8Array | null = null, closed = true): string[] => {
  const chain = new Chain(id, key);
  const lines = [
    chain.add('"type":"opened","follows":null'),
    ...Array.from({ length: count }, (_, at) => chain.add(`"type":"call","status":200,"n":${at}`)),
  ];
  if (closed) lines.push(chain.add('"type":"closed"'));
  return lines.map((line) => line.trimEnd());
};
const verified = (lines: readonly string[], key: Uint8Array | null = null): Verified => {
  const verifier = new Verifier(key);
  for (const [index, line] of lines.entries()) verifier.add(line, `f:${index + 1}`);
  return verifier.end();
};

describe("an audit chain", () => {
  it("is sound as it was written, by whichever key", () => {
    for (const key of [null, Buffer.from("secret")]) {
      const { records, chains, troubles, notes } = verified(made(5, "c1", key), key);
      assert.deepEqual([records, chains, troubles, notes], [7, 1, [], []]);
    }
  });

  it("tells any one change of any byte, any line removed, added or moved; a line that is there once more it notes", () => {
    const change = fc.oneof(
      fc.record({
        how: fc.constant("edit" as const),
        line: fc.nat(),
        at: fc.nat(),
        to: fc.string({ minLength: 1, maxLength: 1 }),
      }),
      fc.record({
        how: fc.constantFrom("remove" as const, "repeat" as const),
        line: fc.nat(),
        at: fc.nat(),
        to: fc.constant(""),
      }),
      fc.record({ how: fc.constant("swap" as const), line: fc.nat(), at: fc.nat(), to: fc.constant("") }),
      fc.record({ how: fc.constant("add" as const), line: fc.nat(), at: fc.nat(), to: fc.constant("") }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 12 }), change, (count, { how, line, at, to }) => {
        const lines = made(count);
        // The last line may be missing for an innocent reason: that the process died before it was written.
        const which = line % (lines.length - 1);
        const old = lines[which] ?? "";
        if (how === "edit") {
          const place = at % old.length;
          if (old[place] === to) return;
          lines[which] = old.slice(0, place) + to + old.slice(place + 1);
        } else if (how === "remove") lines.splice(which, 1);
        else if (how === "repeat") lines.splice(which + 1 + (at % (lines.length - which)), 0, old);
        else if (how === "add")
          lines.splice(
            which + 1,
            0,
            (made(count, "c1")[(which + 1) % lines.length] ?? "").replace('"v":1', '"v":1,"x":0'),
          );
        else {
          const other = (which + 1 + (at % (lines.length - 1))) % lines.length;
          if (other === which) return;
          [lines[which], lines[other]] = [lines[other] ?? "", old];
        }
        const { troubles, notes } = verified(lines);
        if (how !== "repeat") return assert.notDeepEqual(troubles, [], how);
        assert.deepEqual(troubles, []);
        assert.match(notes[0]?.what ?? "", /^of chain c1, 1 record is here once more/);
      }),
      { numRuns: runs(2_000) },
    );
  });

  it("can't be rewritten without its key", () => {
    const forged = made(3, "c1", null);
    assert.equal(verified(forged, null).troubles.length, 0, "without a key anybody can, who rewrites all of it");
    assert.ok(verified(forged, Buffer.from("secret")).troubles.length > 0);
    assert.ok(verified(made(3, "c1", Buffer.from("other")), Buffer.from("secret")).troubles.length > 0);
  });

  it("that was cut off at its end is found by the one that came after it", () => {
    const first = made(5, "c1", null, false);
    const last = JSON.parse(first.at(-1) ?? "{}") as { seq: number; hash: string };
    const next = new Chain("c2", null);
    const second = [
      next.add(`"type":"opened","follows":{"chain":"c1","seq":${last.seq},"hash":"${last.hash}"}`),
      next.add('"type":"closed"'),
    ].map((line) => line.trimEnd());
    assert.deepEqual(verified([...first, ...second]).troubles, []);
    const cut = verified([...first.slice(0, -2), ...second]);
    assert.match(
      cut.troubles[0]?.what ?? "",
      /chain c1 ends with record 3, and went on to 5, as f:5 says: its end is missing/,
    );
    assert.match(verified(second).troubles[0]?.what ?? "", /chain c1, which came before, is missing/);
    assert.match(verified(first).notes[0]?.what ?? "", /not closed/);
  });

  it("may begin late where something tells that its beginning was deleted for its age", () => {
    const lines = made(5, "c1", null, false);
    const third = JSON.parse(lines[2] ?? "{}") as { hash: string };
    const other = new Chain("c2", null);
    const retired = [
      other.add(`"type":"opened","follows":null`),
      other.add(`"type":"retired","until":{"chain":"c1","seq":2,"hash":"${third.hash}"}`),
    ].map((line) => line.trimEnd());
    assert.deepEqual(verified([...lines.slice(3), ...retired]).troubles, []);
    assert.match(verified(lines.slice(3)).troubles[0]?.what ?? "", /begins with record 3, and no record says/);
    assert.ok(verified([...lines.slice(4), ...retired]).troubles.length > 0, "one more is missing than was deleted");
    assert.deepEqual(verified([...lines.slice(2), ...retired]).troubles, [], "told, and not done yet");
    const elsewhere = retired.map((line) => line.replace('"until"', '"in":"redis","until"'));
    assert.match(
      verified([...lines.slice(3), ...elsewhere])
        .troubles.map(({ what }) => what)
        .join(),
      /no record says/,
    );
  });

  it("knows a line that was cut off while it was written", () => {
    const lines = made(2, "c1", null, false);
    const verifier = new Verifier(null);
    for (const line of lines) verifier.add(line, "f");
    verifier.add((lines[1] ?? "").slice(0, 40), "f:4", true);
    const { troubles, notes } = verifier.end();
    assert.deepEqual(troubles, []);
    assert.match(notes.map(({ what }) => what).join("; "), /cut off/);
  });
});
