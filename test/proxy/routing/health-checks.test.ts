import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HealthCheckConfig, ProviderConfig } from "../../../proxy/config/provider.ts";
import { type CheckReading, HealthChecks } from "../../../proxy/routing/health-checks.ts";
import type { ProviderEntry } from "../../../proxy/snapshot/snapshot.ts";

const check: HealthCheckConfig = {
  path: "/models",
  intervalMs: 10_000,
  timeoutMs: 1_000,
  expectedStatus: 200,
  failureThreshold: 3,
  successThreshold: 2,
};

function entries(
  healthCheck: HealthCheckConfig | null,
  more: Partial<ProviderConfig> = {},
): ReadonlyMap<string, ProviderEntry> {
  const config = {
    id: "a/p",
    endpoint: "https://llm.example.com",
    credentials: {},
    options: {},
    allowPrivateEndpoint: false,
    healthCheck,
    ...more,
  };
  return new Map([["a/p", { account: { config } } as unknown as ProviderEntry]]);
}

/** A clock whose timers fire when it is moved. */
function lab(random = 0.5) {
  let now = 0;
  let timers: { atMs: number; then: () => void }[] = [];
  let answer: string | null = null;
  const asked: number[] = [];
  const told: [boolean | null, string | null][] = [];
  const checks = new HealthChecks(
    {
      nowMs: () => now,
      random: () => random,
      after(ms, then) {
        const timer = { atMs: now + ms, then };
        timers.push(timer);
        return () => {
          timers = timers.filter((one) => one !== timer);
        };
      },
    },
    () => {
      asked.push(now);
      return Promise.resolve(answer);
    },
    { changed: (_provider: string, { healthy, reason }: CheckReading) => told.push([healthy, reason]) },
  );
  /** To the next timer, and until what it set going has settled. */
  const step = async (): Promise<void> => {
    const next = timers.sort((a, b) => a.atMs - b.atMs).shift();
    if (!next) return;
    now = next.atMs;
    next.then();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    checks,
    asked,
    told,
    step,
    timers: () => timers.length,
    answer: (reason: string | null) => {
      answer = reason;
    },
  };
}

describe("health checks", () => {
  it("the first comes within a second, the others at the interval, give or take a tenth", async () => {
    for (const [random, expected] of [
      [0, [0, 9_000, 18_000]],
      [1, [1_000, 12_000, 23_000]],
    ] as const) {
      const { checks, asked, step } = lab(random);
      checks.apply(entries(check));
      for (let at = 0; at < 3; at++) await step();
      assert.deepEqual(asked, expected);
    }
  });

  it("thresholds decide, and each change is reported once", async () => {
    const { checks, told, step, answer } = lab();
    checks.apply(entries(check));
    assert.equal(checks.reading("a/p")?.healthy, null);
    await step();
    assert.equal(checks.reading("a/p")?.healthy, null, "one success of two");
    await step();
    answer("status 500 instead of 200");
    for (let at = 0; at < 2; at++) await step();
    assert.deepEqual(
      [checks.reading("a/p")?.healthy, checks.reading("a/p")?.reason],
      [true, "status 500 instead of 200"],
    );
    for (let at = 0; at < 4; at++) await step();
    answer(null);
    for (let at = 0; at < 3; at++) await step();
    assert.deepEqual(told, [
      [true, null],
      [false, "status 500 instead of 200"],
      [true, null],
    ]);
  });

  const trust = { ca: ["PEM"], serverName: null, clientCertificate: null };
  for (const [name, more, healthy] of [
    ["its models leaves what is known", { models: {} }, true],
    ["its endpoint starts over", { endpoint: "https://other.example.com" }, null],
    ["its credential starts over", { credentials: { apiKey: "credential-2" } }, null],
    ["the trusted authorities starts over", { tls: trust }, null],
    ["those of its token service starts over", { tokenTls: trust }, null],
    ["the token service's address starts over", { options: { iamUrl: "https://iam.example.com" } }, null],
  ] as const)
    it(`a change of ${name}`, async () => {
      const { checks, step, timers } = lab();
      checks.apply(entries(check));
      await step();
      await step();
      checks.apply(entries({ ...check }, more as unknown as Partial<ProviderConfig>));
      assert.equal(checks.reading("a/p")?.healthy, healthy);
      assert.equal(timers(), 1);
    });

  it("none is left when the provider goes, or its check", async () => {
    const { checks, timers } = lab();
    checks.apply(entries(check));
    checks.apply(entries(null));
    assert.deepEqual([checks.reading("a/p"), timers()], [null, 0]);
    checks.apply(entries(check));
    checks.stop();
    assert.equal(timers(), 0);
  });
});
