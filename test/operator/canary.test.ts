import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseProxyStatus } from "../../operator/cluster/proxy-status.ts";
import { transitions } from "../../operator/cluster/report.ts";
import type { CanaryPlan, CanaryReport, CanarySample, ReportedSide } from "../../operator/compile/canary.ts";
import { type Compiled, compile } from "../../operator/compile/compile.ts";
import { statusOf } from "../../operator/compile/status.ts";
import { type Verdict, withPatches } from "../../operator/compile/verdict.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { CanaryBook, progressIn, statusOfCanary } from "../../operator/loops/canaries/book.ts";
import { advanceCanary, type CanaryProgress, measure, merge } from "../../operator/loops/canaries/judge.ts";
import { canaryLatencyBoundsMs } from "../../proxy/config/canary.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import fc, { runs } from "../harness/property.ts";

const minute = 60_000;
const start = Date.parse("2026-11-20T12:00:00Z");
const none = { errorRate: null, latencyP95Ms: null, costIncrease: null };
const plan: CanaryPlan = {
  route: "a/r",
  id: "one",
  target: "new",
  percent: 5,
  forMs: 30 * minute,
  minimumRequests: 100,
  paused: false,
  succeedWhen: { errorRate: 0.01, latencyP95Ms: 3_000, costIncrease: 0.1 },
  rollBackWhen: { ...none, errorRate: 0.05, latencyP95Ms: 5_000 },
};

/** Answers in one time, at one price. */
function side(requests: number, failures: number, ms = 400, costEach = 1_000): ReportedSide {
  const ok = requests - failures;
  const latency = new Array<number>(canaryLatencyBoundsMs.length + 1).fill(0);
  const at = canaryLatencyBoundsMs.findIndex((bound) => ms <= bound);
  latency[at < 0 ? canaryLatencyBoundsMs.length : at] = ok;
  return { requests, failures, priced: ok, cost: ok * costEach, latency };
}
const sample = (proxy: string, canary: ReportedSide, baseline: ReportedSide = side(1_000, 0)): CanarySample => ({
  proxy,
  canary,
  baseline,
});
const end = start + 30 * minute;
const begun = advanceCanary(plan, null, [], start);

describe("the judge of canaries", () => {
  const rows: {
    name: string;
    canary: ReportedSide;
    baseline?: ReportedSide;
    atMs: number;
    plan?: Partial<CanaryPlan>;
    phase: CanaryProgress["phase"];
    verdict: RegExp;
  }[] = [
    {
      name: "watches until the time is over",
      canary: side(500, 0),
      atMs: end - 1,
      phase: "Progressing",
      verdict: /^new gets 5 % of the traffic: 500 requests/,
    },
    {
      name: "promotes when all criteria hold",
      canary: side(500, 2),
      atMs: end,
      phase: "Promoted",
      verdict: /^new gets all traffic: 500 requests, error rate 0\.4%, p95 of latency 395ms, cost increase 0%$/,
    },
    {
      name: "puts off the promotion while paused",
      plan: { paused: true },
      canary: side(500, 2),
      atMs: end,
      phase: "Progressing",
      verdict: /^new keeps 5 % of the traffic while paused: 500 requests/,
    },
    {
      name: "puts off a failure at the end while paused",
      plan: { paused: true },
      canary: side(500, 10),
      atMs: end,
      phase: "Progressing",
      verdict: /while paused/,
    },
    {
      name: "rolls back while paused too",
      plan: { paused: true },
      canary: side(100, 6),
      atMs: start + minute,
      phase: "RolledBack",
      verdict: /error rate 6% is above 5%/,
    },
    {
      name: "rolls back at once when too many fail",
      canary: side(100, 6),
      atMs: start + minute,
      phase: "RolledBack",
      verdict: /^new gets no more traffic: error rate 6% is above 5%/,
    },
    {
      name: "needs enough requests for that",
      canary: side(99, 99),
      atMs: start + minute,
      phase: "Progressing",
      verdict: /99 requests, error rate 100%$/,
    },
    {
      name: "rolls back at once when it is too slow",
      canary: side(100, 0, 9_000),
      atMs: start + minute,
      phase: "RolledBack",
      verdict: /p95 of latency \d+ms is above 5000ms/,
    },
    {
      name: "rolls back at the end when a criterion is missed, bearable as it is",
      canary: side(500, 10),
      atMs: end,
      phase: "RolledBack",
      verdict: /error rate 2% is not below 1%/,
    },
    {
      name: "rolls back at the end when it costs too much",
      canary: side(500, 0, 400, 1_200),
      atMs: end,
      phase: "RolledBack",
      verdict: /cost increase 20% is not below 10%/,
    },
    {
      name: "does not take an unknown cost for a good one",
      canary: { ...side(500, 0), priced: 0, cost: 0 },
      atMs: end,
      phase: "RolledBack",
      verdict: /cost increase is not known/,
    },
    {
      name: "checks only the bounds that are set",
      canary: { ...side(500, 0), priced: 0, cost: 0 },
      atMs: end,
      plan: { succeedWhen: { ...none, errorRate: 0.01 } },
      phase: "Promoted",
      verdict: /gets all traffic/,
    },
    {
      name: "waits for requests when the time is over",
      canary: side(20, 0),
      atMs: end + 60 * minute,
      phase: "Progressing",
      verdict: /its duration has passed, but a verdict needs 100$/,
    },
  ];
  for (const { name, canary, baseline, atMs, plan: more, phase, verdict } of rows) {
    it(name, () => {
      const found = advanceCanary({ ...plan, ...more }, begun, [sample("p1", canary, baseline)], atMs);
      assert.equal(found.phase, phase);
      assert.match(found.verdict, verdict);
      assert.equal(found.decidedAtMs, phase === "Progressing" ? null : atMs);
    });
  }

  it("keeps a verdict, whatever happens later", () => {
    const promoted = advanceCanary(plan, begun, [sample("p1", side(500, 0))], end);
    assert.equal(advanceCanary(plan, promoted, [sample("p1", side(5_000, 4_500))], end + minute), promoted);
  });

  it("starts again when the canary changes", () => {
    const promoted = advanceCanary(plan, begun, [sample("p1", side(500, 0))], end);
    const again = advanceCanary({ ...plan, id: "two" }, promoted, [], end + minute);
    assert.deepEqual([again.phase, again.startedAtMs, again.samples], ["Progressing", end + minute, []]);
  });

  it("sums over proxies, and hearing counts twice adds nothing", () => {
    const first = advanceCanary(plan, begun, [sample("p1", side(60, 1)), sample("p2", side(40, 0))], start + minute);
    const second = advanceCanary(
      plan,
      first,
      [sample("p1", side(60, 1)), sample("p2", side(50, 0))],
      start + 2 * minute,
    );
    assert.deepEqual([measure(first.samples).requests, measure(second.samples).requests], [100, 110]);
  });

  it("keeps what a proxy counted before it was restarted or went away", () => {
    const before = merge([], [sample("p1", side(60, 3))]);
    const restarted = merge(before, [sample("p1-again", side(10, 0))]);
    assert.equal(measure(restarted).requests, 70);
    assert.equal(measure(merge(restarted, [])).requests, 70);
    const backwards = merge(before, [sample("p1", side(10, 0))]);
    assert.equal(measure(backwards).requests, 70, "even where the run has kept its name");
    assert.equal(measure(merge(backwards, [sample("p1", side(12, 0))])).requests, 72);
  });

  it("forgets no request and remembers a bounded number of runs, however often proxies restart", () => {
    // Each step: one of two proxies is restarted or not, and has counted some more.
    const steps = fc.array(fc.record({ proxy: fc.constantFrom("p", "q"), restarted: fc.boolean(), more: fc.nat(50) }), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(steps, (taken) => {
        const runs = new Map([
          ["p", { run: 0, requests: 0 }],
          ["q", { run: 0, requests: 0 }],
        ]);
        let samples: CanarySample[] = [];
        let total = 0;
        for (const { proxy, restarted, more } of taken) {
          const before = runs.get(proxy) ?? { run: 0, requests: 0 };
          runs.set(
            proxy,
            restarted ? { run: before.run + 1, requests: more } : { run: before.run, requests: before.requests + more },
          );
          total += more;
          samples = merge(
            samples,
            [...runs].map(([name, { run, requests }]) => sample(`${name}-${run}`, side(requests, 0))),
          );
        }
        assert.ok(samples.length <= 64);
        assert.equal(measure(samples).requests, total);
      }),
      { numRuns: runs(50) },
    );
    const many = Array.from({ length: 200 }, (_, at) => at).reduce<CanarySample[]>(
      (known, at) => merge(known, [sample(`run-${at}`, side(3, 1))]),
      [],
    );
    assert.equal(measure(many).requests, 600);
    assert.ok(many.length <= 64);
  });
});

const object = (kind: WorldObject["kind"], name: string, spec: unknown, status: unknown = {}): WorldObject => ({
  kind,
  meta: { name, namespace: "a", uid: name, generation: 1, createdAtMs: 1, labels: {} },
  spec,
  status,
});
const provider = (name: string): WorldObject =>
  object("LLMProvider", name, {
    type: "OpenAICompatible",
    endpoint: "http://llm.example.com",
    models: [{ name: "m" }],
  });
const spec = (canary: Record<string, unknown>, targets = ["old", "new"]): unknown => ({
  match: { models: ["m"] },
  routing: { targets: targets.map((name) => ({ provider: { name } })), canary },
});
const canary = {
  target: "new",
  percent: 5,
  for: "30m",
  succeedWhen: { errorRate: "<1%" },
  rollBackWhen: { errorRate: ">5%" },
};

function compiled(policySpec: unknown, book: CanaryBook, status: unknown = {}): Compiled {
  const objects = [provider("old"), provider("new"), object("RoutingPolicy", "r", policySpec, status)];
  return compile(
    {
      world: { objects, namespaces: { a: {} }, secrets: {} },
      settings: { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] } as never,
      previous: null,
      nowMs: start,
      canaries: book.facts(objects),
    },
    capabilitiesByType,
  );
}

const verdictOf = (one: Compiled): Verdict =>
  one.verdicts.find((verdict) => verdict.kind === "RoutingPolicy") as Verdict;
const rendered = (one: Compiled): number | undefined => one.config.routes[0]?.routing.canary?.percent;
const report = (one: Compiled, counts: ReportedSide, proxy = "p1"): CanaryReport[] =>
  one.canaries.map(({ route, id }) => ({ route, id, sample: sample(proxy, counts) }));
const condition = (one: Compiled) =>
  verdictOf(one).conditions.find((condition) => condition.type === "CanaryProgressing");

/** Whether a canary ended; the verdicts of `one` then have what the book adds. */
function judge(book: CanaryBook, one: Compiled, reports: readonly CanaryReport[], atMs: number): boolean {
  const { decided, patches } = book.judge(one, reports, atMs);
  one.verdicts = withPatches(one.verdicts, patches);
  return decided;
}

describe("a canary in a policy", () => {
  it("renders its share, then all or nothing, as the verdict says", () => {
    for (const [counts, share, phase] of [
      [side(200, 0), 100, "Promoted"],
      [side(200, 100), 0, "RolledBack"],
    ] as const) {
      const book = new CanaryBook();
      const first = compiled(spec(canary), book);
      assert.equal(rendered(first), 5);
      assert.equal(judge(book, first, [], start), false);
      assert.deepEqual([condition(first)?.status, condition(first)?.reason], ["True", "Progressing"]);
      const second = compiled(spec(canary), book);
      assert.equal(judge(book, second, report(second, counts), end), true, "something else is to be rendered");
      assert.deepEqual([condition(second)?.status, condition(second)?.reason], ["False", phase]);
      const third = compiled(spec(canary), book);
      assert.equal(rendered(third), share);
      assert.equal(judge(book, third, report(third, counts), end + minute), false);
    }
  });

  it("goes on where it was after a restart of the operator, by its status alone", () => {
    const before = new CanaryBook();
    const first = compiled(spec(canary), before);
    judge(before, first, report(first, side(150, 0)), start);
    const status = statusOf(verdictOf(first), { revision: "abc", live: 1, total: 1 }, {}, start);
    const after = new CanaryBook();
    const second = compiled(spec(canary), after, status);
    judge(after, second, report(second, side(60, 0), "p2"), end);
    const { canary: told } = verdictOf(second).status as {
      canary: { phase: string; requests: number; startedAt: string };
    };
    assert.deepEqual([told.phase, told.requests, told.startedAt], ["Promoted", 210, "2026-11-20T12:00:00.000Z"]);
    const decided = statusOf(verdictOf(second), { revision: "abc", live: 1, total: 1 }, status, end);
    assert.equal(rendered(compiled(spec(canary), new CanaryBook(), decided)), 100);
  });

  it("is the same canary while it is paused, and is judged when it goes on", () => {
    const book = new CanaryBook();
    const first = compiled(spec(canary), book);
    judge(book, first, report(first, side(200, 0)), start);
    const paused = compiled(spec({ ...canary, paused: true }), book);
    assert.equal(judge(book, paused, report(paused, side(200, 0)), end), false);
    assert.equal(rendered(paused), 5);
    const resumed = compiled(spec({ ...canary, paused: false }), book);
    assert.equal(judge(book, resumed, report(resumed, side(200, 0)), end + minute), true);
    assert.equal(rendered(compiled(spec(canary), book)), 100);
  });

  it("starts again when its spec changes, and is forgotten when it is deleted", () => {
    const book = new CanaryBook();
    const first = compiled(spec(canary), book);
    judge(book, first, [], start);
    judge(book, first, report(first, side(200, 0)), end);
    const changed = compiled(spec({ ...canary, percent: 10 }), book);
    assert.equal(rendered(changed), 10);
    judge(book, changed, report(first, side(300, 0)), end + minute);
    assert.equal(
      (verdictOf(changed).status["canary"] as { requests: number }).requests,
      0,
      "counts of the earlier canary are not its own",
    );
    const gone = compiled({ match: { models: ["m"] }, routing: { targets: [{ provider: { name: "old" } }] } }, book);
    judge(book, gone, [], end + 2 * minute);
    assert.equal(verdictOf(gone).status["canary"], undefined);
    assert.equal(rendered(compiled(spec(canary), book)), 5);
  });

  it("is written when something turned, and else no more than twice a minute", () => {
    const book = new CanaryBook();
    const told = (counts: ReportedSide, atMs: number): number => {
      const now = compiled(spec(canary), book);
      judge(book, now, report(now, counts), atMs);
      return (verdictOf(now).status["canary"] as { requests: number }).requests;
    };
    assert.equal(told(side(10, 0), start), 10);
    assert.equal(told(side(20, 0), start + 10_000), 10);
    assert.equal(told(side(30, 0), start + 31_000), 30);
    assert.equal(told(side(200, 100), start + 32_000), 200, "a verdict can't wait");
  });

  it("survives a mistake elsewhere in its policy", () => {
    const book = new CanaryBook();
    const good = compiled(spec(canary), book);
    judge(book, good, report(good, side(50, 0)), start);
    const objects = [
      provider("old"),
      provider("new"),
      object("RoutingPolicy", "r", { ...(spec(canary) as object), typo: 1 }),
    ];
    const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] } as never;
    const input = {
      world: { objects, namespaces: { a: {} }, secrets: {} },
      settings,
      previous: good.config,
      nowMs: start,
      canaries: book.facts(objects),
    };
    const broken = compile(input, capabilitiesByType);
    judge(book, broken, [], start + minute);
    assert.equal((verdictOf(broken).status["canary"] as { requests: number }).requests, 50);
  });

  it("tells of its start, its promotion and its roll-back", () => {
    const at = (status: "True" | "False", reason: string) => ({
      type: "CanaryProgressing",
      status,
      reason,
      message: "",
      lastTransitionTime: "",
      observedGeneration: 1,
    });
    const started = at("True", "Progressing");
    assert.deepEqual(
      [
        transitions([], [started]),
        transitions([started], [at("False", "Promoted")]),
        transitions([started], [at("False", "RolledBack")]),
        transitions([started], [started]),
      ].map((news) => news.map(({ condition: { reason }, warning }) => [reason, warning])),
      [[["Progressing", false]], [["Promoted", false]], [["RolledBack", true]], []],
    );
  });

  for (const [name, broken, reason, message] of [
    [
      "that is no target",
      spec({ ...canary, target: "nobody" }),
      "TargetNotFound",
      /no target is named nobody; targets are old, new/,
    ],
    ["without other targets", spec(canary, ["new"]), "Invalid", /a canary needs other targets to compare with/],
    [
      "with a bound the wrong way round",
      spec({ ...canary, succeedWhen: { errorRate: ">1%" } }),
      "Invalid",
      /must begin with <, in quotes, such as "<1%"/,
    ],
  ] as const) {
    it(`one ${name} is refused`, () => {
      const verdict = verdictOf(compiled(broken, new CanaryBook()));
      assert.deepEqual(
        verdict.accepted.map((one) => one.reason),
        [reason],
      );
      assert.match(verdict.accepted[0]?.message ?? "", message);
    });
  }

  it("reads progress with care", () => {
    assert.equal(progressIn({}), null);
    assert.equal(progressIn({ canary: { phase: "Odd" } }), null);
    const progress = advanceCanary(plan, begun, [sample("p1", side(500, 0))], end);
    assert.deepEqual(progressIn({ canary: statusOfCanary(progress) }), progress);
  });

  it("reads what proxies count with care", () => {
    const sides = { canary: side(1, 0), baseline: side(2, 0) };
    const read = parseProxyStatus({ instance: "run", canaries: [{ route: "a/r", id: "one", ...sides }] });
    assert.deepEqual(read?.canaries, [{ route: "a/r", id: "one", sample: { proxy: "run", ...sides } }]);
    assert.deepEqual(
      parseProxyStatus({ canaries: [{ route: "a/r", id: "one", ...sides }] })?.canaries,
      [],
      "without a name of the run",
    );
    assert.deepEqual(
      parseProxyStatus({ instance: "run", canaries: [{ route: "a/r", id: "one", canary: { requests: -1 } }] })
        ?.canaries,
      [],
    );
  });
});
