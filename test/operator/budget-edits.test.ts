/**
 * A Budget under any sequence of edits: what proxies count, what the status says, what is crossed and whose incidents are
 * open agree with a recount of every call that was made. Real parts: the compiler, a proxy's quotas, its store and ledger,
 * and the operator's standing, which is read back from its own status at intervals.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type BudgetStatus, budgetStatus } from "../../crds/types/budget-status.ts";
import type { BudgetWatch } from "../../operator/compile/budgets.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { advanceBudget } from "../../operator/loops/budgets/advance.ts";
import { budgetIncidentKey, pastBudgetIncidentKey } from "../../operator/loops/budgets/alert.ts";
import { markBudgetNotified, resolvedIn } from "../../operator/loops/budgets/memory.ts";
import { usdText } from "../../operator/loops/budgets/money.ts";
import type { BudgetState } from "../../operator/loops/budgets/state.ts";
import { exceeded, expired, stateFromStatus, statusFromState } from "../../operator/loops/budgets/status.ts";
import type { Identity } from "../../proxy/call/identity.ts";
import { type CallRecord, newRecord } from "../../proxy/call/record.ts";
import type { Clock } from "../../proxy/clock.ts";
import { capabilitiesByType as capabilities } from "../../proxy/config/capabilities.generated.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { type PeriodKind, periodAt } from "../../proxy/config/periods.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { UsageLedger } from "../../proxy/fleet/ledger.ts";
import { MemoryStore } from "../../proxy/fleet/memory.ts";
import { Quotas } from "../../proxy/fleet/quotas.ts";
import { budgetCharges, isMoney, recounted } from "../../proxy/pipeline/budget-claims.ts";
import { readBudgets } from "../../proxy/pipeline/budget-report.ts";
import { Recounts } from "../../proxy/pipeline/recounts.ts";
import { covers } from "../../proxy/pipeline/scope.ts";
import type { Route, Snapshot } from "../../proxy/snapshot/snapshot.ts";
import fc, { runs } from "../harness/property.ts";

const usd = 1_000_000_000;
const hourMs = 3_600_000;
const createdMs = Date.parse("2027-03-10T09:00:00Z");
const pager = "pagerDuty-1";

interface Spec {
  amount: string;
  period: PeriodKind;
  timeZone: string;
  per?: "User" | "Model";
  enforcement: "Hard" | "Soft" | "Shadow";
  scope: { models?: string[]; users?: string[] };
  thresholds?: number[];
  expiresAt?: string;
  alerts?: object[];
}

interface Call {
  atMs: number;
  user: string;
  model: string;
  nanoUsd: number;
}

/** Time that can jump: hours in which nothing happens needn't be gone through tick by tick. */
class JumpingTime {
  #nowMs = createdMs;
  #timers: { atMs: number; then: () => void }[] = [];

  nowMs = (): number => this.#nowMs;

  clock = (): Clock => ({
    nowMs: this.nowMs,
    after: (ms, then) => {
      const timer = { atMs: this.#nowMs + ms, then };
      this.#timers.push(timer);
      return () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      };
    },
  });

  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Moves on, timer by timer. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.then();
    }
    this.#nowMs = endMs;
  }
}

/** An installation of one proxy, in virtual time. */
class Installation {
  readonly time = new JumpingTime();
  readonly store = new MemoryStore(this.time.nowMs);
  readonly quotas = new Quotas(this.store, "p", this.time.clock());
  readonly ledger = new UsageLedger(this.store, "p");
  readonly recounts = new Recounts(
    this.store,
    () => this.ledger.flush(),
    () => ({ keysOf: () => [] }) as unknown as Snapshot,
    this.time.nowMs,
  );
  readonly calls: Call[] = [];
  readonly open = new Set<string>();
  spec: Spec;
  config: RenderedConfig | null = null;
  watch!: BudgetWatch;
  standing: BudgetState | null = null;

  constructor(spec: Spec) {
    this.spec = spec;
    this.edit({});
  }

  edit(change: Partial<Spec>): ReturnType<typeof compile> {
    this.spec = { ...this.spec, ...change };
    const object: WorldObject = {
      kind: "Budget",
      meta: { name: "b", namespace: "a", uid: "b", generation: 1, createdAtMs: createdMs, labels: {} },
      spec: this.spec,
      status: {},
    };
    const compiled = compile(
      {
        world: { objects: [object], namespaces: { a: {} }, secrets: {} },
        settings: { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] },
        previous: this.config,
        nowMs: this.time.nowMs(),
      },
      capabilities,
    );
    this.config = compiled.config;
    this.watch = compiled.watches[0] ?? this.watch;
    return compiled;
  }

  /** What became of a call: "ok", or the code of its refusal. */
  async call(user: string, model: string, nanoUsd: number): Promise<string> {
    const key = { id: `a/${user}`, user, team: null, role: "developer", tags: [] } as unknown as KeyRecord;
    const identity = { anonymous: false, namespace: "a", key } as Identity;
    const subject = { route: { config: { id: "a/r" } } as Route, identity, model, targets: [] };
    const budgets = (this.config?.budgets ?? []).filter((budget) => covers(budget, subject, this.time.nowMs()));
    const context = { quotas: this.quotas, recounts: this.recounts, nowMs: this.time.nowMs, random: () => 0 };
    await recounted(budgets, context);
    const money = budgetCharges(
      { ...subject, budgets, session: () => "", worst: () => ({ nanoUsd, cap: null }) },
      context,
    );
    if ("code" in money) return money.code;
    const got = await this.quotas.reserve(money.charges);
    if ("refused" in got) {
      const due = money.charges.find(({ counter }) => counter === got.refused);
      return due?.refuse(got).code ?? "";
    }
    const usage = { prompt: 1, cachedPrompt: 0, cacheWrite: 0, completion: 1, reasoning: 0, estimated: false };
    const record: CallRecord = {
      ...newRecord("r", "POST", this.time.nowMs()),
      ...{
        route: "a/r",
        key: `a/${user}`,
        user,
        model,
        provider: "a/p",
        role: "developer",
        usage,
        costNanoUsd: nanoUsd,
      },
    };
    got.settle(money.charges.map((due) => due.actual(record)));
    this.ledger.add(record);
    this.calls.push({ atMs: this.time.nowMs(), user, model, nanoUsd });
    return "ok";
  }

  /** The operator's look, and what an alert channel with incidents makes of it. */
  async look(): Promise<BudgetState | null> {
    await this.ledger.flush();
    // What is spent reaches the store within a second.
    this.time.advance(1_500);
    const budgets = new Map([["a", this.config?.budgets.filter(isMoney) ?? []]]);
    const parts = { ledger: this.store, quotas: this.quotas, recounts: this.recounts };
    const readings = await readBudgets({ budgets } as unknown as Snapshot, parts, this.time.nowMs(), true);
    const reports = [{ instance: "p", shared: false, budgets: readings }];
    this.standing = advanceBudget(this.watch, this.standing, reports, this.time.nowMs());
    this.#tell();
    return this.standing;
  }

  #tell(): void {
    for (const incident of this.standing?.unresolved ?? []) {
      this.open.delete(pastBudgetIncidentKey("a/b", incident));
      this.standing = resolvedIn(this.standing as BudgetState, incident, pager);
    }
    for (const crossing of this.standing?.crossings ?? []) {
      if (crossing.told.length > 0) continue;
      const { periodStartMs } = this.standing as BudgetState;
      const key = budgetIncidentKey("a/b", periodStartMs, crossing);
      assert.ok(!this.open.has(key), `${key} was reported before`);
      this.open.add(key);
      this.standing = markBudgetNotified(
        this.standing as BudgetState,
        { crossing, periodStartMs },
        pager,
        "sent",
        this.time.nowMs(),
      );
    }
  }

  /** The operator starts again, and has nothing but the status. */
  restart(): void {
    if (this.standing === null) return;
    const status: BudgetStatus = budgetStatus.parse(statusFromState(this.watch, this.standing));
    this.standing = stateFromStatus(status);
    assert.ok(this.standing);
  }

  /** What each subject has spent in the period that is now, counted call by call. */
  recount(): Map<string, number> {
    const { period, timeZone, scope, per } = this.spec;
    const { startMs } = periodAt(period, timeZone, this.time.nowMs());
    const sums = new Map<string, number>();
    for (const { atMs, user, model, nanoUsd } of this.calls) {
      const fits = (scope.models?.includes(model) ?? true) && (scope.users?.includes(user) ?? true);
      if (atMs < startMs || !fits) continue;
      const subject = per === undefined ? "" : per === "User" ? user : model;
      sums.set(subject, (sums.get(subject) ?? 0) + nanoUsd);
    }
    return sums;
  }
}

const plain: Spec = { amount: "10", period: "Daily", timeZone: "UTC", enforcement: "Soft", scope: {} };
const crossings = (standing: BudgetState | null): string[] =>
  (standing?.crossings ?? []).map(({ percent, subject }) => `${percent} ${subject}`.trim()).sort();

describe("a changed Budget", () => {
  const edits = fc.record(
    {
      amount: fc.constantFrom("5", "10", "20", "100"),
      period: fc.constantFrom<PeriodKind[]>("Hourly", "Daily", "Weekly", "Monthly", "Total"),
      timeZone: fc.constantFrom("UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo"),
      scope: fc.constantFrom({}, { models: ["large"] }, { users: ["alice", "bob"] }),
      per: fc.constantFrom<(Spec["per"] | undefined)[]>(undefined, "User", "Model"),
      enforcement: fc.constantFrom<Spec["enforcement"][]>("Soft", "Shadow"),
    },
    { requiredKeys: [] },
  );
  const steps = fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant("call" as const),
          user: fc.constantFrom("alice", "bob", "carol"),
          model: fc.constantFrom("large", "small"),
          cents: fc.integer({ min: 1, max: 600 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("edit" as const), edit: edits }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant("pass" as const), hours: fc.integer({ min: 1, max: 60 }) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
    ),
    { minLength: 3, maxLength: 25 },
  );

  it("agrees with a recount after any sequence of edits: figures, crossings, incidents and history", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const installation = new Installation(plain);
        await installation.look();
        for (const step of sequence) {
          if (step.kind === "call")
            assert.equal(await installation.call(step.user, step.model, step.cents * 10_000_000), "ok");
          if (step.kind === "edit") installation.edit(step.edit as Partial<Spec>);
          if (step.kind === "pass") installation.time.jump(step.hours * hourMs);
          if (step.kind === "restart") installation.restart();
          const standing = await installation.look();
          assert.ok(standing);
          const { spec, watch, time } = installation;
          const expected = installation.recount();
          const spent = [...expected.values()].reduce((sum, nano) => sum + nano, 0);
          assert.equal(standing.periodStartMs, periodAt(spec.period, spec.timeZone, time.nowMs()).startMs);
          assert.equal(standing.spentNanoUsd, spent);
          assert.deepEqual([...standing.groups].filter(([, nano]) => nano > 0).sort(), [...expected].sort());
          const crossed = [...expected].flatMap(([subject, nano]) =>
            [80, 100]
              .filter((percent) => nano * 100 >= percent * watch.config.amountNanoUsd)
              .map((percent) => `${percent} ${subject}`.trim()),
          );
          assert.deepEqual(crossings(standing), crossed.sort());
          const open = standing.crossings.map((crossing) => budgetIncidentKey("a/b", standing.periodStartMs, crossing));
          assert.deepEqual([...installation.open].sort(), open.sort(), "incidents that are open");
          assert.equal(
            exceeded(watch, standing).status,
            crossed.some((text) => text.startsWith("100")) ? "True" : "False",
          );
          for (const { periodStart } of standing.history) {
            const startMs = Date.parse(periodStart);
            assert.equal(periodAt(spec.period, spec.timeZone, startMs).startMs, startMs, "a period of another kind");
          }
        }
      }),
      { numRuns: runs(150) },
    );
  });

  const rows: { name: string; before: Partial<Spec>; spend: number; change: Partial<Spec>; spent: string }[] = [
    { name: "Daily to Monthly", before: { period: "Daily" }, spend: 1, change: { period: "Monthly" }, spent: "1.00" },
    { name: "Daily to Total", before: { period: "Daily" }, spend: 1, change: { period: "Total" }, spent: "1.00" },
    { name: "Monthly to Hourly", before: { period: "Monthly" }, spend: 1, change: { period: "Hourly" }, spent: "1.00" },
    { name: "a zone further east", before: {}, spend: 1, change: { timeZone: "Asia/Tokyo" }, spent: "1.00" },
    {
      name: "a zone further west",
      before: { timeZone: "Asia/Tokyo" },
      spend: 1,
      change: { timeZone: "America/New_York" },
      spent: "1.00",
    },
    { name: "a narrower scope", before: {}, spend: 1, change: { scope: { models: ["small"] } }, spent: "0.00" },
    { name: "one for each user", before: {}, spend: 1, change: { per: "User" }, spent: "1.00" },
  ];
  for (const { name, before, spend, change, spent } of rows)
    it(`keeps what was spent: ${name}`, async () => {
      const installation = new Installation({ ...plain, ...before });
      await installation.call("alice", "large", spend * usd);
      await installation.look();
      installation.edit(change);
      const standing = await installation.look();
      assert.equal(usdText(standing?.spentNanoUsd ?? -1), spent);
      await installation.call("alice", "small", usd);
      assert.equal(usdText((await installation.look())?.spentNanoUsd ?? -1), usdText(Number(spent) * usd + usd));
    });

  it("refuses by what the ledger says, and not by a sum under the terms before", async () => {
    const installation = new Installation({ ...plain, amount: "2", enforcement: "Hard" });
    assert.equal(await installation.call("alice", "large", 1.5 * usd), "ok");
    installation.edit({ period: "Monthly", amount: "4" });
    assert.equal(await installation.call("alice", "large", 3 * usd), "budget_exceeded");
    assert.equal(await installation.call("alice", "large", 2 * usd), "ok");
    const standing = await installation.look();
    assert.equal(standing?.spentNanoUsd, 3.5 * usd);
    assert.deepEqual(crossings(standing), ["80"]);
  });

  it("alerts again on a threshold that a raised amount has reset, and ends what is over", async () => {
    const installation = new Installation({ ...plain, amount: "10", enforcement: "Hard" });
    await installation.call("alice", "large", 9.5 * usd);
    assert.equal(await installation.call("alice", "large", usd), "budget_exceeded");
    const full = await installation.look();
    assert.deepEqual(crossings(full), ["100", "80"]);
    assert.equal(exceeded(installation.watch, full as BudgetState).status, "True");
    installation.edit({ amount: "1000" });
    const raised = await installation.look();
    assert.deepEqual(crossings(raised), []);
    assert.deepEqual([...installation.open], []);
    const verdict = exceeded(installation.watch, raised as BudgetState);
    assert.deepEqual([verdict.status, verdict.reason], ["False", "WithinAmount"]);
    installation.restart();
    await installation.call("alice", "large", 850 * usd);
    assert.deepEqual(crossings(await installation.look()), ["80"]);
  });

  it("ends with its expiry, and says so", async () => {
    const expiresAt = new Date(createdMs + hourMs).toISOString();
    const installation = new Installation({ ...plain, expiresAt });
    await installation.call("alice", "large", 20 * usd);
    assert.equal((await installation.look())?.crossings.length, 2);
    assert.equal(expired(installation.watch, installation.time.nowMs())?.status, "False");
    installation.time.jump(hourMs);
    const standing = await installation.look();
    assert.deepEqual([crossings(standing), [...installation.open]], [[], []]);
    const now = installation.time.nowMs();
    assert.equal(exceeded(installation.watch, standing as BudgetState, now).reason, "Expired");
    assert.equal(expired(installation.watch, now)?.status, "True");
  });
});

describe("a mistake in one part of a Budget", () => {
  const broken: { name: string; change: Partial<Spec> & Record<string, unknown>; inForce: boolean }[] = [
    {
      name: "an unknown placeholder in an alert's text",
      change: { alerts: [{ email: { to: ["a@b.example"] }, message: "{{unknown}}" }] },
      inForce: true,
    },
    {
      name: "an alert's Secret that is missing",
      change: { alerts: [{ slack: { secretRef: { name: "none", key: "k" } } }] },
      inForce: true,
    },
    { name: "an unknown time zone", change: { timeZone: "Asia/Nowhere" }, inForce: true },
    {
      name: "a limit's window that is too long",
      change: { limits: [{ requests: 1, window: "9000h" }] },
      inForce: true,
    },
    { name: "a field that doesn't fit at all", change: { amount: "much" }, inForce: true },
  ];
  for (const { name, change } of broken)
    it(`leaves the rest in force: ${name}`, async () => {
      const installation = new Installation({ ...plain, amount: "2", enforcement: "Hard" });
      assert.equal(await installation.call("alice", "large", 1.5 * usd), "ok");
      const { others } = installation.edit(change);
      assert.ok([...(others[0]?.accepted ?? []), ...(others[0]?.resolvedRefs ?? [])].length > 0);
      assert.equal(await installation.call("alice", "large", usd), "budget_exceeded");
      assert.equal((await installation.look())?.spentNanoUsd, 1.5 * usd);
    });

  it("is refused at once if a text has an unknown placeholder", () => {
    const { others, config } = new Installation({ ...plain }).edit({
      alerts: [{ email: { to: ["a@b.example"] }, message: "at {{percent}} of {{amuont}}" }],
    });
    assert.match(others[0]?.accepted[0]?.message ?? "", /is unknown; known placeholders/);
    assert.equal(config.budgets.length, 1);
  });
});
