/** Simulates examples/budgets in virtual time: what its four budgets refuse, slow down and allow over a month. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { compileFolder } from "../../operator/folder/compile-folder.ts";
import type { Identity } from "../../proxy/call/identity.ts";
import type { CallRecord } from "../../proxy/call/record.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { MemoryStore } from "../../proxy/fleet/memory.ts";
import { Quotas } from "../../proxy/fleet/quotas.ts";
import { budgetCharges } from "../../proxy/pipeline/budget-claims.ts";
import { covers } from "../../proxy/pipeline/scope.ts";
import type { Route } from "../../proxy/snapshot/snapshot.ts";
import { VirtualTime } from "./fleet/virtual.ts";

const folder = join(import.meta.dirname, "../../examples/budgets");
const { compiled, findings } = await compileFolder([folder], {}, Buffer.alloc(32), { nowMs: 0 });
const { budgets } = compiled.config;

const usd = 1_000_000_000;
/** By then every lease that calls left unused is given back. */
const settledMs = 60_000;
const route = { config: { id: "default/chat" } } as Route;
const identityOf = (user: string): Identity =>
  ({
    anonymous: false,
    namespace: "default",
    key: { id: `default/${user}`, user, team: null, role: "developer", tags: [] } as unknown as KeyRecord,
  }) as unknown as Identity;

/** Simulates callers from a given time on. The throttle's random draws alternate, so that a half means every other call. */
function play(from: string) {
  const time = new VirtualTime(Date.parse(from));
  const quotas = new Quotas(new MemoryStore(time.nowMs), "p", time.clock());
  let lot = 0;
  const context = { quotas, nowMs: time.nowMs, random: () => (lot++ % 2 === 0 ? 0.25 : 0.75) };
  return {
    /** Advances to a time. Of long spans without calls, most is skipped: their ticks do nothing. */
    to: (moment: string): void => {
      const idleMs = Date.parse(moment) - time.nowMs() - 2 * settledMs;
      if (idleMs > 0) {
        time.advance(settledMs);
        time.skip(idleMs);
      }
      time.advance(Date.parse(moment) - time.nowMs());
    },
    advance: (ms: number): void => time.advance(ms),
    /** Makes a call with a known cost in USD. Returns "ok", or the failure's code and the budget that it names. */
    async call(user: string, cost: number): Promise<string> {
      const subject = { route, identity: identityOf(user), model: "gpt-4o", targets: [] };
      const covering = budgets.filter((budget) => covers(budget, subject, time.nowMs()));
      const money = budgetCharges(
        { ...subject, budgets: covering, session: () => "", worst: () => ({ nanoUsd: cost * usd, cap: 1 }) as never },
        context,
      );
      const say = ({ code, message }: { code: string; message: string }): string =>
        `${code} ${/budget (\S+)/.exec(message)?.[1] ?? ""} ${/resets at (\S+)\./.exec(message)?.[1] ?? ""}`.trim();
      if ("code" in money) return say(money);
      const charges = [...money.charges].sort((a, b) => (a.counter.key < b.counter.key ? -1 : 1));
      const reserving = quotas.reserve(charges);
      if (reserving instanceof Promise) time.advance(5_000);
      const got = await reserving;
      if ("refused" in got)
        return say((charges.find((due) => due.counter === got.refused) as (typeof charges)[number]).refuse(got));
      got.settle(
        charges.map((due) =>
          due.actual({
            costNanoUsd: cost * usd,
            provider: "default/up",
            attempts: [] as CallRecord["attempts"],
          } as CallRecord),
        ),
      );
      return "ok";
    },
  };
}

describe("examples/budgets", () => {
  it("are valid, with the documented amounts", () => {
    assert.deepEqual(findings, []);
    assert.deepEqual(
      budgets.map(({ id, amountNanoUsd, period, per, enforcement }) => [
        id,
        (amountNanoUsd ?? 0) / usd,
        period,
        per,
        enforcement,
      ]),
      [
        ["default/daily", 100, "Daily", null, "Soft"],
        ["default/emergency", 50, "Hourly", null, "Hard"],
        ["default/monthly", 2000, "Monthly", null, "Hard"],
        ["default/per-user", 10, "Daily", "User", "Hard"],
      ],
    );
  });

  it("give each user ten USD a day in Berlin time, also on a day of 23 hours", async () => {
    const life = play("2027-03-27T12:00:00Z");
    for (let at = 0; at < 10; at++) assert.equal(await life.call("alice", 1), "ok");
    assert.equal(await life.call("alice", 1), "budget_exceeded default/per-user 2027-03-27T23:00:00.000Z");
    assert.equal(await life.call("bob", 1), "ok");
    life.to("2027-03-27T22:59:00Z");
    assert.match(await life.call("alice", 1), /^budget_exceeded default\/per-user/);
    life.to("2027-03-27T23:00:01Z");
    for (let at = 0; at < 10; at++) assert.equal(await life.call("alice", 1), "ok");
    // Daylight saving time begins this night, so the next midnight is an hour closer.
    assert.equal(await life.call("alice", 1), "budget_exceeded default/per-user 2027-03-28T22:00:00.000Z");
    life.to("2027-03-28T22:00:01Z");
    assert.equal(await life.call("alice", 1), "ok");
  });

  it("throttle at 45 USD an hour, stop at 50 and reset with the next hour; the daily 100 only alerts", async () => {
    const life = play("2027-03-01T10:00:00Z");
    const hour = async (): Promise<{ passed: number; throttled: number; stopped: number }> => {
      const seen = { passed: 0, throttled: 0, stopped: 0 };
      for (let user = 0; user < 70; user++) {
        const said = await life.call(`user-${user}`, 1);
        if (said === "ok") seen.passed++;
        else if (said.startsWith("rate_limit_exceeded default/emergency")) seen.throttled++;
        else if (said.startsWith("budget_exceeded default/emergency")) seen.stopped++;
        else assert.fail(said);
        life.advance(10);
      }
      return seen;
    };
    const first = await hour();
    assert.equal(first.passed, 50);
    // From 45 on every other call is refused: four or five between 45 and 50.
    assert.ok(first.throttled >= 4 && first.stopped > 0, JSON.stringify(first));
    life.to("2027-03-01T10:59:00Z");
    assert.match(await life.call("late", 1), /emergency/);
    for (const next of ["11", "12", "13"]) {
      life.to(`2027-03-01T${next}:00:01Z`);
      assert.equal((await hour()).passed, 50, `200 USD in a day of 100: soft, at ${next}`);
    }
  });

  it("limit the month to 2,000 USD, and reset on the first in Berlin time", async () => {
    const life = play("2027-03-01T00:00:00Z");
    let spent = 0;
    let last = "";
    for (let day = 2; day <= 12 && !last.includes("monthly"); day++) {
      for (let hour = 6; hour < 20 && !last.includes("monthly"); hour++) {
        life.to(`2027-03-${String(day).padStart(2, "0")}T${String(hour).padStart(2, "0")}:00:01Z`);
        // Ten calls of 4.40 USD stay below the hourly throttle.
        for (let user = 0; user < 10; user++) {
          last = await life.call(`user-${hour}-${user}`, 4.4);
          if (last !== "ok") break;
          spent += 4.4;
        }
      }
    }
    assert.equal(last, "budget_exceeded default/monthly 2027-03-31T22:00:00.000Z");
    assert.ok(spent <= 2000 && spent > 1990, String(spent));
    life.to("2027-03-31T21:59:00Z");
    assert.match(await life.call("anybody", 9), /^budget_exceeded default\/monthly/);
    life.to("2027-03-31T22:00:01Z");
    assert.equal(await life.call("anybody", 9), "ok");
  });
});
