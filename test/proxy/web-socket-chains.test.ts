/** What WebSockets remember of earlier turns is shared fairly between callers. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Chains } from "../../proxy/web-sockets/chains.ts";
import fc from "../harness/property.ts";

const turns = (bytes: number) => ({ responseId: "r", items: "x".repeat(bytes) });

describe("what connections remember of earlier turns", () => {
  it("is not pushed out by a caller who remembers more", () => {
    const chains = new Chains(1_000);
    const small = {};
    chains.keep("small", small, turns(100));
    const lanes = Array.from({ length: 50 }, () => ({}));
    for (const lane of lanes) chains.keep("greedy", lane, turns(100));
    assert.ok(chains.of("small", small, "r"));
    assert.deepEqual(
      lanes.map((lane) => chains.of("greedy", lane, "r") !== null),
      lanes.map((_, index) => index >= 41),
    );
  });

  it("of one caller is not another's", () => {
    const chains = new Chains(1_000);
    const lane = {};
    chains.keep("a", lane, turns(10));
    assert.equal(chains.of("b", lane, "r"), null);
    chains.forget("b", lane);
    assert.ok(chains.of("a", lane, "r"));
    chains.forget("a", lane);
    assert.equal(chains.of("a", lane, "r"), null);
  });

  it("larger than everything is forgotten at once", () => {
    const chains = new Chains(1_000);
    const [lane, other] = [{}, {}];
    chains.keep("b", other, turns(900));
    chains.keep("a", lane, turns(1_001));
    assert.equal(chains.of("a", lane, "r"), null);
    assert.ok(chains.of("b", other, "r"));
  });

  it("stays within the bound, and below its share a caller loses nothing, whatever others do", () => {
    const lanes = [0, 1, 2, 3].map((owner) => [0, 1, 2].map((lane) => ({ owner, lane })));
    const step = fc.record({ owner: fc.nat(3), lane: fc.nat(2), bytes: fc.nat(300), forgets: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const chains = new Chains(1_000);
        const kept = new Map<object, number>();
        for (const { owner, lane, bytes, forgets } of steps) {
          const place = lanes[owner]?.[lane] as object;
          if (forgets) chains.forget(String(owner), place);
          else chains.keep(String(owner), place, turns(bytes));
          kept.set(place, forgets ? -1 : bytes);
          let sum = 0;
          for (const [index, own] of lanes.entries()) {
            const asked = own.filter((at) => (kept.get(at) ?? -1) >= 0);
            const wanted = asked.reduce((total, at) => total + (kept.get(at) ?? 0), 0);
            const there = asked.filter((at) => chains.of(String(index), at, "r") !== null);
            for (const at of there) sum += kept.get(at) ?? 0;
            for (const at of asked) if (!there.includes(at)) kept.set(at, -1);
            if (wanted <= 250) assert.equal(there.length, asked.length);
          }
          assert.ok(sum <= 1_000);
        }
      }),
    );
  });
});
