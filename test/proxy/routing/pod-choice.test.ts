import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { choosePod, type PodLoad, type PodQuestion } from "../../../proxy/routing/pod-choice.ts";
import fc from "../../harness/property.ts";

const question = (more: Partial<PodQuestion> = {}): PodQuestion => ({
  strategy: "Prefix",
  mostInFlight: null,
  affinity: "a conversation",
  turn: 0,
  ...more,
});
const idle = (count: number): PodLoad[] =>
  Array.from({ length: count }, (_, index) => ({ name: `10.0.0.${index}:8000`, inFlight: 0, spared: false }));
const loads = fc.array(fc.record({ inFlight: fc.nat(20), spared: fc.boolean() }), { minLength: 1, maxLength: 12 });
const named = (states: readonly Omit<PodLoad, "name">[]): PodLoad[] =>
  states.map((state, index) => ({ name: `10.0.0.${index}:8000`, ...state }));

describe("the server of a pool that takes a call", () => {
  it("is the same for what begins alike, and moves for few when one comes or goes", () => {
    const pods = idle(8);
    const keys = Array.from({ length: 4_000 }, (_, index) => `conversation ${index}`);
    const before = keys.map((affinity) => choosePod(pods, question({ affinity })));
    const fewer = pods.slice(0, 7);
    const after = keys.map((affinity) => choosePod(fewer, question({ affinity })));
    for (const [index, pod] of before.entries()) if (pod !== 7) assert.equal(after[index], pod);
    for (let pod = 0; pod < 8; pod++) {
      const share = before.filter((one) => one === pod).length / keys.length;
      assert.ok(share > 0.09 && share < 0.16, `server ${pod} has ${share} of the conversations`);
    }
  });

  it("is never loaded above 1.25 times the average by a prefix", () => {
    fc.assert(
      fc.property(loads, fc.string(), fc.nat(), (states, affinity, turn) => {
        const pods = named(states.map((state) => ({ ...state, spared: false })));
        const chosen = pods[choosePod(pods, question({ affinity, turn }))];
        const total = pods.reduce((sum, { inFlight }) => sum + inFlight, 0);
        const least = Math.min(...pods.map(({ inFlight }) => inFlight));
        assert.ok(chosen !== undefined);
        if (affinity === "") assert.equal(chosen.inFlight, least);
        else assert.ok(chosen.inFlight < Math.ceil((1.25 * (total + 1)) / pods.length));
      }),
    );
  });

  it("has the fewest calls, and equals take turns", () => {
    const pods = named([
      { inFlight: 2, spared: false },
      { inFlight: 1, spared: false },
      { inFlight: 1, spared: false },
    ]);
    const chosen = [0, 1, 2, 3].map((turn) => choosePod(pods, question({ strategy: "LeastLoad", turn })));
    assert.deepEqual(chosen, [1, 2, 1, 2]);
  });

  it("has room, and failed lately only if all others with room did", () => {
    fc.assert(
      fc.property(
        loads,
        fc.constantFrom("Prefix", "LeastLoad"),
        fc.integer({ min: 1, max: 20 }),
        (states, strategy, most) => {
          const pods = named(states);
          const index = choosePod(pods, question({ strategy, mostInFlight: most }));
          const hasRoom = pods.filter(({ inFlight }) => inFlight < most);
          const chosen = pods[index];
          if (hasRoom.length === 0) return assert.equal(index, -1);
          assert.ok(chosen !== undefined && chosen.inFlight < most);
          if (hasRoom.some(({ spared }) => !spared)) assert.equal(chosen.spared, false);
        },
      ),
    );
    assert.equal(choosePod([], question()), -1);
  });
});
