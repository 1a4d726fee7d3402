/** The set of running calls behaves like a Set. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type IndexedMember, IndexedSet } from "../../proxy/wire/indexed-set.ts";
import fc from "../harness/property.ts";

describe("members", () => {
  it("are added and removed as in a Set", () => {
    const step = fc.record({ what: fc.constantFrom("add", "delete", "pop"), which: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const all: IndexedMember[] = Array.from({ length: 10 }, () => ({ place: -1 }));
        const members = new IndexedSet<IndexedMember>();
        const model = new Set<IndexedMember>();
        for (const { what, which } of steps) {
          const one = what === "pop" ? members.pop() : all[which];
          if (what === "pop") assert.equal(one === undefined, model.size === 0);
          if (one === undefined || (what === "add") === model.has(one)) continue;
          if (what === "add") members.add(one);
          if (what === "delete") members.delete(one);
          if (what === "add") model.add(one);
          else model.delete(one);
          assert.equal(one.place >= 0, what === "add");
          assert.equal(members.size, model.size);
          assert.deepEqual(new Set(members), model);
          assert.ok([...members].every((one) => model.has(one)));
        }
      }),
    );
  });

  it("can be removed during iteration", () => {
    const members = new IndexedSet<IndexedMember>();
    const all = Array.from({ length: 5 }, () => ({ place: -1 }));
    for (const one of all) members.add(one);
    const seen = new Set<IndexedMember>();
    for (const member of members) {
      seen.add(member);
      members.delete(member);
    }
    assert.deepEqual(seen, new Set(all));
    assert.equal(members.size, 0);
  });
});
