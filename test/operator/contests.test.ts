/** Two installations that serve the same objects, on one store of statuses. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Contest, Contests } from "../../operator/cluster/contests.ts";
import { newVerdict } from "../../operator/compile/outcome.ts";
import type { WorldObject } from "../../operator/compile/world.ts";

const holdMs = 1_000;

class Store {
  nowMs = 0;
  readonly statuses = new Map<string, Record<string, unknown>>();
  writes = 0;
}

class Installation {
  readonly noticed: Contest[] = [];
  readonly contests: Contests;
  readonly #text: string;
  readonly #store: Store;

  /** `text`: what its statuses say. */
  constructor(name: string, text: string, store: Store) {
    this.#text = text;
    this.#store = store;
    this.contests = new Contests(name, {
      holdMs,
      nowMs: () => store.nowMs,
      noticed: (contest) => this.noticed.push(contest),
    });
  }

  /** Writes each status that is not as it should be, as a pass does. */
  pass(namespace: string, names: readonly string[]): void {
    for (const name of names) {
      const uid = `${namespace}/${name}`;
      const before = this.#store.statuses.get(uid) ?? {};
      if (JSON.stringify(before) === JSON.stringify({ text: this.#text })) continue;
      const meta = { name, namespace, uid, generation: 1, createdAtMs: 1, labels: {} };
      const object: WorldObject = { kind: "ApiKey", meta, spec: {}, status: before };
      const write = this.contests.admit({ verdict: newVerdict("ApiKey", meta), object, status: { text: this.#text } });
      if (write === null) continue;
      this.#store.statuses.set(uid, write.status);
      this.#store.writes++;
      this.contests.wrote(write);
    }
  }
}

const names = ["one", "two", "three"];

describe("two installations that serve the same objects", () => {
  for (const [first, second] of [
    ["a/sluice", "b/sluice"],
    ["b/sluice", "a/sluice"],
  ] as const)
    it(`stop overwriting each other: ${first} was there first`, () => {
      const store = new Store();
      const installations = [new Installation(first, "x", store), new Installation(second, "y", store)];
      for (let round = 0; round < 10; round++) for (const one of installations) one.pass("team", names);
      const settled = store.writes;
      assert.ok(settled < 20, `${settled} writes`);
      for (let round = 0; round < 10; round++) for (const one of installations) one.pass("team", names);
      assert.equal(store.writes, settled);
      const text = first === "a/sluice" ? "x" : "y";
      for (const status of store.statuses.values()) assert.deepEqual(status, { text, writtenBy: "a/sluice" });
      const [a, b] = installations.toSorted((one) => (one === installations[first === "a/sluice" ? 0 : 1] ? -1 : 1));
      assert.deepEqual([a?.contests.namespaces, b?.contests.namespaces], [["team"], ["team"]]);
      const last = b?.noticed.at(-1);
      assert.deepEqual([last?.rival, last?.yields, last?.namespace], ["a/sluice", true, "team"]);
      assert.ok(a?.noticed.every(({ yields }) => !yields) && a.noticed.length > 0);
    });

  it("leave alone namespaces that only one of them serves", () => {
    const store = new Store();
    const [a, b] = [new Installation("a/sluice", "x", store), new Installation("b/sluice", "y", store)];
    for (let round = 0; round < 10; round++) {
      a.pass("team", names);
      b.pass("team", names);
      b.pass("own", names);
    }
    assert.deepEqual(store.statuses.get("own/one"), { text: "y" });
    assert.deepEqual(b.contests.namespaces, ["team"]);
  });

  it("write again once the other one is gone", () => {
    const store = new Store();
    const [a, b] = [new Installation("a/sluice", "x", store), new Installation("b/sluice", "y", store)];
    for (let round = 0; round < 10; round++) for (const one of [a, b]) one.pass("team", names);
    store.nowMs += holdMs;
    for (let round = 0; round < 3; round++) b.pass("team", names);
    for (const status of store.statuses.values()) assert.deepEqual(status, { text: "y" });
    assert.deepEqual(b.contests.namespaces, []);
  });

  it("notice each other again, where the other one is still there", () => {
    const store = new Store();
    const [a, b] = [new Installation("a/sluice", "x", store), new Installation("b/sluice", "y", store)];
    for (let hold = 0; hold < 5; hold++) {
      const before = store.writes;
      for (let round = 0; round < 20; round++) for (const one of [a, b]) one.pass("team", names);
      assert.ok(store.writes - before < 25, `${store.writes - before} writes`);
      assert.deepEqual(b.contests.namespaces, ["team"]);
      store.nowMs += holdMs;
    }
  });
});

it("one edit by hand, or one every few hours, is no contest", () => {
  const store = new Store();
  const a = new Installation("a/sluice", "x", store);
  for (let edit = 0; edit < 20; edit++) {
    a.pass("team", names);
    store.statuses.set("team/one", { text: "edited" });
    store.nowMs += holdMs;
  }
  assert.deepEqual(a.noticed, []);
});

it("a status written twice before the watch has returned it is no contest", () => {
  const noticed: Contest[] = [];
  const contests = new Contests("a/sluice", { holdMs, nowMs: () => 0, noticed: (contest) => noticed.push(contest) });
  for (let at = 0; at < 20; at++) {
    const meta = { name: `key-${at}`, namespace: "team", uid: String(at), generation: 1, createdAtMs: 1, labels: {} };
    const object: WorldObject = { kind: "ApiKey", meta, spec: {}, status: {} };
    for (let write = 0; write < 2; write++) {
      const due = { verdict: newVerdict("ApiKey", meta), object, status: { text: "x" } };
      const admitted = contests.admit(due);
      assert.ok(admitted);
      contests.wrote(admitted);
    }
  }
  assert.deepEqual(noticed, []);
});
