/** What a proxy counts for alerts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CallRecord, newRecord } from "../../../proxy/call/record.ts";
import { type WatchConfig, type WatchReading, watchReading } from "../../../proxy/config/watch.ts";
import type { Permit, PlanRequest } from "../../../proxy/routing/routing.ts";
import { TargetRouting } from "../../../proxy/routing/target-routing.ts";
import { WatchTally } from "../../../proxy/routing/watch.ts";
import type { ResolvedTarget } from "../../../proxy/snapshot/resolved-target.ts";
import type { Snapshot } from "../../../proxy/snapshot/snapshot.ts";

const minute = 60_000;
const config: WatchConfig = { windowMs: 12 * minute, latencyMs: 1_000, firstTokenMs: 200 };
const snapshot = (provider?: WatchConfig, route?: WatchConfig): Snapshot =>
  ({
    providers: new Map([
      ["a/one", { account: { config: { id: "a/one", ...(provider === undefined ? {} : { watch: provider }) } } }],
    ]),
    paths: new Map([["", { routes: [{ config: { id: "a/r", ...(route === undefined ? {} : { watch: route }) } }] }]]),
  }) as unknown as Snapshot;

type Attempt = [provider: string, outcome: string, durationMs?: number];
const call = (attempts: Attempt[], more: Partial<CallRecord> = {}): CallRecord => ({
  ...newRecord("id", "POST", 0),
  route: "a/r",
  durationMs: 10,
  attempts: attempts.map(([provider, outcome, durationMs = 10]) => ({
    provider: `a/${provider}`,
    target: provider,
    model: "m",
    outcome,
    durationMs,
  })),
  ...more,
});

function tally(provider: WatchConfig | undefined, route: WatchConfig | undefined) {
  const clock = { now: 1_000 * minute };
  const made = new WatchTally(() => clock.now);
  made.apply(snapshot(provider, route));
  const counts = (kind: WatchReading["kind"]): Partial<WatchReading["counts"]> => {
    const all = made.readings().find((reading) => reading.kind === kind)?.counts;
    return Object.fromEntries(Object.entries(all ?? {}).filter(([, count]) => count > 0));
  };
  return { clock, tally: made, counts };
}

describe("of a provider, a proxy counts", () => {
  const rows: [name: string, calls: CallRecord[], counts: Partial<WatchReading["counts"]>][] = [
    [
      "an answer, and its time",
      [call([["one", "ok", 1_000]]), call([["one", "ok", 1_001]])],
      { calls: 2, timed: 2, slow: 1 },
    ],
    [
      "what failed, attempt by attempt",
      [
        call([
          ["one", "ServerError"],
          ["one", "Timeout"],
          ["two", "ok"],
        ]),
      ],
      { calls: 2, errors: 2 },
    ],
    [
      "nothing of what the caller did wrong",
      [call([["one", "BadRequest"]], { code: "upstream_rejected_request" })],
      {},
    ],
    ["nothing of who hung up", [call([["one", "ok"]], { abandoned: true })], {}],
    ["nothing of another provider", [call([["two", "ServerError"]])], {}],
    [
      "when streams began",
      [
        call([["one", "ok"]], { stream: true, firstByteMs: 200 }),
        call([["one", "ok"]], { stream: true, firstByteMs: 201 }),
      ],
      { calls: 2, timed: 2, firstTokens: 2, late: 1 },
    ],
    [
      "no first token of an attempt before the last",
      [
        call(
          [
            ["one", "Timeout"],
            ["two", "ok"],
          ],
          { stream: true, firstByteMs: 500 },
        ),
      ],
      { calls: 1, errors: 1 },
    ],
  ];
  for (const [name, calls, expected] of rows)
    it(name, () => {
      const { tally: counting, counts } = tally(config, undefined);
      for (const call of calls) counting.record(call);
      assert.deepEqual(counts("LLMProvider"), expected);
    });
});

describe("of a policy, a proxy counts", () => {
  const rows: [name: string, call: CallRecord, counts: Partial<WatchReading["counts"]>][] = [
    ["a call that was answered", call([["one", "ok"]], { durationMs: 1_001 }), { calls: 1, timed: 1, slow: 1 }],
    [
      "one that failed by the providers' fault",
      call([["one", "ServerError"]], { code: "upstream_error" }),
      { calls: 1, errors: 1 },
    ],
    ["one for which there was nobody", call([], { code: "no_usable_target" }), { calls: 1, errors: 1 }],
    ["nothing of what the caller did wrong", call([["one", "BadRequest"]], { code: "upstream_rejected_request" }), {}],
    ["nothing of what the gateway refused", call([], { code: "budget_exceeded" }), {}],
    ["nothing of the cache's answers", call([], { cache: "hit" }), {}],
    ["nothing of who hung up", call([["one", "ok"]], { abandoned: true, code: "client_closed_request" }), {}],
    [
      "one that went on, and its first token from the beginning",
      call(
        [
          ["one", "Timeout", 150],
          ["two", "ok"],
        ],
        { stream: true, firstByteMs: 51 },
      ),
      { calls: 1, moved: 1, timed: 1, firstTokens: 1, late: 1 },
    ],
    [
      "no move where a second attempt at the same provider helps",
      call([
        ["one", "Timeout"],
        ["one", "ok"],
      ]),
      { calls: 1, timed: 1 },
    ],
  ];
  for (const [name, one, expected] of rows)
    it(name, () => {
      const { tally: counting, counts } = tally(undefined, config);
      counting.record(one);
      assert.deepEqual(counts("RoutingPolicy"), expected);
    });
});

describe("a window", () => {
  it("forgets what is older than it, step by step", () => {
    const { clock, tally: counting, counts } = tally(config, undefined);
    for (let step = 0; step < 12; step++) {
      counting.record(call([["one", "ok"]]));
      clock.now += minute;
    }
    assert.equal(counts("LLMProvider").calls, 11, "the first minute is over");
    clock.now += 5 * minute;
    assert.equal(counts("LLMProvider").calls, 6);
    clock.now += 1_000 * minute;
    assert.deepEqual(counts("LLMProvider"), {});
    counting.record(call([["one", "ok"]]));
    clock.now -= 500 * minute;
    counting.record(call([["one", "ok"]]));
    assert.equal(counts("LLMProvider").calls, 2, "a clock that is set back loses nothing");
  });

  it("stays while what is to be counted does", () => {
    const { tally: counting, counts } = tally(config, config);
    counting.record(call([["one", "ok"]]));
    counting.apply(snapshot({ ...config }, { ...config, latencyMs: 2_000 }));
    assert.deepEqual([counts("LLMProvider").calls, counts("RoutingPolicy").calls], [1, undefined]);
    counting.apply(snapshot());
    assert.deepEqual(counting.readings(), []);
    counting.record(call([["one", "ok"]]));
    counting.opened("a/one");
    counting.moved("a/r");
    assert.deepEqual(counting.readings(), []);
  });

  it("is reported in the form that the operator reads", () => {
    const { tally: counting } = tally(config, config);
    for (const reading of counting.readings())
      assert.deepEqual(watchReading.parse(JSON.parse(JSON.stringify(reading))), reading);
  });
});

describe("routing tells", () => {
  const circuitBreaker = { failureThreshold: 2, successThreshold: 1, openForMs: 1_000, halfOpenRequests: 1 };
  const quota = { requestsPerMinute: null, tokensPerMinute: null };
  const target = (name: string, priority: number): ResolvedTarget =>
    ({
      config: { name, provider: `a/${name}`, model: null, priority, weight: 1 },
      entry: { account: { config: { id: `a/${name}`, circuitBreaker, quota } } },
      model: { name: "m", config: { price: null, contextTokens: null, quota } },
    }) as unknown as ResolvedTarget;
  const [one, two] = [target("one", 1), target("two", 2)];
  const request = {
    route: {
      config: {
        id: "a/r",
        routing: { strategy: "Priority", rules: [], affinity: null, slowAfterMs: null, canary: null },
      },
    },
    targets: [one, two],
    identity: { anonymous: false, namespace: "a", key: { id: "a/k", user: "u", tags: [] } },
    model: "m",
    header: () => null,
    preferred: null,
    batchSize: 1,
    promptTokens: () => 1,
    outputTokens: () => 1,
  } as unknown as PlanRequest;

  it("that a breaker opened, and of each call that another provider gets for it", () => {
    const told: string[] = [];
    const clock = { now: 0 };
    const routing = new TargetRouting(
      { nowMs: () => clock.now, random: () => 0 },
      {
        watch: {
          opened: (provider) => void told.push(`opened ${provider}`),
          moved: (route) => void told.push(`moved ${route}`),
        },
      },
    );
    const fail = (): boolean =>
      (routing.acquire(one, 1) as Permit).failed({ class: "ServerError", retryAfterMs: null });
    routing.plan(request);
    fail();
    routing.plan(request);
    assert.deepEqual(told, []);
    fail();
    assert.equal(routing.plan(request)[0], two);
    assert.deepEqual(told, ["opened a/one", "moved a/r"]);
    clock.now = 1_000;
    assert.equal(routing.plan(request)[0], one, "it is tried again");
    fail();
    assert.deepEqual(told, ["opened a/one", "moved a/r", "opened a/one"]);
  });

  it("nothing where the provider stays, whichever of its models", () => {
    const told: string[] = [];
    const same = { ...two, config: { ...two.config, provider: "a/one" } };
    const routing = new TargetRouting(
      { nowMs: () => 0, random: () => 0 },
      {
        checked: (provider) => (provider === "a/one" ? ({ healthy: false, reason: "status 503" } as never) : null),
        watch: { opened: () => undefined, moved: (route) => void told.push(route) },
      },
    );
    routing.plan({ ...request, targets: [one, same] });
    assert.deepEqual(told, []);
    routing.plan(request);
    assert.deepEqual(told, ["a/r"]);
  });
});
