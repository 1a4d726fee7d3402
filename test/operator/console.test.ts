/** What the console's pages are made of: pure functions over what proxies and objects report. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Kind, kindNames } from "../../crds/kinds.ts";
import type { ConsoleFacts } from "../../operator/console/gather.ts";
import { percentile, sumTraffic, timeline } from "../../operator/console/statistics.ts";
import { everyone, limitedTo, type Viewer } from "../../operator/console/viewer.ts";
import { budgetView, countsUnder } from "../../operator/console/views/budgets.ts";
import { objectState } from "../../operator/console/views/conditions.ts";
import { costSpan } from "../../operator/console/views/cost.ts";
import { problemsNow } from "../../operator/console/views/problems.ts";
import { hiddenName, redacted } from "../../operator/console/views/requests.ts";
import { csvLine } from "../../operator/csv.ts";
import {
  type RecentCall,
  recentCall,
  trafficFigures,
  trafficSlotMs,
  trafficSlots,
} from "../../proxy/config/activity.ts";
import { budgetConfig } from "../../proxy/config/budget.ts";
import type { LedgerRow } from "../../proxy/config/ledger.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const nowMs = Date.parse("2027-03-10T12:00:00Z");

describe("percentiles of counted latencies", () => {
  const rows: readonly (readonly [name: string, buckets: number[], share: number, ms: number | null])[] = [
    ["none for no counts", [0, 0, 0], 0.5, null],
    ["half of the only bucket", [10], 0.5, 25],
    ["within the bucket that has it", [0, 10], 0.5, 75],
    ["the end of the last bucket", [10, 10], 1, 100],
    ["no more than the last bound for slower ones", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], 0.95, 60_000],
  ];
  for (const [name, buckets, share, ms] of rows) it(name, () => assert.equal(percentile(buckets, share), ms));
});

describe("traffic", () => {
  const slot = Math.floor(nowMs / trafficSlotMs);
  const counts = trafficFigures.map((name) => (name === "calls" ? 2 : name === "errors" ? 1 : 0));
  const series = { kind: "call" as const, namespace: "a", route: "a/r", target: "t", provider: "a/p" };

  it("is summed over the period and no further back", () => {
    const one = {
      ...series,
      slots: [
        [slot - 4, counts],
        [slot, counts],
      ] as [number, number[]][],
    };
    assert.equal(sumTraffic([one], nowMs, 60_000).calls, 2);
    assert.equal(sumTraffic([one, one], nowMs, hourMs).calls, 8);
  });

  it("has a point for every slot of the hour", () => {
    const points = timeline(
      [
        {
          ...series,
          slots: [
            [slot, counts],
            [slot - trafficSlots, counts],
          ],
        },
      ],
      nowMs,
    );
    assert.equal(points.length, trafficSlots);
    assert.deepEqual([points.at(-1)?.calls, points.at(-1)?.errors], [2, 1]);
    assert.equal(
      points.reduce((sum, { calls }) => sum + calls, 0),
      2,
    );
  });
});

const scope = { users: null, teams: null, roles: null, tags: null, models: null, providers: null, apiKeys: null };
const budget = (over: object = {}) =>
  budgetConfig.parse({
    ...{ id: "a/b", amountNanoUsd: 1_000, period: "Daily", timeZone: "UTC", namespace: "a", scope, per: null },
    enforcement: "Hard",
    ...over,
  });
const reading = (spentNanoUsd: number, over: object = {}) => ({
  ...{ id: "a/b", periodStartMs: nowMs - 12 * hourMs, resetsAtMs: nowMs + 12 * hourMs, spentNanoUsd, groupCount: 1 },
  groups: [{ subject: "", spentNanoUsd }],
  refused: [],
  ...over,
});

describe("a budget", () => {
  const rows: readonly (readonly [
    name: string,
    spent: number,
    state: string,
    forecast: number | null,
    empty: number | null,
  ])[] = [
    ["that nobody used", 0, "fine", null, null],
    ["at an even pace", 500, "fine", 1_000, null],
    ["below the pace", 100, "fine", 200, null],
    ["above the pace is empty before the period ends", 750, "ahead", 1_500, nowMs + 4 * hourMs],
    ["that is spent to the last bit", 1_000, "used up", 2_000, nowMs],
    ["that is overspent", 1_500, "used up", 3_000, nowMs - 4 * hourMs],
  ];
  for (const [name, spent, state, forecast, empty] of rows)
    it(name, () => {
      const view = budgetView(budget(), reading(spent), [], nowMs);
      assert.deepEqual([view.state, view.forecastNanoUsd, view.emptyAtMs], [state, forecast, empty]);
    });

  it("that refused a call is used up, though something is left", () =>
    assert.equal(budgetView(budget(), reading(990, { refused: ["x"] }), [], nowMs).state, "used up"));

  it("without a report is unknown, in its present period", () => {
    const view = budgetView(budget(), undefined, [], nowMs);
    assert.deepEqual([view.state, view.resetsAtMs], ["unknown", Date.parse("2027-03-11T00:00:00Z")]);
  });

  it("has no forecast at the start of its period, nor without an end", () => {
    const early = reading(5, { periodStartMs: nowMs - 60_000, resetsAtMs: nowMs + dayMs });
    assert.equal(budgetView(budget(), early, [], nowMs).forecastNanoUsd, null);
    assert.equal(budgetView(budget(), reading(5, { resetsAtMs: null }), [], nowMs).forecastNanoUsd, null);
  });

  it("with groups goes by the one who spent most", () => {
    const groups = [
      { subject: "ann", spentNanoUsd: 300 },
      { subject: "bob", spentNanoUsd: 900 },
    ];
    const view = budgetView(budget({ per: "User" }), reading(1_200, { groups, groupCount: 2 }), [], nowMs);
    assert.deepEqual([view.spentNanoUsd, view.groups[0]?.subject, view.state], [900, "bob", "ahead"]);
  });

  const row = {
    namespace: "a",
    user: "ann",
    team: "x",
    role: "developer",
    key: "a/k",
    route: "a/r",
    model: "m",
    provider: "a/p",
  };
  const covered: readonly (readonly [name: string, scope: object, counts: boolean])[] = [
    ["everything of its namespace", {}, true],
    ["a named user", { users: ["ann"] }, true],
    ["another user", { users: ["bob"] }, false],
    ["a named team and model", { teams: ["x"], models: ["m"] }, true],
    ["a named team and another model", { teams: ["x"], models: ["n"] }, false],
    ["another provider", { providers: ["a/q"] }, false],
    ["a tag that the key lacks", { tags: ["batch"] }, false],
    ["keys that it selects", { selected: true }, false],
  ];
  for (const [name, part, counts] of covered)
    it(`covers ${name}: ${counts}`, () =>
      assert.equal(countsUnder(budget({ scope: { ...scope, ...part } }), row as LedgerRow, undefined), counts));
});

describe("the state of an object", () => {
  const at = "2027-03-10T11:00:00Z";
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    reason,
    message: reason,
    lastTransitionTime: at,
  });
  const rows: readonly (readonly [name: string, conditions: object[], state: string])[] = [
    ["not reported on", [], "pending"],
    ["as specified", [condition("Accepted", "True", "Accepted"), condition("Programmed", "True", "Live")], "served"],
    ["being rolled out", [condition("Programmed", "False", "Pending")], "pending"],
    ["served in part", [condition("Programmed", "False", "Partial")], "degraded"],
    [
      "not served",
      [condition("Accepted", "False", "Invalid"), condition("Programmed", "False", "NotServed")],
      "failed",
    ],
    ["served in an earlier form", [condition("Programmed", "False", "LastGood")], "failed"],
    [
      "not reachable",
      [condition("Programmed", "True", "Live"), condition("Healthy", "False", "Unreachable")],
      "failed",
    ],
    ["with a breaker open", [condition("Healthy", "False", "BreakerOpen")], "degraded"],
    ["a canary that was promoted", [condition("CanaryProgressing", "False", "Promoted")], "served"],
    ["exceeded", [condition("Exceeded", "True", "Exceeded")], "degraded"],
  ];
  for (const [name, conditions, state] of rows)
    it(name, () => {
      const meta = { name: "o", namespace: "a", uid: "", generation: 1, createdAtMs: 0, labels: {} };
      assert.equal(objectState({ kind: "LLMProvider", meta, spec: {}, status: { conditions } }).state, state);
    });
});

const only = (namespace: string, kinds: readonly Kind[] = kindNames): Viewer => ({
  user: "u",
  everything: false,
  namespaces: [namespace],
  sees: (kind, name) => name === namespace && kinds.includes(kind),
});

describe("a call through what another namespace shares", () => {
  const call: RecentCall = recentCall.parse({
    ...{ namespace: "a", key: "a/k", user: "ann", route: "shared/policy", target: "secret-target", model: "gpt-4o" },
    ...{ provider: "shared/provider", upstreamModel: "internal-deployment", region: "eu", cause: "connect 10.0.0.1" },
    attempts: [
      { provider: "shared/provider", target: "secret-target", model: "internal", outcome: "ok", durationMs: 3 },
    ],
  });

  it("names nothing of it", () => {
    const text = JSON.stringify(redacted(call, only("a")));
    assert.doesNotMatch(text, /shared|secret-target|internal|10\.0\.0\.1/);
    assert.match(text, /gpt-4o/);
    assert.equal(redacted(call, only("a")).route, hiddenName);
  });

  it("is whole for who may list everything", () => assert.equal(redacted(call, everyone), call));

  it("hides a provider from who may list policies only", () => {
    const own = { ...call, route: "a/policy", provider: "a/provider", attempts: [] };
    const shown = redacted(own, only("a", ["RoutingPolicy", "ApiKey"]));
    assert.deepEqual([shown.route, shown.provider], ["a/policy", hiddenName]);
  });
});

it("a viewer limited to a namespace sees no more than before", () => {
  const limited = limitedTo(only("a", ["Budget"]), "a");
  assert.deepEqual(
    kindNames.map((kind) => limited.sees(kind, "a")),
    kindNames.map((kind) => kind === "Budget"),
  );
  assert.equal(limitedTo(only("a"), "b").sees("Budget", "b"), false);
  assert.equal(limitedTo(everyone, "a").everything, false);
});

describe("what is wrong now", () => {
  const facts: ConsoleFacts = { nowMs, config: null, revision: "r2", objects: [], proxies: [], activities: [] };
  const proxy = {
    revision: "r2",
    ready: true,
    draining: false,
    rejected: null,
    damagedState: undefined,
    keys: 0,
    inFlight: 0,
    providers: [],
  };
  const rows: readonly (readonly [name: string, proxies: ConsoleFacts["proxies"], messages: string[]])[] = [
    ["nothing, if every proxy is current", [{ name: "p", report: proxy }], []],
    ["no proxy", [], ["no proxy is ready"]],
    ["a proxy that does not answer", [{ name: "p", report: null }], ["does not answer on its status port"]],
    ["a proxy behind", [{ name: "p", report: { ...proxy, revision: "r1" } }], ["is at revision r1, not at r2"]],
    ["a proxy that drains is fine", [{ name: "p", report: { ...proxy, revision: "r1", draining: true } }], []],
    [
      "a proxy that rejects the config",
      [{ name: "p", report: { ...proxy, rejected: { reason: "bad digest", since: "2027-03-10T11:00:00Z" } } }],
      ["does not accept the config: bad digest"],
    ],
  ];
  for (const [name, proxies, messages] of rows)
    it(name, () =>
      assert.deepEqual(
        problemsNow({ ...facts, proxies }, [], everyone).map(({ message }) => message),
        messages,
      ),
    );
});

describe("the span of a report", () => {
  for (const [period, fromMs] of [
    ["24h", "2027-03-09T13:00:00Z"],
    ["7d", "2027-03-04T00:00:00Z"],
    ["30d", "2027-02-09T00:00:00Z"],
  ] as const)
    it(`of ${period} ends with the present ${period === "24h" ? "hour" : "day"}`, () =>
      assert.equal(costSpan(period, nowMs).fromMs, Date.parse(fromMs)));
});

it("a cell that a spreadsheet would run is text", () =>
  assert.equal(csvLine(["=1+1", "@x", "plain", 'a "b"', "c,d"]), `'=1+1,'@x,plain,"a ""b""","c,d"`));
