import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProviderConfig } from "../../../proxy/config/provider.ts";
import type { RouteConfig, RuleConfig } from "../../../proxy/config/route.ts";
import { Breaker } from "../../../proxy/routing/breaker.ts";
import type { Permit, PlanRequest } from "../../../proxy/routing/routing.ts";
import { leastLatency } from "../../../proxy/routing/strategies.ts";
import { TargetRouting } from "../../../proxy/routing/target-routing.ts";
import { LatencySamples, SlidingCount } from "../../../proxy/routing/windows.ts";
import type { ResolvedTarget } from "../../../proxy/snapshot/resolved-target.ts";
import fc from "../../harness/property.ts";

const breaker = { failureThreshold: 2, successThreshold: 2, openForMs: 1000, halfOpenRequests: 1 };

interface TargetSpec {
  priority?: number;
  weight?: number;
  quota?: Partial<ProviderConfig["quota"]>;
  inputPrice?: number;
  contextTokens?: number;
}

function target(name: string, spec: TargetSpec = {}): ResolvedTarget {
  const price =
    spec.inputPrice === undefined
      ? null
      : { input: spec.inputPrice, cachedInput: spec.inputPrice, output: 0, tiers: [] };
  const config = {
    id: `a/${name}`,
    circuitBreaker: breaker,
    quota: { requestsPerMinute: null, tokensPerMinute: null, ...spec.quota },
  };
  return {
    config: { name, provider: `a/${name}`, model: null, priority: spec.priority ?? 1, weight: spec.weight ?? 1 },
    entry: { account: { config } },
    model: {
      name: "m",
      config: {
        price,
        contextTokens: spec.contextTokens ?? null,
        quota: { requestsPerMinute: null, tokensPerMinute: null },
      },
    },
  } as unknown as ResolvedTarget;
}

interface RequestSpec {
  strategy?: RouteConfig["routing"]["strategy"];
  rules?: { when: Partial<RuleConfig["when"]>; use: string[] }[];
  affinity?: RouteConfig["routing"]["affinity"];
  slowAfterMs?: number;
  leastLatency?: Partial<RouteConfig["routing"]["leastLatency"]>;
  preferred?: string;
  session?: string;
  user?: string;
  tags?: string[];
  role?: string;
  headers?: Record<string, string>;
  batchSize?: number;
  promptTokens?: number;
}

const anything: RuleConfig["when"] = {
  tags: null,
  roles: null,
  teams: null,
  users: null,
  models: null,
  headers: [],
  batchSizeAbove: null,
  promptTokensAbove: null,
};

function request(targets: ResolvedTarget[], spec: RequestSpec = {}): PlanRequest {
  const rules = (spec.rules ?? []).map((rule) => ({ ...rule, when: { ...anything, ...rule.when } }));
  return {
    route: {
      config: {
        id: "a/r",
        routing: {
          strategy: spec.strategy ?? "Priority",
          rules,
          affinity: spec.affinity ?? null,
          slowAfterMs: spec.slowAfterMs ?? null,
          leastLatency: { windowMs: 300_000, samples: 100, minimumSamples: 5, ...spec.leastLatency },
        },
      },
    } as unknown as PlanRequest["route"],
    targets,
    identity: {
      anonymous: false,
      namespace: "a",
      key: { id: "a/k", user: spec.user ?? "u", team: null, role: spec.role ?? "developer", tags: spec.tags ?? [] },
    } as unknown as PlanRequest["identity"],
    session: spec.session ?? "",
    model: "m",
    header: (name) => spec.headers?.[name] ?? null,
    preferred: spec.preferred ?? null,
    batchSize: spec.batchSize ?? 1,
    promptTokens: () => spec.promptTokens ?? 10,
    outputTokens: () => 10,
  };
}

function routing(random: () => number = () => 0) {
  const clock = { now: 1_000_000 };
  return { clock, routing: new TargetRouting({ nowMs: () => clock.now, random }) };
}

const acquire = (one: TargetRouting, of: ResolvedTarget, tokens: number): Permit | null =>
  one.acquire(of, tokens) as Permit | null;
const names = (targets: readonly ResolvedTarget[]): string[] => targets.map((target) => target.config.name);

describe("the order of targets", () => {
  const three = [
    target("x", { priority: 2, weight: 0, inputPrice: 3 }),
    target("y", { priority: 1, weight: 3, inputPrice: 1 }),
    target("z", { priority: 3, weight: 1 }),
  ];
  const rows: { name: string; spec: RequestSpec; expected: string[] }[] = [
    { name: "goes by priority", spec: {}, expected: ["y", "x", "z"] },
    { name: "goes by cost, unknown prices last", spec: { strategy: "LeastCost" }, expected: ["y", "x", "z"] },
    { name: "puts the caller's wish first", spec: { preferred: "z" }, expected: ["z", "y", "x"] },
    { name: "ignores a wish that is no target", spec: { preferred: "nobody" }, expected: ["y", "x", "z"] },
    {
      name: "follows the first rule that matches, in the rule's order",
      spec: {
        tags: ["batch"],
        rules: [
          { when: { tags: ["batch"] }, use: ["z", "x"] },
          { when: {}, use: ["y"] },
        ],
      },
      expected: ["z", "x"],
    },
    {
      name: "passes over a rule of which one condition fails",
      spec: {
        tags: ["batch"],
        rules: [
          { when: { tags: ["batch"], roles: ["admin"] }, use: ["z"] },
          { when: { roles: ["developer"] }, use: ["x"] },
        ],
      },
      expected: ["x"],
    },
    {
      name: "goes by a header's value",
      spec: {
        headers: { "x-tier": "gold" },
        rules: [{ when: { headers: [{ name: "x-tier", value: "gold" }] }, use: ["z"] }],
      },
      expected: ["z"],
    },
    {
      name: "goes by batch size",
      spec: { batchSize: 101, rules: [{ when: { batchSizeAbove: 100 }, use: ["x"] }] },
      expected: ["x"],
    },
    {
      name: "does not count the limit itself as above it",
      spec: { batchSize: 100, rules: [{ when: { batchSizeAbove: 100 }, use: ["x"] }] },
      expected: ["y", "x", "z"],
    },
    {
      name: "goes by prompt length",
      spec: { promptTokens: 5000, rules: [{ when: { promptTokensAbove: 4000 }, use: ["z"] }] },
      expected: ["z"],
    },
  ];
  for (const { name, spec, expected } of rows) {
    it(name, () => assert.deepEqual(names(routing().routing.plan(request(three, spec))), expected));
  }

  it("goes round, one further with each call", () => {
    const { routing: one } = routing();
    const first = Array.from({ length: 4 }, () => names(one.plan(request(three, { strategy: "RoundRobin" })))[0]);
    assert.deepEqual(first, ["x", "y", "z", "x"]);
  });

  it("follows weights: three in four, and never a weight of nothing first", () => {
    let turn = 0;
    const { routing: one } = routing(() => ((turn++ % 400) + 0.5) / 400);
    const counts: Record<string, number> = {};
    for (let at = 0; at < 400; at++) {
      turn = at;
      const [first = ""] = names(one.plan(request(three, { strategy: "Weighted" })));
      counts[first] = (counts[first] ?? 0) + 1;
    }
    assert.deepEqual(counts, { y: 300, z: 100 });
  });

  it("prefers the quickest once it knows, and tries what it does not know", () => {
    const { routing: one } = routing();
    const sample = (of: ResolvedTarget, ms: number): void => {
      for (let at = 0; at < 5; at++) acquire(one, of, 1)?.succeeded({ firstByteMs: ms, durationMs: ms, tokens: 1 });
    };
    const [x, y, z] = three as [ResolvedTarget, ResolvedTarget, ResolvedTarget];
    sample(x, 300);
    sample(y, 100);
    assert.equal(names(one.plan(request(three, { strategy: "LeastLatency" })))[0], "z");
    sample(z, 200);
    assert.deepEqual(names(one.plan(request(three, { strategy: "LeastLatency" }))), ["y", "z", "x"]);
  });

  it("goes by as many samples, of as late, as the policy says", () => {
    const { routing: one, clock } = routing();
    const [x, y] = three as [ResolvedTarget, ResolvedTarget];
    const sample = (of: ResolvedTarget, ms: number): void =>
      acquire(one, of, 1)?.succeeded({ firstByteMs: ms, durationMs: ms, tokens: 1 });
    const first = (leastLatency: RequestSpec["leastLatency"]) =>
      names(one.plan(request([x, y], { strategy: "LeastLatency", leastLatency: leastLatency ?? {} })))[0];
    for (const ms of [900, 900, 900, 10]) sample(x, ms);
    for (let at = 0; at < 4; at++) sample(y, 100);
    assert.equal(first({ minimumSamples: 1, samples: 4 }), "y");
    assert.equal(first({ minimumSamples: 1, samples: 1 }), "x");
    clock.now += 2_000;
    sample(y, 5);
    assert.equal(
      first({ minimumSamples: 1, samples: 1, windowMs: 1_000 }),
      "x",
      "what nothing fresh is known of is tried",
    );
  });

  it("puts a target whose first tokens are late behind the others, until that is forgotten", () => {
    const { routing: one, clock } = routing();
    const [x, y] = [target("x"), target("y")];
    const order = (slowAfterMs?: number) =>
      names(one.plan(request([x, y], slowAfterMs === undefined ? {} : { slowAfterMs })));
    for (const ms of [3_000, 3_000, 200, 3_000]) one.firstToken(x, ms);
    assert.deepEqual(order(2_000), ["x", "y"], "too few to tell");
    one.firstToken(x, 200);
    assert.deepEqual(order(2_000), ["y", "x"]);
    assert.deepEqual(order(4_000), ["x", "y"], "not slow for a policy that can wait");
    assert.deepEqual(order(), ["x", "y"]);
    for (let at = 0; at < 5; at++) one.firstToken(y, 9_000);
    assert.deepEqual(order(2_000), ["x", "y"], "where all are slow the policy decides");
    clock.now += 61_000;
    for (let at = 0; at < 5; at++) one.firstToken(y, 9_000);
    assert.deepEqual(order(2_000), ["x", "y"]);
  });

  it("puts a target whose rate limit is used up behind the others, and refuses nothing", () => {
    const { routing: one, clock } = routing();
    const [x, y] = [target("x"), target("y")];
    one.spare(x, 500);
    assert.deepEqual(names(one.plan(request([x, y]))), ["y", "x"]);
    assert.ok(acquire(one, x, 1));
    clock.now += 500;
    assert.deepEqual(names(one.plan(request([x, y]))), ["x", "y"]);
  });

  it("keeps a caller on one target, and moves only the callers of one that goes", () => {
    const { routing: one } = routing();
    const affinity = { by: "User", header: null } as const;
    const users = Array.from({ length: 200 }, (_, at) => `user-${at}`);
    const homeOf = (targets: ResolvedTarget[]) =>
      users.map((user) => names(one.plan(request(targets, { affinity, user })))[0]);
    const before = homeOf(three);
    assert.deepEqual(homeOf(three), before);
    assert.equal(new Set(before).size, 3);
    const after = homeOf(three.filter((each) => each.config.name !== "z"));
    for (const [index, home] of before.entries()) if (home !== "z") assert.equal(after[index], home);
  });

  it("leaves out a target whose context can't hold the prompt, unless none could", () => {
    const small = target("small", { contextTokens: 100 });
    const large = target("large", { contextTokens: 1000, priority: 2 });
    assert.deepEqual(names(routing().routing.plan(request([small, large], { promptTokens: 500 }))), ["large"]);
    assert.deepEqual(names(routing().routing.plan(request([small], { promptTokens: 500 }))), ["small"]);
  });

  it("puts what can't be called now last", () => {
    const { clock, routing: one } = routing();
    const [x, y] = [target("x"), target("y", { priority: 2 })];
    acquire(one, x, 1)?.failed({ class: "RateLimited", retryAfterMs: 5000 });
    assert.deepEqual(names(one.plan(request([x, y]))), ["y", "x"]);
    clock.now += 5000;
    assert.deepEqual(names(one.plan(request([x, y]))), ["x", "y"]);
  });
});

describe("permission to call", () => {
  it("is refused while a provider asked us to keep off, and for longer each time that it does not say how long", () => {
    const { clock, routing: one } = routing();
    const x = target("x");
    for (const pause of [1000, 2000, 4000]) {
      acquire(one, x, 1)?.failed({ class: "RateLimited", retryAfterMs: null });
      assert.equal(acquire(one, x, 1), null);
      assert.deepEqual(one.wait([x]), { ms: pause, rateLimited: true });
      clock.now += pause;
    }
    assert.ok(acquire(one, x, 1));
  });

  it("is refused when a declared quota of requests is used up, and given again as the minute passes", () => {
    const { clock, routing: one } = routing();
    const x = target("x", { quota: { requestsPerMinute: 3 } });
    const taken = Array.from({ length: 5 }, () => acquire(one, x, 1) !== null);
    assert.deepEqual(taken, [true, true, true, false, false]);
    clock.now += 60_000;
    assert.ok(acquire(one, x, 1));
  });

  it("counts the tokens that were really used against a quota of tokens", () => {
    const { routing: one } = routing();
    const x = target("x", { quota: { tokensPerMinute: 100 } });
    acquire(one, x, 10)?.succeeded({ firstByteMs: 1, durationMs: 1, tokens: 95 });
    assert.equal(acquire(one, x, 10), null);
  });

  it("opens a breaker on failures of the provider, and not on refusals of our pace or our request", () => {
    const { routing: one, clock } = routing();
    const [ill, strict] = [target("ill"), target("strict")];
    for (let at = 0; at < 2; at++) acquire(one, ill, 1)?.failed({ class: "ServerError", retryAfterMs: null });
    for (let at = 0; at < 5; at++) acquire(one, strict, 1)?.failed({ class: "Unauthorized", retryAfterMs: null });
    assert.equal(acquire(one, ill, 1), null);
    assert.ok(acquire(one, strict, 1));
    assert.deepEqual(
      one.breakers().map((reading) => [reading.provider, reading.state, reading.refused]),
      [
        ["a/ill", "open", false],
        ["a/strict", "closed", true],
      ],
    );
    clock.now += 600_000;
    assert.deepEqual(
      one.breakers().map(({ refused }) => refused),
      [false, false],
      "what was refused long ago may have been mended since",
    );
  });

  it("forgets a provider that is no longer configured", () => {
    const { routing: one } = routing();
    const ill = target("ill");
    for (let at = 0; at < 2; at++) acquire(one, ill, 1)?.failed({ class: "Timeout", retryAfterMs: null });
    one.keep(new Map());
    assert.ok(acquire(one, ill, 1));
  });

  it("lets retries be a fifth of the requests, and ten in ten seconds at least", () => {
    const { clock, routing: one } = routing();
    const x = target("x");
    const retries = (): number => Array.from({ length: 200 }, () => one.mayRetry(x)).filter(Boolean).length;
    assert.equal(retries(), 10);
    clock.now += 20_000;
    for (let at = 0; at < 500; at++) acquire(one, x, 1);
    assert.equal(retries(), 100);
  });
});

describe("a circuit breaker", () => {
  it("opens, tries, and closes again", () => {
    const one = new Breaker();
    one.failure(breaker, 0);
    one.success(breaker);
    one.failure(breaker, 0);
    assert.equal(one.state(breaker, 0), "closed");
    one.failure(breaker, 0);
    assert.equal(one.state(breaker, 999), "open");
    assert.equal(one.acquire(breaker, 999), false);
    assert.equal(one.acquire(breaker, 1000), true);
    assert.equal(one.acquire(breaker, 1000), false, "one trial at a time");
    one.success(breaker);
    assert.equal(one.state(breaker, 1000), "half-open");
    assert.equal(one.acquire(breaker, 1000), true);
    one.success(breaker);
    assert.equal(one.state(breaker, 1000), "closed");
  });

  it("opens again when a trial fails, for as long as before", () => {
    const one = new Breaker();
    one.failure(breaker, 0);
    one.failure(breaker, 0);
    assert.equal(one.acquire(breaker, 1000), true);
    one.failure(breaker, 1000);
    assert.equal(one.state(breaker, 1999), "open");
    assert.equal(one.state(breaker, 2000), "half-open");
  });

  it("gives a trial back that says nothing", () => {
    const one = new Breaker();
    one.failure(breaker, 0);
    one.failure(breaker, 0);
    assert.equal(one.acquire(breaker, 1000), true);
    one.release();
    assert.equal(one.acquire(breaker, 1000), true);
  });
});

describe("a strategy", () => {
  it("asks for each target's latency once a call, however many targets there are", () => {
    const targets = Array.from({ length: 32 }, (_, at) => target(`t${at}`));
    let asked = 0;
    const order = leastLatency(targets, () => ++asked % 7);
    assert.equal(asked, targets.length);
    assert.equal(order.length, targets.length);
  });
});

describe("windows", () => {
  it("count what is in the window, and forget what has left it", () => {
    const count = new SlidingCount(60_000);
    count.add(5, 0);
    count.add(5, 30_000);
    assert.equal(count.total(54_999), 10);
    assert.equal(count.total(60_000), 5);
    assert.equal(count.total(1_000_000), 0);
  });

  it("yield a median only from enough fresh samples", () => {
    const samples = new LatencySamples(4);
    for (const ms of [900, 10, 30, 20]) samples.add(ms, 0);
    assert.equal(samples.median(5, 0, 1000, 4), null);
    assert.equal(samples.median(3, 0, 1000, 4), 30);
    assert.equal(samples.median(1, 0, 1000, 1), 20, "the newest only");
    samples.add(5, 500);
    assert.equal(samples.median(4, 500, 1000, 4), 20, "the oldest made room");
    assert.equal(samples.median(1, 1001, 1000, 4), 5);
  });

  it("yield the same median as sorting all samples would, for several policies at once", () => {
    const ask = fc.record({ windowMs: fc.constantFrom(100, 1_000, 10_000), most: fc.integer({ min: 1, max: 12 }) });
    const step = fc.record({ ms: fc.integer({ min: 0, max: 5 }), passedMs: fc.integer({ min: 0, max: 200 }), ask });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const samples = new LatencySamples(10);
        const all: { ms: number; atMs: number }[] = [];
        let nowMs = 0;
        for (const { ms, passedMs, ask: asked } of steps) {
          samples.add(ms, nowMs);
          all.push({ ms, atMs: nowMs });
          nowMs += passedMs;
          const fresh = all.slice(-Math.min(10, asked.most)).filter(({ atMs }) => nowMs - atMs <= asked.windowMs);
          const sorted = fresh.map((sample) => sample.ms).sort((a, b) => a - b);
          const expected = sorted.length < 2 ? null : (sorted[Math.floor(sorted.length / 2)] ?? null);
          assert.equal(samples.median(2, nowMs, asked.windowMs, asked.most), expected);
        }
      }),
    );
  });
});

describe("the reason of a provider whose breakers are open", () => {
  for (const [name, causes, reason] of [
    ["no connection failed", [null], "every model's breaker is open"],
    [
      "connections failed for two reasons",
      ["tls_expired", "connection_refused"],
      /^every model's breaker is open: [^:]+ \(connection_refused\), [^:]+ \(tls_expired\)$/,
    ],
  ] as const)
    it(`where ${name}`, () => {
      const routing = new TargetRouting({ nowMs: () => 0, random: () => 0 });
      for (const [index, cause] of causes.entries()) {
        const one = { ...target("p"), model: { ...target("p").model, name: `m-${index}` } };
        for (let failures = 0; failures < breaker.failureThreshold; failures++)
          (routing.acquire(one, 0) as Permit).failed({ class: "Unavailable", retryAfterMs: null, cause });
      }
      const told = routing.health("a/p").reason ?? "";
      if (typeof reason === "string") assert.equal(told, reason);
      else assert.match(told, reason);
    });
});
