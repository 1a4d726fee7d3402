/** How a Budget's status follows from what proxies report. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decimalToNano } from "../../crds/quantity.ts";
import { budgetStatus } from "../../crds/types/budget-status.ts";
import type { BudgetRules } from "../../operator/compile/budgets.ts";
import { advanceBudget } from "../../operator/loops/budgets/advance.ts";
import { usdText } from "../../operator/loops/budgets/money.ts";
import { seedsOf } from "../../operator/loops/budgets/seeds.ts";
import type { BudgetState } from "../../operator/loops/budgets/state.ts";
import { exceeded, stateFromStatus, statusFromState } from "../../operator/loops/budgets/status.ts";
import { type BudgetReadings, budgetConfig, budgetReading } from "../../proxy/config/budget.ts";
import { readBudgets } from "../../proxy/pipeline/budget-report.ts";
import type { Snapshot } from "../../proxy/snapshot/snapshot.ts";
import fc from "../harness/property.ts";

const dayMs = 86_400_000;
const start = Date.parse("2027-03-01T00:00:00Z");

const watch = (
  more: { per?: "User"; spike?: BudgetRules["spike"]; thresholds?: number[]; enforcement?: "Soft" } = {},
): BudgetRules => ({
  config: {
    ...budgetConfig.parse({
      id: "a/b",
      amountNanoUsd: 100e9,
      period: "Daily",
      timeZone: "UTC",
      namespace: "a",
      scope: { users: null, teams: null, roles: null, tags: null, models: null, providers: null },
      per: more.per ?? null,
      enforcement: more.enforcement ?? "Hard",
    }),
    amountNanoUsd: 100e9,
  },
  thresholds: more.thresholds ?? [80, 100],
  spike: more.spike ?? null,
});

interface Told {
  shared?: boolean;
  day?: number;
  groups?: Record<string, number>;
  refused?: string[];
}
const told = ({ shared = true, day = 0, groups = {}, refused = [] }: Told): BudgetReadings => ({
  instance: "i",
  shared,
  budgets: [
    {
      id: "a/b",
      periodStartMs: start + day * dayMs,
      resetsAtMs: start + (day + 1) * dayMs,
      spentNanoUsd: Object.values(groups).reduce((sum, one) => sum + Math.round(one * 1e9), 0),
      groupCount: Object.keys(groups).length,
      groups: Object.entries(groups).map(([subject, spent]) => ({ subject, spentNanoUsd: Math.round(spent * 1e9) })),
      refused,
    },
  ],
});

const after = (one: BudgetRules, ...passes: Told[][]): BudgetState | null =>
  passes.reduce<BudgetState | null>(
    (standing, pass, at) => advanceBudget(one, standing, pass.map(told), start + at * 1000),
    null,
  );
const crossed = (standing: BudgetState | null): string[] =>
  (standing?.crossings ?? []).map(({ event, percent, subject }) => `${event} ${percent} ${subject}`.trim());

describe("how a budget stands", () => {
  for (const [name, passes, spent, crossings] of [
    ["nothing is known", [[]], null, []],
    [
      "proxies with a store in common tell of the same money",
      [[{ groups: { "": 30 } }, { groups: { "": 31 } }]],
      31,
      [],
    ],
    [
      "proxies with a store each are added up",
      [
        [
          { shared: false, groups: { "": 30 } },
          { shared: false, groups: { "": 31 } },
        ],
      ],
      61,
      [],
    ],
    [
      "a store that forgot takes nothing back",
      [[{ groups: { "": 90 } }], [{ groups: {} }], [{ groups: { "": 5 } }]],
      90,
      ["Threshold 80"],
    ],
    [
      "a threshold is crossed once",
      [[{ groups: { "": 79.999 } }], [{ groups: { "": 80 } }], [{ groups: { "": 85 } }]],
      85,
      ["Threshold 80"],
    ],
    ["two at once", [[{ groups: { "": 100 } }]], 100, ["Threshold 80", "Threshold 100"]],
    ["a refusal is the end", [[{ groups: { "": 97 }, refused: [""] }]], 97, ["Threshold 80", "Threshold 100"]],
    ["a new period starts over", [[{ groups: { "": 90 } }], [{ day: 1, groups: { "": 1 } }]], 1, []],
    [
      "proxies that are late on a period change nothing",
      [[{ day: 1, groups: { "": 1 } }], [{ day: 0, groups: { "": 90 } }]],
      1,
      [],
    ],
  ] as [string, Told[][], number | null, string[]][])
    it(name, () => {
      const standing = after(watch(), ...passes);
      assert.equal(standing === null ? null : standing.spentNanoUsd, spent === null ? null : spent * 1e9);
      assert.deepEqual(crossed(standing), crossings);
    });

  it("has one for each user where it says so", () => {
    const standing = after(
      watch({ per: "User" }),
      [{ groups: { alice: 100, bob: 10 } }],
      [{ groups: { alice: 100, bob: 85 } }],
    );
    assert.deepEqual(crossed(standing), ["Threshold 80 alice", "Threshold 100 alice", "Threshold 80 bob"]);
    assert.ok(standing);
    const status = statusFromState(watch({ per: "User" }), standing);
    assert.deepEqual([status.spent, status.remaining, status.groupCount], ["185.00", undefined, 2]);
    assert.equal(status.inCurrency, undefined);
    const currency = { code: "EUR", perUsdMillionths: 920_000 };
    const shown = { code: "EUR", spent: "170.20" };
    assert.deepEqual(statusFromState({ ...watch({ per: "User" }), currency }, standing).inCurrency, shown);
    const whole = { ...watch(), currency };
    assert.deepEqual(statusFromState(whole, { ...standing, spentNanoUsd: 40e9 }).inCurrency, {
      code: "EUR",
      spent: "36.80",
      remaining: "55.20",
    });
    assert.deepEqual(exceeded(watch({ per: "User" }), standing).status, "True");
    assert.match(
      exceeded(watch({ per: "User" }), standing).message,
      /used up by alice: calls are refused; it resets at 2027-03-02T00:00:00Z/,
    );
  });

  it("tells of a spike once, against whole periods before, and not before there are three", () => {
    const one = watch({ spike: { factor: 2, minimumNanoUsd: 1e9 }, thresholds: [100] });
    const days = (...spent: number[]): Told[][] => spent.map((usd, day) => [{ day, groups: { "": usd } }]);
    assert.deepEqual(crossed(after(one, ...days(10, 10, 50))), []);
    assert.deepEqual(crossed(after(one, ...days(10, 10, 10, 20))), []);
    assert.deepEqual(crossed(after(one, ...days(10, 10, 10, 21))), ["Spike 210"]);
    assert.deepEqual(crossed(after(one, ...days(10, 10, 10, 21), [{ day: 3, groups: { "": 40 } }])), ["Spike 210"]);
    assert.deepEqual(crossed(after(one, ...days(0.1, 0.1, 0.1, 0.9))), [], "below the minimum");
  });

  it("is read back from the status that it wrote, crossings, history and all", () => {
    const passes = fc.array(
      fc.record({
        day: fc.nat(4),
        groups: fc.dictionary(fc.constantFrom("alice", "bob", "carol"), fc.nat(150)),
        refused: fc.subarray(["alice", "bob"]),
      }),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(passes, (all) => {
        const one = watch({ per: "User", spike: { factor: 1.5, minimumNanoUsd: 0 } });
        const standing = after(one, ...all.map((pass) => [pass]));
        assert.ok(standing);
        const status = statusFromState(one, standing);
        const again = stateFromStatus(budgetStatus.parse(status));
        assert.ok(again);
        assert.deepEqual(statusFromState(one, again), status);
        // A new leader reports nothing twice.
        const next = advanceBudget(one, again, [told(all.at(-1) ?? {})], start);
        const same = advanceBudget(one, standing, [told(all.at(-1) ?? {})], start);
        assert.deepEqual(crossed(next), crossed(same));
      }),
    );
  });

  for (const [name, wrong] of [
    ["a beginning that is no time", { periodStart: "yesterday" }],
    ["an end that is no time", { resetsAt: "" }],
    ["money that is none", { spent: "much" }],
    [
      "a period before that cost nothing that can be",
      { history: [{ periodStart: "2027-03-01T00:00:00Z", spent: "-1" }] },
    ],
    [
      "a crossing at no time",
      { crossings: [{ event: "Threshold", percent: 80, subject: "", at: "now", spent: "1", told: [] }] },
    ],
    [
      "an incident of no period",
      {
        unresolved: [
          { periodStart: "", event: "Spike", percent: 1, subject: "", at: "2027-03-01T00:00:00Z", channels: [] },
        ],
      },
    ],
  ] as const)
    it(`is not read from a status with ${name}`, () => {
      const status = budgetStatus.parse({ periodStart: "2027-03-01T00:00:00.000Z", spent: "1.00", ...wrong });
      assert.equal(stateFromStatus(status), null);
    });

  it("writes money exactly", () => {
    fc.assert(fc.property(fc.nat(Number.MAX_SAFE_INTEGER), (nano) => assert.equal(decimalToNano(usdText(nano)), nano)));
    assert.equal(usdText(12_340_000_000), "12.34");
    assert.equal(usdText(1), "0.000000001");
  });

  it("is reported with the period before while calls of that can be under way", async () => {
    const budget = { ...watch().config, timeZone: "America/New_York" };
    const snapshot = { budgets: new Map([["a", [budget]]]) } as unknown as Snapshot;
    const counters = (_: string, periodStartMs: number) =>
      Promise.resolve([{ subject: "", spent: periodStartMs < start ? 7 : 2 }]);
    const parts = {
      ledger: { readBudget: counters },
      quotas: { refusals: { of: () => [] } },
      recounts: { read: () => Promise.resolve(new Map()) },
    } as unknown as Parameters<typeof readBudgets>[1];
    const midnight = Date.parse("2027-03-01T05:00:00Z");
    const beforeAt = async (nowMs: number, readings = true) =>
      (await readBudgets(snapshot, parts, nowMs, readings))[0]?.before;
    assert.deepEqual(await beforeAt(midnight), { periodStartMs: midnight - dayMs, spentNanoUsd: 7 });
    assert.deepEqual(await beforeAt(midnight + 3_600_000), undefined);
    assert.deepEqual(await beforeAt(midnight, false), undefined);
  });

  it("adds calls to the history that ended after their period", () => {
    const [first] = told({ groups: { "": 30 } }).budgets;
    const [second] = told({ day: 1, groups: { "": 1 } }).budgets;
    assert.ok(first && second);
    const late = (shared: boolean, spent: number): BudgetReadings => ({
      instance: "i",
      shared,
      budgets: [{ ...second, before: { periodStartMs: start, spentNanoUsd: spent * 1e9 } }],
    });
    const watched = watch();
    const closed = advanceBudget(watched, null, [{ instance: "i", shared: true, budgets: [first] }], start);
    const spentBefore = (...reports: BudgetReadings[]): string | undefined =>
      advanceBudget(watched, closed, reports, start + dayMs)?.history.at(-1)?.spent;
    assert.equal(spentBefore(late(true, 30.4)), "30.40");
    assert.equal(spentBefore(late(true, 30.4), late(true, 30.4)), "30.40");
    assert.equal(spentBefore(late(false, 20), late(false, 11)), "31.00");
    // A store that has forgotten the period takes nothing away.
    assert.equal(spentBefore(late(true, 0)), "30.00");
  });

  it("reads what was spent beyond every amount, and what a number holds exactly", () => {
    const spent = fc.double({ min: 0, max: 1e24, noNaN: true }).map(Math.round);
    fc.assert(
      fc.property(spent, (nano) => {
        const standing = after(watch({ enforcement: "Soft" }), [{ groups: { "": nano / 1e9 } }]);
        assert.ok(standing);
        const whole = { ...standing, spentNanoUsd: nano, groups: new Map([["", nano]]) };
        const status = budgetStatus.parse(statusFromState(watch({ enforcement: "Soft" }), whole));
        assert.equal(stateFromStatus(status)?.spentNanoUsd, nano);
        const reading = { ...(told({}).budgets[0] as BudgetReadings["budgets"][number]), spentNanoUsd: nano };
        assert.ok(budgetReading.safeParse(reading).success);
      }),
    );
  });

  it("renders seeds again only if they lag behind", () => {
    const one = watch({ per: "User" });
    const standing = after(one, [{ groups: { alice: 50, bob: 2 } }]);
    assert.ok(standing);
    const first = seedsOf(one, standing, []);
    assert.deepEqual(
      first.map(({ subject, spentNanoUsd }) => [subject, spentNanoUsd / 1e9]),
      [["alice", 50]],
    );
    const later = after(one, [{ groups: { alice: 54, bob: 6 } }]);
    assert.ok(later);
    const second = seedsOf(one, later, first);
    assert.deepEqual(
      second.map(({ subject, spentNanoUsd }) => [subject, spentNanoUsd / 1e9]),
      [
        ["alice", 50],
        ["bob", 6],
      ],
    );
    const nextDay = after(one, [{ day: 1, groups: { alice: 7 } }]);
    assert.ok(nextDay);
    assert.deepEqual(
      seedsOf(one, nextDay, second).map(({ spentNanoUsd }) => spentNanoUsd / 1e9),
      [7],
      "of another period they mean nothing",
    );
  });
});
