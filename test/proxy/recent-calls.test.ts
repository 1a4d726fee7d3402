/** What a proxy keeps of calls for the console: the latest ones, and counts of the last hour. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CallRecord, newRecord } from "../../proxy/call/record.ts";
import { activity, trafficFigures, trafficSlotMs, trafficSlots } from "../../proxy/config/activity.ts";
import { RecentCalls } from "../../proxy/telemetry/recent-calls.ts";
import { TrafficTally } from "../../proxy/telemetry/traffic.ts";

const call = (over: Partial<CallRecord> = {}): CallRecord => ({
  ...newRecord("id", "POST", 1_000),
  key: "team-a/alice",
  route: "team-a/chat",
  target: "one",
  provider: "team-a/one",
  durationMs: 70,
  ...over,
});

describe("recent calls", () => {
  it("are the last 500, newest first", () => {
    const recent = new RecentCalls();
    for (let at = 0; at < 1_203; at++) recent.record(call({ requestId: `call-${at}` }));
    const ids = recent.read().map(({ requestId }) => requestId);
    assert.equal(ids.length, 500);
    assert.deepEqual([ids[0], ids[1], ids.at(-1)], ["call-1202", "call-1201", "call-703"]);
    assert.deepEqual(
      recent.read(2).map(({ requestId }) => requestId),
      ["call-1202", "call-1201"],
    );
  });

  it("hold no body, address or control character", () => {
    const recent = new RecentCalls();
    const bodies = { request: "a private question", response: "a private answer" };
    recent.record(call({ payloads: bodies, audited: bodies, address: "203.0.113.9", user: "eve\nlevel=error" }));
    const text = JSON.stringify(recent.read());
    assert.doesNotMatch(text, /private|203\.0\.113\.9|\\n/);
    assert.match(text, /eve level=error/);
  });

  it("leave out what the policy keeps out of the log, but never a refused key", () => {
    const recent = new RecentCalls();
    recent.record(call({ statistics: false }));
    recent.record(call({ statistics: false, status: 401, code: "invalid_api_key", requestId: "refused" }));
    assert.deepEqual(
      recent.read().map(({ requestId, blame }) => [requestId, blame]),
      [["refused", "caller"]],
    );
  });

  it("fit the contract", () => {
    const recent = new RecentCalls();
    const attempts = [{ provider: "team-a/one", target: "one", model: "m", outcome: "ok", durationMs: 69.6 }];
    recent.record(call({ attempts, masked: { Email: 2 }, costNanoUsd: 5 }));
    const calls = recent.read();
    assert.deepEqual(activity.parse({ instance: "i", startedMs: 0, calls, series: [], marks: [] }).calls, calls);
  });
});

describe("traffic of the last hour", () => {
  const hourMs = trafficSlotMs * trafficSlots;
  const sums = (tally: TrafficTally, kind: "call" | "attempt"): Record<string, number> => {
    const sum: Record<string, number> = {};
    for (const series of tally.read().series.filter((sery) => sery.kind === kind))
      for (const [, counts] of series.slots)
        for (const [index, name] of trafficFigures.entries()) sum[name] = (sum[name] ?? 0) + (counts[index] ?? 0);
    return sum;
  };

  it("tells answered, refused and failed calls apart", () => {
    const tally = new TrafficTally(() => 10_000_000);
    tally.record(call({ costNanoUsd: 7, cache: "miss" }));
    tally.record(call({ cache: "hit", savedNanoUsd: 7 }));
    tally.record(call({ code: "budget_exceeded", status: 429 }));
    tally.record(call({ code: "no_usable_target", status: 503 }));
    tally.record(call({ broken: true }));
    const { calls, errors, refused, costNanoUsd, savedNanoUsd, cacheHits } = sums(tally, "call");
    assert.deepEqual([calls, errors, refused, costNanoUsd, savedNanoUsd, cacheHits], [5, 2, 1, 7, 7, 1]);
  });

  it("forgets what is older than an hour, slot by slot", () => {
    let nowMs = 10_000_000;
    const tally = new TrafficTally(() => nowMs);
    tally.record(call());
    nowMs += trafficSlotMs;
    tally.record(call());
    nowMs += hourMs - trafficSlotMs;
    assert.equal(sums(tally, "call")["calls"], 1);
    nowMs += trafficSlotMs;
    assert.deepEqual(tally.read().series, []);
  });

  it("counts attempts by provider, without those that say nothing about it", () => {
    const tally = new TrafficTally(() => 10_000_000);
    const attempt = { provider: "p/one", target: "t", model: "m", durationMs: 5 };
    tally.record(
      call({
        attempts: [
          { ...attempt, outcome: "Timeout" },
          { ...attempt, outcome: "ServerError", uncounted: true },
          { ...attempt, outcome: "ok" },
        ],
      }),
    );
    const { calls, errors } = sums(tally, "attempt");
    assert.deepEqual([calls, errors], [3, 1]);
  });

  it("stays bounded, and counts every call all the same", () => {
    let nowMs = 10_000_000;
    const tally = new TrafficTally(() => nowMs);
    for (let at = 0; at < 3_000; at++) tally.record(call({ route: `team-a/route-${at}` }));
    assert.equal(sums(tally, "call")["calls"], 3_000);
    assert.ok(tally.read().series.length <= 514, String(tally.read().series.length));
    nowMs += 2 * hourMs;
    tally.record(call({ route: "team-a/late" }));
    assert.deepEqual(
      tally.read().series.map(({ route }) => route),
      ["team-a/late"],
    );
  });

  it("counts masked values and failures by namespace", () => {
    const tally = new TrafficTally(() => 10_000_000);
    tally.record(call({ masked: { Email: 2 } }));
    tally.record(call({ masked: { Email: 1 }, code: "prompt_denied", status: 400 }));
    tally.record(call({ key: "", route: "", code: "invalid_api_key", status: 401 }));
    assert.deepEqual(tally.read().marks, [
      { namespace: "team-a", masked: { Email: 3 }, failures: { prompt_denied: 1 } },
      { namespace: "", masked: {}, failures: { invalid_api_key: 1 } },
    ]);
  });
});
