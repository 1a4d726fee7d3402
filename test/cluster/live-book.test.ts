import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LiveBook, type Rollout, stateIn } from "../../operator/cluster/live-book.ts";
import type { Programmed } from "../../operator/compile/status.ts";
import type { Verdict } from "../../operator/compile/verdict.ts";

/** Verdicts on two Budgets, told apart by their amounts; what they are doesn't matter here. */
const compiled = (a: number, b: number): Verdict[] => {
  const verdict = (name: string, amountNanoUsd: number): Verdict => ({
    kind: "Budget",
    meta: { name, namespace: "n", uid: name, generation: 1, createdAtMs: 0, labels: {} },
    accepted: [],
    resolvedRefs: [],
    live: "current",
    entry: { id: `n/${name}`, amountNanoUsd },
    status: {},
    conditions: [],
  });
  return [verdict("a", a), verdict("b", b)];
};
const at = (revision: string, live: number, total = 2): Programmed => ({ revision, live, total });
const none = () => ({});
/** `live` of `total` proxies are at the newest revision, and the others at none. */
const fleet = (revision: string, live: number, total = 2): Rollout => ({
  revision,
  proxies: Array.from({ length: total }, (_, one) => (one < live ? revision : null)),
});
const reported = (book: LiveBook, now: Verdict[], state: Rollout, status: (name: string) => unknown = none) => {
  const states = book.statesOf(now, state, (verdict) => status(verdict.meta.name));
  return now.map(states);
};

describe("what is reported as live", () => {
  it("an object that a new revision leaves as it is stays live while proxies move on", () => {
    const book = new LiveBook();
    assert.deepEqual(reported(book, compiled(1, 1), fleet("r1", 2)), [at("r1", 2), at("r1", 2)]);
    assert.deepEqual(reported(book, compiled(1, 2), fleet("r2", 0)), [at("r1", 2), at("r2", 0)]);
    assert.deepEqual(reported(book, compiled(1, 2), fleet("r2", 2)), [at("r1", 2), at("r2", 2)]);
  });

  it("an object that changes before its first form was live everywhere is pending", () => {
    const book = new LiveBook();
    reported(book, compiled(1, 1), fleet("r1", 1));
    assert.deepEqual(reported(book, compiled(1, 1), fleet("r1", 1)), [at("r1", 1), at("r1", 1)]);
  });

  it("an object that changes and changes back is compiled again", () => {
    const book = new LiveBook();
    reported(book, compiled(1, 1), fleet("r1", 2));
    reported(book, compiled(2, 1), fleet("r2", 0));
    assert.deepEqual(reported(book, compiled(1, 1), fleet("r3", 1)), [at("r3", 1), at("r1", 2)]);
  });

  it("an object is live once every proxy is at its revision or a later one, though none is at the newest", () => {
    const book = new LiveBook();
    const ask = (b: number, revision: string, ...proxies: (string | null)[]) =>
      reported(book, compiled(1, b), { revision, proxies });
    ask(1, "r1", "r1", "r1");
    assert.deepEqual(ask(2, "r2", "r1", "r1")[1], at("r2", 0));
    assert.deepEqual(ask(2, "r3", "r2", "r1")[1], at("r2", 1));
    assert.deepEqual(ask(2, "r4", "r3", "r1")[1], at("r2", 1));
    assert.deepEqual(ask(2, "r5", "r3", "r2")[1], at("r2", 2));
    assert.deepEqual(ask(2, "r6", "r3", "r2")[1], at("r2", 2), "and stays so");
  });

  it("an object that changes again waits for its last form", () => {
    const book = new LiveBook();
    const ask = (b: number, revision: string, ...proxies: (string | null)[]) =>
      reported(book, compiled(1, b), { revision, proxies })[1];
    ask(1, "r1", "r1", "r1");
    ask(2, "r2", "r1", "r1");
    assert.deepEqual(ask(3, "r3", "r2", "r2"), at("r3", 0));
    assert.deepEqual(ask(3, "r3", "r3", "r2"), at("r3", 1));
    assert.deepEqual(ask(2, "r4", "r3", "r2"), at("r4", 0), "an earlier form at a new revision, too");
    assert.deepEqual(ask(1, "r1", "r4", "r1"), at("r1", 1), "a revision that comes again has what it had");
    assert.deepEqual(ask(1, "r1", "r1", "r1"), at("r1", 2));
  });

  it("a revision that nobody knows any more, or never did, has nothing", () => {
    const book = new LiveBook();
    const ask = (b: number, revision: string, ...proxies: (string | null)[]) =>
      reported(book, compiled(1, b), { revision, proxies })[1];
    for (let count = 1; count <= 400; count++) ask(count, `r${count}`, null, "other");
    assert.deepEqual(ask(400, "r401", "r20", "other"), at("r400", 0));
    assert.deepEqual(ask(400, "r401", "r400", "r401"), at("r400", 2));
  });

  it("with no proxy at all nothing is live, and all of it is again when they are back", () => {
    const book = new LiveBook();
    reported(book, compiled(1, 1), fleet("r1", 2));
    assert.deepEqual(reported(book, compiled(1, 1), fleet("r1", 0, 0)), [at("r1", 0, 0), at("r1", 0, 0)]);
    assert.deepEqual(reported(book, compiled(1, 1), fleet("r1", 2)), [at("r1", 2), at("r1", 2)]);
  });

  it("after a restart what an earlier process told stands, once proxies are where they should be", () => {
    const told = (generation: number) => ({
      conditions: [
        {
          type: "Programmed",
          status: "True",
          reason: "Live",
          message: "3/3 proxies at abc123",
          lastTransitionTime: "",
          observedGeneration: generation,
        },
      ],
    });
    assert.deepEqual(stateIn(told(1), 1), { live: 3, total: 3, revision: "abc123" });
    assert.equal(stateIn(told(1), 2), null, "of another generation");
    assert.equal(stateIn({}, 1), null);
    const states = reported(new LiveBook(), compiled(1, 1), fleet("r9", 2), (name) => (name === "a" ? told(1) : {}));
    assert.deepEqual(states, [at("abc123", 3, 3), at("r9", 2)]);
  });
});
