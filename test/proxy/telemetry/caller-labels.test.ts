import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CallRecord, newRecord } from "../../../proxy/call/record.ts";
import { type CallerLabelName, callerLabelNames } from "../../../proxy/metrics/caller-labels.ts";
import { parseProxySettings } from "../../../proxy/settings.ts";
import { callMetricsOptions } from "../../../proxy/signal-settings.ts";
import { createMetrics } from "../../../proxy/telemetry/metrics.ts";

const nothing = { size: () => ({ entries: 0, bytes: 0 }) };

function metricsWith(...flags: string[]) {
  const options = callMetricsOptions(parseProxySettings(flags, {}));
  return createMetrics(
    { breakers: () => [], health: () => ({ healthy: null, reason: null }) },
    { store: nothing, vectors: nothing },
    () => 0,
    options,
  );
}

const usage = { prompt: 10, cachedPrompt: 2, cacheWrite: 0, completion: 7, reasoning: 3, estimated: false };
const call = (fields: Partial<CallRecord> = {}): CallRecord => ({
  ...newRecord("id", "POST", 0),
  provider: "a/openai",
  model: "m",
  usage,
  costNanoUsd: 1_000_000_000,
  savedNanoUsd: 5,
  user: "ann@example.com",
  team: "search",
  role: "developer",
  key: "shop/ann",
  tags: ["prod", "eu"],
  session: "s-1",
  code: "permission_denied",
  status: 403,
  ...fields,
});

const counted = [
  "ai_gateway_requests_total",
  "ai_gateway_errors_total",
  "ai_gateway_tokens_total",
  "ai_gateway_cost_total",
  "ai_gateway_cache_saved_cost_total",
  "ai_gateway_unauthorized_attempts",
  "ai_gateway_unauthorized_attempts_total",
];
const linesOf = (text: string, name: string): string[] =>
  text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

const values: Record<CallerLabelName, string> = {
  user: "ann@example.com",
  team: "search",
  role: "developer",
  key: "shop/ann",
  namespace: "shop",
  tags: "prod,eu",
  session: "s-1",
};

describe("labels that say who called", () => {
  for (const label of callerLabelNames)
    it(`${label} is on every metric of calls, tokens and cost once it is named`, async () => {
      const metrics = metricsWith(`--metrics-labels=${label}`);
      metrics.record(call());
      const text = await metrics.registry.metrics();
      for (const name of counted) {
        assert.ok(linesOf(text, name).length > 0, name);
        for (const line of linesOf(text, name)) assert.ok(line.includes(`${label}="${values[label]}"`), line);
      }
      assert.doesNotMatch(text, new RegExp(`^ai_request_duration.*${label}="`, "m"));
    });

  it("are absent by default", async () => {
    const metrics = metricsWith();
    metrics.record(call());
    const text = await metrics.registry.metrics();
    for (const value of ["ann@example.com", "search", "shop", "prod", "s-1"]) assert.ok(!text.includes(value), value);
  });

  it("beyond the set number of callers are other, and those calls are counted", async () => {
    const metrics = metricsWith("--metrics-labels=user,team", "--metrics-max-callers=3");
    for (let round = 0; round < 2; round++)
      for (let user = 0; user < 50; user++) metrics.record(call({ user: `user-${user}` }));
    const text = await metrics.registry.metrics();
    const users = (name: string) =>
      new Set(linesOf(text, name).map((line) => /user="([^"]*)",team="([^"]*)"/.exec(line)?.slice(1).join("/")));
    for (const name of counted)
      assert.deepEqual(
        [...users(name)].sort(),
        ["other/other", "user-0/search", "user-1/search", "user-2/search"],
        name,
      );
    assert.deepEqual(linesOf(text, "ai_gateway_metric_overflow_total"), ["ai_gateway_metric_overflow_total 94"]);
    const requests = linesOf(text, "ai_gateway_requests_total").map((line) => Number(line.split(" ").at(-1)));
    assert.equal(
      requests.reduce((sum, value) => sum + value, 0),
      100,
    );
  });

  it("count callers apart whose values join to the same text", async () => {
    const metrics = metricsWith("--metrics-labels=user,team");
    metrics.record(call({ user: "a\u0000b", team: "c" }));
    metrics.record(call({ user: "a", team: "b\u0000c" }));
    metrics.record(call({ user: "a,b", team: "c" }));
    metrics.record(call({ user: "", team: "" }));
    const text = await metrics.registry.metrics();
    assert.equal(linesOf(text, "ai_gateway_requests_total").length, 4);
  });
});

describe("settings of metrics", () => {
  for (const [flag, message] of [
    ["--metrics-labels=user,adress", /--metrics-labels: must name labels of user, team/],
    ["--metrics-max-callers=0", /--metrics-max-callers: /],
    ["--metrics-duration-buckets=1,0.5", /--metrics-duration-buckets: must be at most 50 ascending positive numbers/],
    ["--metrics-token-buckets=1,many", /--metrics-token-buckets: must be at most 50 ascending/],
    ["--metrics-cost-buckets=-1", /--metrics-cost-buckets: must be at most 50 ascending/],
    ["--session-header=X-Session", /--session-header: must be a header's name in lower case/],
  ] as const)
    it(`refuse ${flag}`, () => assert.throws(() => parseProxySettings([flag], {}), message));

  it("replace the buckets of a histogram", async () => {
    const metrics = metricsWith(
      "--metrics-duration-buckets=0.2,7",
      "--metrics-cost-buckets=3",
      "--metrics-token-buckets=8",
    );
    metrics.record(call({ durationMs: 100, firstByteMs: 1 }));
    const text = await metrics.registry.metrics();
    const bounds = (name: string) =>
      [...text.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]*)"`, "gm"))].map(([, bound]) => bound);
    assert.deepEqual(bounds("ai_request_duration"), ["0.2", "7", "+Inf"]);
    assert.deepEqual(bounds("ai_time_to_first_token"), ["0.2", "7", "+Inf"]);
    assert.deepEqual(bounds("ai_cost_per_request"), ["3", "+Inf"]);
    assert.deepEqual(bounds("ai_token_count"), ["8", "+Inf", "8", "+Inf"]);
  });
});
