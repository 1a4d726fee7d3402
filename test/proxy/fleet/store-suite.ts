/** One suite for every store. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, describe, it } from "node:test";
import {
  budgetKey,
  type FleetStore,
  type LeaseOp,
  type LeaseReply,
  type LedgerRow,
  type WindowOp,
  type WindowReply,
} from "../../../proxy/fleet/store.ts";
import { eventually } from "../../harness/gateway.ts";

const lease = (more: Partial<LeaseOp>): LeaseOp => ({
  kind: "period",
  key: `b|ns/x|0|${randomUUID()}`,
  limit: 1_000,
  seed: 0,
  expiresAtMs: Date.now() + 3_600_000,
  life: 0,
  epoch: "",
  seq: 1,
  granted: 0,
  returned: 0,
  spent: 0,
  confirmed: 0,
  seenShares: "",
  seenUsed: 0,
  seenSpent: 0,
  seenVersion: 0,
  need: 0,
  least: 0,
  want: 0,
  debt: 0,
  ...more,
});
const window = (more: Partial<WindowOp>): WindowOp => ({
  kind: "window",
  key: `w|${randomUUID()}`,
  limit: 100,
  windowMs: 60_000,
  need: 0,
  least: 0,
  want: 0,
  debt: 0,
  returns: [],
  ...more,
});

const row = (more: Partial<LedgerRow>): LedgerRow => ({
  hourMs: Math.floor(Date.now() / 3_600_000) * 3_600_000,
  namespace: "ns",
  user: "alice",
  team: "red",
  role: "developer",
  key: "ns/alice",
  route: "ns/chat",
  model: "gpt-4o",
  provider: "ns/openai",
  requests: 1,
  errors: 0,
  promptTokens: 11,
  cachedTokens: 0,
  cacheWriteTokens: 0,
  completionTokens: 7,
  reasoningTokens: 0,
  costNanoUsd: 97_500,
  estimated: 0,
  unpriced: 0,
  images: 0,
  characters: 0,
  audioSeconds: 0,
  searchUnits: 0,
  ...more,
});

/** The largest amount of a budget, and the largest sum that a number holds exactly, in nano-USD. */
const largest = 8_999_999_999_999_999;
const exact = Number.MAX_SAFE_INTEGER;

export function storeSuite(name: string, open: () => Promise<FleetStore>): void {
  describe(`fleet state in ${name}`, async () => {
    const store = await open();
    after(() => store.close());
    const ask = async <R>(holder: string, op: LeaseOp | WindowOp): Promise<R> =>
      (await store.sync(holder, [op]))[0] as unknown as R;

    it("grants what is needed and never more than is left", async () => {
      const op = lease({ need: 400, least: 400 });
      const first = await ask<LeaseReply>("a", op);
      assert.equal(first.granted, 400);
      assert.equal((await ask<LeaseReply>("b", { ...op, need: 600, least: 600 })).granted, 600);
      assert.equal((await ask<LeaseReply>("c", { ...op, need: 1, least: 1 })).granted, 0);
    });

    it("grants a part where that is of use to one of those who wait", async () => {
      assert.equal((await ask<LeaseReply>("a", lease({ need: 3_000, least: 300 }))).granted, 1_000);
      assert.equal((await ask<LeaseReply>("a", lease({ need: 3_000, least: 1_500 }))).granted, 0);
    });

    it("a repeated operation grants, charges and gives back once", async () => {
      const op = lease({ need: 400, least: 400 });
      const first = await ask<LeaseReply>("a", op);
      const again = await ask<LeaseReply>("a", op);
      assert.equal(again.granted, 400);
      assert.equal(again.used, 400);
      const told = { ...op, epoch: first.epoch, seq: 2, need: 0, least: 0, granted: 400, returned: 100, spent: 250 };
      for (const reply of [await ask<LeaseReply>("a", told), await ask<LeaseReply>("a", told)]) {
        assert.equal(reply.used, 300);
        assert.equal(reply.spent, 250);
      }
      const older = await ask<LeaseReply>("a", { ...told, seq: 1, returned: 0, spent: 0 });
      assert.equal(older.used, 300, "what was reported before is not taken back");
    });

    it("a holder that forgot its record isn't granted it again", async () => {
      const op = lease({ life: 1, need: 1_000, least: 1_000 });
      const first = await ask<LeaseReply>("a", op);
      assert.equal(first.granted, 1_000);
      await ask<LeaseReply>("a", {
        ...op,
        epoch: first.epoch,
        seq: 2,
        granted: 1_000,
        spent: 1_000,
        need: 0,
        least: 0,
      });
      const again = await ask<LeaseReply>("a", { ...op, life: 2, need: 1, least: 1 });
      assert.deepEqual([again.granted, again.used, again.spent], [0, 1_000, 1_000]);
    });

    it("money spent beyond a lease is charged, whatever the limit", async () => {
      const op = lease({ need: 1_000, least: 1_000 });
      const first = await ask<LeaseReply>("a", op);
      const reply = await ask<LeaseReply>("a", {
        ...op,
        epoch: first.epoch,
        seq: 2,
        need: 0,
        granted: 1_000,
        debt: 50,
      });
      assert.equal(reply.used, 1_050);
      assert.equal((await ask<LeaseReply>("b", { ...op, need: 1, least: 1 })).granted, 0);
    });

    it("holders that race to seed a counter seed it once", async () => {
      const op = lease({ seed: 700, need: 10, least: 10 });
      const replies = await Promise.all(Array.from({ length: 20 }, (_, at) => ask<LeaseReply>(`p${at}`, op)));
      assert.equal(Math.max(...replies.map((reply) => reply.used)), 900);
      assert.equal(replies[0]?.spent, 700);
    });

    it("a holder whose store lost everything enters with what it saw, and nothing is granted until others could do so", async () => {
      const op = lease({
        epoch: "of another store",
        seq: 7,
        seenVersion: 40,
        seenUsed: 900,
        seenSpent: 500,
        need: 50,
        least: 50,
      });
      const first = await ask<LeaseReply>("a", op);
      assert.deepEqual([first.granted, first.used, first.spent, first.recovering], [0, 900, 500, true]);
      const later = await ask<LeaseReply>("b", { ...op, seenVersion: 50, seenUsed: 860 });
      assert.deepEqual([later.granted, later.used], [0, 860], "the last view counts");
      assert.equal((await ask<LeaseReply>("c", { ...op, seenVersion: 20, seenUsed: 990 })).used, 860);
      const granted = await eventually(async () => {
        const reply = await ask<LeaseReply>("a", { ...op, epoch: first.epoch, seq: ++op.seq, need: 40, least: 40 });
        return reply.recovering ? null : reply;
      });
      assert.equal(granted.granted, 40);
      assert.equal(granted.used, 900);
    });

    it("a counter without a limit grants nothing and only counts", async () => {
      const op = lease({ limit: null, debt: 70 });
      const reply = await ask<LeaseReply>("a", op);
      assert.deepEqual([reply.used, reply.tight], [70, false]);
    });

    for (const [what, limit, seed, cost, granted] of [
      ["the largest amount, used up to the last nano-USD", largest, largest - 1, 1, 1],
      ["the largest amount, with less left than is needed", largest, largest - 1, 2, 0],
      ["no amount, at the last exact sum", null, exact - 1, 1, 0],
      ["no amount, beyond the exact sums", null, exact, 2_000_000, 0],
      ["an amount that was exceeded by far", largest, 2 * exact, 1_000_000, 0],
    ] as const)
      it(`counts money under ${what}`, async () => {
        const op = lease({ limit, seed, need: limit === null ? 0 : cost, least: limit === null ? 0 : cost });
        const first = await ask<LeaseReply>("a", { ...op, debt: limit === null ? cost : 0 });
        assert.equal(first.granted, limit === null ? cost : granted);
        const counted = limit === null ? cost : granted;
        assert.ok(Math.abs(first.used - (seed + counted)) <= 1, `${first.used}`);
        assert.ok(first.used >= seed && Number.isInteger(first.used));
      });

    it("a sum that exceeds everything doesn't cost the other rows", async () => {
      const hour = row({}).hourMs;
      const user = randomUUID();
      const dear = row({ user, model: "dear", costNanoUsd: 9e18 });
      for (const seq of [1, 2, 3])
        await store.addToLedger(user, [{ hourMs: hour, seq, rows: [dear, row({ user, model: "usual" })] }]);
      await store.addToLedger(user, [{ hourMs: hour, seq: 4, rows: [{ ...dear, costNanoUsd: 1e22 }, row({ user })] }]);
      const rows = (await store.readLedger(hour, hour + 1)).filter((one) => one.user === user);
      const cost = (model: string) => rows.find((one) => one.model === model)?.costNanoUsd ?? 0;
      assert.equal(cost("usual"), 3 * 97_500);
      assert.equal(cost("gpt-4o"), 97_500);
      assert.ok(cost("dear") >= 9e18, `${cost("dear")}`);
    });

    it("units of a window come back when they are given back", async () => {
      const op = window({ need: 100, least: 100 });
      const first = await ask<WindowReply>("a", op);
      assert.deepEqual([first.granted, first.remaining], [100, 0]);
      const none = await ask<WindowReply>("b", { ...op, need: 1, least: 1 });
      assert.equal(none.granted, 0);
      assert.ok(none.retryMs > 55_000 && none.retryMs <= 61_500, `${none.retryMs}`);
      const back = await ask<WindowReply>("a", { ...op, need: 0, returns: [[first.slice, 30]] });
      assert.equal(back.remaining, 30);
      assert.equal((await ask<WindowReply>("b", { ...op, need: 31, least: 31 })).granted, 0);
      assert.equal((await ask<WindowReply>("b", { ...op, need: 30, least: 30 })).granted, 30);
    });

    it("no more units are given back than were taken, and none of a slice that is not there", async () => {
      const op = window({ need: 10, least: 10 });
      const first = await ask<WindowReply>("a", op);
      const back = await ask<WindowReply>("a", {
        ...op,
        need: 0,
        returns: [
          [first.slice, 50],
          [first.slice - 5, 50],
        ],
      });
      assert.equal(back.remaining, 100);
    });

    it("a window slides", async () => {
      const op = window({ limit: 3, windowMs: 1_000, need: 3, least: 3 });
      const began = performance.now();
      assert.equal((await ask<WindowReply>("a", op)).granted, 3);
      await eventually(async () => (await ask<WindowReply>("a", { ...op, need: 1, least: 1 })).granted === 1);
      assert.ok(performance.now() - began > 900);
    });

    it("concurrent calls: what was given back is free", async () => {
      const op = lease({ kind: "held", key: `h|${randomUUID()}`, limit: 2, need: 2, least: 2 });
      const first = await ask<LeaseReply>("a", op);
      assert.equal(first.granted, 2);
      assert.equal((await ask<LeaseReply>("b", { ...op, need: 1, least: 1 })).granted, 0);
      await ask<LeaseReply>("a", { ...op, epoch: first.epoch, seq: 2, need: 0, granted: 2, returned: 1 });
      assert.equal((await ask<LeaseReply>("b", { ...op, seq: 2, need: 1, least: 1 })).granted, 1);
    });

    it("live proxies are counted", async () => {
      for (const holder of ["x1", "x2", "x3"]) await store.heartbeat(holder);
      assert.ok((await store.heartbeat("x1")) >= 3);
    });

    it("tells how long ago a key was first used, and takes the earliest time that anybody knows", async () => {
      const key = `s|${randomUUID()}`;
      assert.ok((await store.age(key, 0, 60_000)) < 30_000);
      const early = await store.age(key, 3_600_000, 60_000);
      assert.ok(early >= 3_600_000 && early < 3_630_000, String(early));
      assert.ok((await store.age(key, 0, 60_000)) >= early);
    });

    it("lists the subjects of a budget until their counters expire", async () => {
      const id = `ns/${randomUUID()}`;
      const use = (subject: string, expiresAtMs: number | null): Promise<LeaseReply> =>
        ask("p1", lease({ key: budgetKey(id, 0, subject), expiresAtMs, need: 5 }));
      const soonMs = Date.now() + 100;
      await use("gone", soonMs);
      await use("kept", soonMs + 3_600_000);
      await use("endless", null);
      await eventually(async () => {
        // What is entered makes room for itself.
        await use(randomUUID(), Date.now() + 60_000);
        const subjects = (await store.readBudget(id, 0)).filter(({ used }) => used > 0).map(({ subject }) => subject);
        return (
          Date.now() > soonMs && subjects.includes("kept") && subjects.includes("endless") && !subjects.includes("gone")
        );
      });
    });

    it("the ledger adds up, and a batch sent twice counts once", async () => {
      const hour = row({}).hourMs;
      const user = randomUUID();
      const batch = { hourMs: hour, seq: 1, rows: [row({ user }), row({ user, model: 'other|"#0' })] };
      const holder = randomUUID();
      await store.addToLedger(holder, [batch]);
      await store.addToLedger(holder, [batch]);
      await store.addToLedger(holder, [
        { hourMs: hour, seq: 2, rows: [row({ user, costNanoUsd: 2 ** 52, requests: 3 })] },
      ]);
      const rows = (await store.readLedger(hour, hour + 1)).filter((one) => one.user === user);
      assert.equal(rows.length, 2);
      assert.deepEqual(
        rows.find((row) => row.model === "gpt-4o"),
        row({ user, requests: 4, promptTokens: 22, completionTokens: 14, costNanoUsd: 97_500 + 2 ** 52 }),
      );
      assert.deepEqual(
        rows.find((row) => row.model !== "gpt-4o"),
        row({ user, model: 'other|"#0' }),
      );
      assert.deepEqual(await store.readLedger(hour - 7_200_000, hour - 3_600_000), []);
    });

    it("a budget's counters can be read, each with its subject", async () => {
      const id = `ns/${randomUUID()}`;
      for (const subject of ["alice@example.com", "bob|odd"]) {
        const op = lease({ key: budgetKey(id, 86_400_000, subject), need: 100, least: 100 });
        const first = await ask<LeaseReply>("a", op);
        await ask<LeaseReply>("a", { ...op, epoch: first.epoch, seq: 2, need: 0, granted: 100, spent: 60 });
      }
      const readings = await eventually(async () => {
        const all = await store.readBudget(id, 86_400_000);
        return all.length === 2 ? all : null;
      });
      assert.deepEqual(
        readings.sort((a, b) => (a.subject < b.subject ? -1 : 1)),
        [
          { subject: "alice@example.com", used: 100, spent: 60 },
          { subject: "bob|odd", used: 100, spent: 60 },
        ],
      );
      assert.deepEqual(await store.readBudget(id, 0), []);
      assert.deepEqual(await store.readBudget(id, 86_400_000, "bob|odd"), [
        { subject: "bob|odd", used: 100, spent: 60 },
      ]);
    });

    it("a user is renamed in the ledger, in one namespace or in all, and sums stay", async () => {
      const hourMs = Math.floor(Date.now() / 3_600_000) * 3_600_000;
      const user = randomUUID();
      const rows = [
        row({ user, key: "ns/one" }),
        row({ user, key: "ns/two" }),
        row({ user, namespace: "other", key: "other/one" }),
        row({ user: `not ${user}`, key: "ns/one" }),
      ];
      await store.addToLedger(randomUUID(), [{ hourMs, seq: 1, rows }]);
      const named = async (name: string) =>
        (await store.readLedger(hourMs, hourMs + 3_600_000))
          .filter((one) => one.user === name)
          .map((one) => [one.namespace, one.key, one.requests, one.costNanoUsd]);
      const alias = `erased-${user}`;
      assert.equal(await store.renameInLedger(user, "ns", alias), 2);
      assert.deepEqual(await named(alias), [["ns", "ns/erased", 2, 195_000]]);
      assert.deepEqual(await named(user), [["other", "other/one", 1, 97_500]]);
      assert.equal(await store.renameInLedger(user, null, alias), 1);
      assert.deepEqual(await named(user), []);
      assert.equal((await named(`not ${user}`)).length, 1);
      assert.equal(await store.renameInLedger(user, null, alias), 0);
    });
  });
}
