/** The shares that a replay of usage counts on are those that routing draws. */

import assert from "node:assert/strict";
import { it } from "node:test";
import type { PlanRequest } from "../../../proxy/routing/routing.ts";
import { firstShares } from "../../../proxy/routing/shares.ts";
import { TargetRouting } from "../../../proxy/routing/target-routing.ts";
import type { ResolvedTarget } from "../../../proxy/snapshot/resolved-target.ts";
import fc, { runs } from "../../harness/property.ts";
import { seeded } from "../../harness/seeded.ts";

const breaker = { failureThreshold: 2, successThreshold: 2, openForMs: 1000, halfOpenRequests: 1 };
const quota = { requestsPerMinute: null, tokensPerMinute: null };
const noConditions = {
  tags: null,
  roles: null,
  teams: null,
  users: null,
  models: null,
  headers: [],
  batchSizeAbove: null,
};

interface TargetSpec {
  priority: number;
  weight: number;
  input: number | null;
  context: number | null;
}

const targetOf = ({ priority, weight, input, context }: TargetSpec, index: number): ResolvedTarget =>
  ({
    config: { name: `t${index}`, provider: `a/t${index}`, model: null, priority, weight },
    entry: { account: { config: { id: `a/t${index}`, circuitBreaker: breaker, quota } } },
    model: {
      name: "m",
      config: {
        price: input === null ? null : { input, cachedInput: input, output: 1, tiers: [] },
        contextTokens: context,
        quota,
      },
    },
  }) as unknown as ResolvedTarget;

const spec = fc.record({
  strategy: fc.constantFrom("Priority", "Weighted", "RoundRobin", "LeastLatency", "LeastCost"),
  targets: fc.array(
    fc.record({
      priority: fc.integer({ min: 1, max: 3 }),
      weight: fc.integer({ min: 0, max: 4 }),
      input: fc.option(fc.integer({ min: 0, max: 9 })),
      context: fc.option(fc.constantFrom(10, 1000)),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  canary: fc.option(fc.record({ target: fc.constantFrom("t0", "t1", "t9"), percent: fc.constantFrom(0, 25, 100) })),
  affinity: fc.constantFrom(null, "User", "ApiKey", "Session"),
  rule: fc.option(fc.record({ above: fc.constantFrom(50, 5000), use: fc.constantFrom(["t0"], ["t1", "t0"]) })),
  user: fc.constantFrom("ann", "bob", "cy"),
});

type Spec = typeof spec extends fc.Arbitrary<infer T> ? T : never;

function requestOf({ strategy, targets, canary, affinity, rule, user }: Spec): PlanRequest {
  const rules = rule === null ? [] : [{ when: { ...noConditions, promptTokensAbove: rule.above }, use: rule.use }];
  const routing = {
    strategy,
    rules,
    affinity: affinity === null ? null : { by: affinity, header: null },
    canary: canary === null ? null : { id: "c", ...canary },
    slowAfterMs: null,
    leastLatency: { windowMs: 1000, samples: 10, minimumSamples: 1 },
  };
  return {
    route: { config: { id: "a/r", routing } },
    targets: targets.map(targetOf),
    identity: { anonymous: false, namespace: "a", key: { id: "a/k", user, tags: [] } },
    model: "m",
    session: "",
    header: () => null,
    preferred: null,
    batchSize: 1,
    promptTokens: () => 100,
    outputTokens: () => 10,
  } as unknown as PlanRequest;
}

/** Enough that a share off by 0.05 is more than six standard deviations. */
const draws = 4_000;

it("are what routing does while all targets are healthy", () => {
  let turns = 1;
  fc.assert(
    fc.property(spec, (given) => {
      // Latencies are not known to a replay.
      fc.pre(given.strategy !== "LeastLatency" || given.targets.length === 1);
      const request = requestOf(given);
      const routing = new TargetRouting({ nowMs: () => 0, random: seeded(turns++) });
      const counts = new Map<string, number>();
      for (let turn = 0; turn < draws; turn++) {
        const name = routing.plan(request)[0]?.config.name ?? "";
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      const shares = firstShares(request);
      const sum = shares.reduce((all, { share }) => all + share, 0);
      assert.ok(Math.abs(sum - 1) < 1e-9, `the shares add up to ${sum}`);
      for (const { target, share } of shares) {
        const drawn = (counts.get(target.config.name) ?? 0) / draws;
        assert.ok(Math.abs(drawn - share) < 0.05, `${target.config.name}: ${share}, and ${drawn} drawn`);
      }
    }),
    { numRuns: runs(300) },
  );
});
