/** Callers make up the names of sessions: what is kept of them is bounded, and forgotten in time. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KeyIdentity } from "../../proxy/call/identity.ts";
import { SessionRoom, sessionIdleMs } from "../../proxy/call/session-room.ts";
import type { BudgetConfig } from "../../proxy/config/budget.ts";
import { Holdings } from "../../proxy/fleet/holdings.ts";
import type { Quotas } from "../../proxy/fleet/quotas.ts";
import { budgetCharges } from "../../proxy/pipeline/budget-claims.ts";
import type { Route } from "../../proxy/snapshot/snapshot.ts";
import fc from "../harness/property.ts";

describe("the room for sessions", () => {
  it("ties a session to its key", () => {
    const room = new SessionRoom();
    assert.equal(room.subject("a/alice", "s1", 0), "s1@a/alice");
    assert.equal(room.subject("a/bob", "s1", 0), "s1@a/bob");
    assert.equal(room.subject("a/bob", "", 0), "@a/bob");
  });

  it("counts further sessions of a key together, and no other key's", () => {
    const room = new SessionRoom({ ofKey: 2, inAll: 10 });
    const subjects = ["s1", "s2", "s3", "s1", "s4"].map((session) => room.subject("k", session, 0));
    assert.deepEqual(subjects, ["s1@k", "s2@k", "@k", "s1@k", "@k"]);
    assert.equal(room.subject("other", "s3", 0), "s3@other");
  });

  it("makes room again when sessions have been idle, of this key or of another", () => {
    const room = new SessionRoom({ ofKey: 2, inAll: 2 });
    room.subject("k", "s1", 0);
    room.subject("l", "s2", 1);
    assert.equal(room.subject("other", "s", 2), "@other");
    assert.equal(room.subject("other", "s", sessionIdleMs + 2), "s@other");
    assert.equal(room.subject("k", "s3", sessionIdleMs + 2), "s3@k");
  });

  it("is not taken by keys that have many sessions from those that have few", () => {
    const room = new SessionRoom({ ofKey: 100, inAll: 12 });
    for (const key of ["greedy", "other"])
      for (let count = 0; count < 20; count++) room.subject(key, `s${count}`, count);
    for (let count = 0; count < 3; count++) assert.equal(room.subject("modest", `s${count}`, 30), `s${count}@modest`);
    for (let count = 0; count < 50; count++) room.subject("greedy", `t${count}`, 40 + count);
    for (let count = 0; count < 3; count++) assert.equal(room.subject("modest", `s${count}`, 90), `s${count}@modest`);
  });

  it("never holds more than its bounds, and never renames a session in use of a key that has its share", () => {
    const call = fc.record({ key: fc.nat(3), session: fc.nat(6), afterMs: fc.nat(sessionIdleMs) });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
        const room = new SessionRoom({ ofKey: 3, inAll: 5 });
        const usedMs = new Map<string, number>();
        let nowMs = 0;
        for (const { key, session, afterMs } of calls) {
          nowMs += afterMs;
          const name = `s${session}@k${key}`;
          const wasLive = nowMs - (usedMs.get(name) ?? -Infinity) < sessionIdleMs;
          const subject = room.subject(`k${key}`, `s${session}`, nowMs);
          assert.ok(subject === name || subject === `@k${key}`);
          if (subject === name) usedMs.set(name, nowMs);
          const live = [...usedMs].filter(([, lastMs]) => nowMs - lastMs < sessionIdleMs).map(([one]) => one);
          const ofKey = live.filter((one) => one.endsWith(`@k${key}`)).length;
          // A quarter of five places is each key's own, whatever the others do.
          if (wasLive && ofKey <= 1) assert.equal(subject, name);
          if (ofKey === 0) assert.fail("a key without a session got none");
        }
      }),
    );
  });

  it("never holds more than its bounds", () => {
    const call = fc.record({ key: fc.nat(3), session: fc.nat(6) });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
        const room = new SessionRoom({ ofKey: 3, inAll: 5 });
        for (const { key, session } of calls) room.subject(`k${key}`, `s${session}`, 0);
        assert.ok(room.size <= 5);
        assert.ok(room.sizes.every((size) => size <= 3));
        assert.equal(
          room.size,
          room.sizes.reduce((sum, size) => sum + size, 0),
        );
      }),
    );
  });
});

describe("the counters of sessions", () => {
  const budget = {
    id: "a/run",
    namespace: "a",
    ...{ amountNanoUsd: 1_000, period: "Total", timeZone: "UTC", per: "Session", enforcement: "Hard" },
    ...{ throttle: null, limits: [], expiresAtMs: null, onStateLoss: "deny", seeds: [] },
    scope: { users: null, teams: null, roles: null, tags: null, models: null, providers: null, apiKeys: null },
  } as unknown as BudgetConfig;

  it("go a day after the session's last call, also where the budget never resets", () => {
    const counterAt = (nowMs: number) => {
      const made = budgetCharges(
        {
          ...{ route: {} as Route, identity: {} as KeyIdentity, model: "m", targets: [], budgets: [budget] },
          session: () => "s1@a/alice",
          worst: () => ({ nanoUsd: 5, cap: null }),
        },
        { quotas: {} as Quotas, nowMs: () => nowMs, random: () => 0 },
      );
      assert.ok("charges" in made);
      const [due] = made.charges;
      assert.ok(due);
      return due.counter;
    };
    for (const nowMs of [0, 1, 3_599_999, 3_600_000, 40 * sessionIdleMs + 17]) {
      const { expiresAtMs, key } = counterAt(nowMs);
      assert.ok(expiresAtMs !== null);
      assert.ok(expiresAtMs > nowMs + sessionIdleMs && expiresAtMs <= nowMs + sessionIdleMs + 3_600_000);
      assert.match(key, /\|s1@a\/alice$/);
    }
    assert.equal(counterAt(5), counterAt(6), "calls of one hour share a counter");
  });

  it("start again where the store has forgotten them", () => {
    let nowMs = 0;
    const holdings = new Holdings(() => nowMs);
    const spec = { key: "b|a/run|0|s1@a/alice", kind: "period", limit: 1_000, windowMs: 0, seed: 0 } as const;
    const slice = holdings.of({ ...spec, expiresAtMs: 1_000_000, onStateLoss: "deny" });
    nowMs = 700_000;
    holdings.review();
    assert.equal(holdings.of({ ...spec, expiresAtMs: 1_000_000, onStateLoss: "deny" }), slice);
    nowMs = 1_400_000;
    holdings.review();
    assert.notEqual(holdings.of({ ...spec, expiresAtMs: 2_000_000, onStateLoss: "deny" }), slice);
  });
});
