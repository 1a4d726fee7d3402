import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallRecord } from "../../../proxy/call/record.ts";
import { type CanaryConfig, canaryLatencyBoundsMs } from "../../../proxy/config/canary.ts";
import { CanaryTally } from "../../../proxy/routing/canary.ts";
import type { PlanRequest } from "../../../proxy/routing/routing.ts";
import { TargetRouting } from "../../../proxy/routing/target-routing.ts";
import type { ResolvedTarget } from "../../../proxy/snapshot/resolved-target.ts";
import type { Snapshot } from "../../../proxy/snapshot/snapshot.ts";

const breaker = { failureThreshold: 2, successThreshold: 2, openForMs: 1000, halfOpenRequests: 1 };
const target = (name: string, priority: number): ResolvedTarget =>
  ({
    config: { name, provider: `a/${name}`, model: null, priority, weight: 1 },
    entry: {
      account: {
        config: { id: `a/${name}`, circuitBreaker: breaker, quota: { requestsPerMinute: null, tokensPerMinute: null } },
      },
    },
    model: {
      name: "m",
      config: { price: null, contextTokens: null, quota: { requestsPerMinute: null, tokensPerMinute: null } },
    },
  }) as unknown as ResolvedTarget;
const targets = [target("new", 1), target("old", 2), target("older", 3)];

interface RequestSpec {
  user?: string;
  affinity?: boolean;
  rule?: string[];
  preferred?: string;
}

function request(canary: CanaryConfig | null, spec: RequestSpec = {}): PlanRequest {
  const when = {
    tags: null,
    roles: null,
    teams: null,
    users: null,
    models: null,
    headers: [],
    batchSizeAbove: null,
    promptTokensAbove: null,
  };
  const rules = spec.rule === undefined ? [] : [{ when, use: spec.rule }];
  return {
    route: {
      config: {
        id: "a/r",
        routing: { strategy: "Priority", rules, affinity: spec.affinity ? { by: "User", header: null } : null, canary },
      },
    },
    targets,
    identity: { anonymous: false, namespace: "a", key: { id: "a/k", user: spec.user ?? "u", tags: [] } },
    model: "m",
    header: () => null,
    preferred: spec.preferred ?? null,
    batchSize: 1,
    promptTokens: () => 1,
    outputTokens: () => 1,
  } as unknown as PlanRequest;
}

const names = (planned: readonly ResolvedTarget[]): string[] => planned.map((one) => one.config.name);
const canary = (percent: number): CanaryConfig => ({ id: "one", target: "new", percent });

describe("a canary's share", () => {
  const plan = (random: number, one: PlanRequest): string[] =>
    names(new TargetRouting({ nowMs: () => 0, random: () => random }).plan(one));

  it("goes to it first, and the rest to it last", () => {
    assert.deepEqual(plan(0.049, request(canary(5))), ["new", "old", "older"]);
    assert.deepEqual(plan(0.05, request(canary(5))), ["old", "older", "new"]);
  });

  it("is everything once it is promoted, and nothing once it is rolled back", () => {
    assert.equal(plan(0.9999, request(canary(100)))[0], "new");
    assert.deepEqual(plan(0, request(canary(0))), ["old", "older", "new"]);
  });

  it("does not change what a rule or the caller decides", () => {
    assert.deepEqual(plan(0, request(canary(5), { rule: ["older", "new"] })), ["older", "new"]);
    assert.equal(plan(0.9, request(canary(5), { preferred: "new" }))[0], "new");
  });

  it("keeps a caller on one side where the policy has affinity, and is about as large as it says", () => {
    const routing = new TargetRouting({ nowMs: () => 0, random: () => assert.fail("nothing is drawn") });
    const first = (user: string) => names(routing.plan(request(canary(20), { affinity: true, user })))[0];
    const users = Array.from({ length: 2_000 }, (_, at) => `user-${at}@example.com`);
    const tried = users.filter((user) => first(user) === "new");
    assert.ok(tried.length > 320 && tried.length < 480, `${tried.length} of 2000`);
    assert.deepEqual(
      tried.filter((user) => first(user) !== "new"),
      [],
    );
  });
});

describe("what a canary's counts say", () => {
  const snapshot = (one: CanaryConfig | null): Snapshot =>
    ({
      paths: new Map([["", { routes: [{ config: { id: "a/r", routing: { canary: one } } }] }]]),
    }) as unknown as Snapshot;
  const call = (
    attempts: [target: string, outcome: string, durationMs?: number][],
    more: Partial<CallRecord> = {},
  ): CallRecord =>
    ({
      route: "a/r",
      abandoned: false,
      costNanoUsd: 500,
      attempts: attempts.map(([name, outcome, durationMs = 10]) => ({
        provider: `a/${name}`,
        target: name,
        model: "m",
        outcome,
        durationMs,
      })),
      ...more,
    }) as unknown as CallRecord;

  it("each attempt on its side; the caller's own mistakes and those who hung up on none", () => {
    const tally = new CanaryTally();
    tally.apply(snapshot(canary(5)));
    tally.record(call([["new", "ok", 420]]));
    tally.record(
      call([
        ["new", "ServerError"],
        ["new", "Timeout"],
        ["old", "ok", 999_999],
      ]),
    );
    tally.record(call([["new", "BadRequest"]]));
    tally.record(call([["new", "ok"]], { abandoned: true }));
    tally.record(call([["old", "ok", 1]], { costNanoUsd: null }));
    tally.record(call([["new", "ok"]], { route: "a/other" }));
    const [reading] = tally.readings();
    assert.ok(reading);
    const { latency: mine, ...ours } = reading.canary;
    const { latency: others, ...theirs } = reading.baseline;
    assert.deepEqual(ours, { requests: 3, failures: 2, priced: 1, cost: 500 });
    assert.deepEqual(theirs, { requests: 2, failures: 0, priced: 1, cost: 500 });
    assert.equal(mine[canaryLatencyBoundsMs.indexOf(500)], 1);
    assert.deepEqual([others[0], others.at(-1)], [1, 1]);
  });

  it("outlive a change of config, but not of the canary", () => {
    const tally = new CanaryTally();
    tally.apply(snapshot(canary(5)));
    tally.record(call([["new", "ok"]]));
    tally.apply(snapshot(canary(100)));
    assert.equal(tally.readings()[0]?.canary.requests, 1);
    tally.apply(snapshot({ ...canary(5), id: "two" }));
    assert.deepEqual([tally.readings()[0]?.id, tally.readings()[0]?.canary.requests], ["two", 0]);
    tally.apply(snapshot(null));
    assert.deepEqual(tally.readings(), []);
  });
});
