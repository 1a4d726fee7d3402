import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Counter, Histogram, Registry } from "prom-client";
import { type CallRecord, newRecord, semanticResults } from "../../../proxy/call/record.ts";
import { failures } from "../../../proxy/failure.ts";
import { type MetricName, metricCatalogue } from "../../../proxy/metrics/catalogue.ts";
import { createMetrics } from "../../../proxy/telemetry/metrics.ts";
import fc, { runs } from "../../harness/property.ts";

const nothing = { size: () => ({ entries: 0, bytes: 0 }) };
const metricsOf = () =>
  createMetrics(
    { breakers: () => [], health: () => ({ healthy: null, reason: null }) },
    { store: nothing, vectors: nothing },
    () => 0,
  );

const seconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const similarities = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999];
const dollars = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
const amounts = [10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000, 100_000, 500_000];

/** The same calls counted by prom-client itself: what is shown must be what it would show. */
function oracle() {
  const registers = [new Registry()];
  const counter = (name: MetricName, ...labelNames: string[]) =>
    new Counter({ name, help: metricCatalogue[name].help, labelNames, registers });
  const histogram = (name: MetricName, buckets: number[], ...labelNames: string[]) =>
    new Histogram({ name, help: metricCatalogue[name].help, labelNames, buckets, registers });
  const requests = counter("ai_gateway_requests_total", "route", "provider", "model", "operation", "status");
  const errors = counter("ai_gateway_errors_total", "route", "provider", "model", "code", "blame");
  const unauthorized = counter("ai_gateway_unauthorized_attempts_total", "reason");
  const tokens = counter("ai_gateway_tokens_total", "provider", "model", "type");
  const duration = histogram("ai_request_duration", seconds, "route", "provider", "model", "status");
  const first = histogram("ai_time_to_first_token", seconds, "route", "provider", "model");
  const count = histogram("ai_token_count", amounts, "provider", "model", "type");
  const perRequest = histogram("ai_cost_per_request", dollars, "provider", "model");
  const attempts = counter("ai_gateway_upstream_attempts_total", "provider", "model", "outcome");
  const failover = counter("ai_gateway_provider_failover_total", "from", "to");
  const cost = counter("ai_gateway_cost_total", "provider", "model");
  const unpriced = counter("ai_gateway_unpriced_requests_total", "provider", "model");
  const detected = counter("ai_gateway_pii_detected_total", "route", "type");
  const masked = counter("ai_gateway_data_masked_total", "route", "type");
  const maskedAlias = counter("ai_gateway_masked_total", "route", "type");
  const cached = counter("ai_gateway_cache_requests_total", "route", "result");
  const lookups = counter("ai_gateway_semantic_lookups_total", "route", "result");
  const similarity = histogram("ai_gateway_semantic_similarity", similarities, "route");
  const saved = counter("ai_gateway_cache_saved_cost_total", "provider", "model");

  function record(call: CallRecord): void {
    const { route, provider, model, usage } = call;
    requests.inc({ route, provider, model, operation: call.operation, status: String(call.status) });
    duration.observe({ route, provider, model, status: String(call.status) }, call.durationMs / 1000);
    if (call.firstByteMs !== null) first.observe({ route, provider, model }, call.firstByteMs / 1000);
    if (call.code !== null) {
      errors.inc({ route, provider, model, code: call.code, blame: failures[call.code].blame });
      if (call.status === 401 || call.status === 403) unauthorized.inc({ reason: call.code });
    }
    if (usage !== null) {
      tokens.inc({ provider, model, type: "input" }, usage.prompt - usage.cachedPrompt);
      if (usage.cachedPrompt > 0) tokens.inc({ provider, model, type: "cached_input" }, usage.cachedPrompt);
      tokens.inc({ provider, model, type: "output" }, usage.completion - usage.reasoning);
      if (usage.reasoning > 0) tokens.inc({ provider, model, type: "reasoning" }, usage.reasoning);
      count.observe({ provider, model, type: "input" }, usage.prompt);
      count.observe({ provider, model, type: "output" }, usage.completion);
      if (call.costNanoUsd === null) unpriced.inc({ provider, model });
      else cost.inc({ provider, model }, call.costNanoUsd / 1_000_000_000);
    }
    for (const [index, attempt] of call.attempts.entries()) {
      attempts.inc({ provider: attempt.provider, model: attempt.model, outcome: attempt.outcome });
      const before = call.attempts[index - 1];
      if (before !== undefined && before.provider !== attempt.provider)
        failover.inc({ from: before.provider, to: attempt.provider });
    }
    for (const [type, times] of Object.entries(call.masked ?? {}))
      for (const one of [detected, masked, maskedAlias]) one.inc({ route, type }, times);
    if (call.cache !== null) cached.inc({ route, result: call.cache });
    if (call.semantic !== null) {
      lookups.inc({ route, result: call.semantic.result });
      if (call.semantic.similarity !== null) similarity.observe({ route }, call.semantic.similarity);
    }
    if (call.costNanoUsd !== null) perRequest.observe({ provider, model }, call.costNanoUsd / 1_000_000_000);
    if (call.savedNanoUsd !== null) saved.inc({ provider, model }, call.savedNanoUsd / 1_000_000_000);
  }
  return { registry: registers[0] as Registry, record };
}

/** Text of the exposition by metric. */
const families = (text: string): Map<string, string> =>
  new Map(
    text
      .trimEnd()
      .split("\n\n")
      .map((block) => [block.split(" ", 3)[2] ?? "", block] as const),
  );

const few = (...names: string[]) => fc.constantFrom(...names);
const maybe = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: null, freq: 2 });
const tokenCounts = fc
  .record({
    cachedPrompt: fc.nat(90),
    fresh: fc.oneof(fc.nat(60), fc.nat(700_000)),
    reasoning: fc.nat(40),
    plain: fc.nat(3_000),
  })
  .map(({ cachedPrompt, fresh, reasoning, plain }) => ({
    prompt: fresh + cachedPrompt,
    cachedPrompt,
    cacheWrite: 0,
    completion: plain + reasoning,
    reasoning,
    estimated: false,
  }));
const providers = few("a/openai", "a/anthropic", "");
const models = few("gpt-4o", "claude", 'od"d\\name\n', "");

const calls: fc.Arbitrary<CallRecord> = fc
  .record({
    durationMs: fc.oneof(
      fc.constantFrom(0, 10, 10.000001, 250, 300_000, 300_001),
      fc.double({ min: 0, max: 400_000, noNaN: true }),
    ),
    operation: few("chat", "messages", "models", "unknown"),
    route: few("a/chat", "b/chat", ""),
    model: models,
    provider: providers,
    status: fc.constantFrom(200, 204, 401, 403, 429, 499, 502),
    code: maybe(fc.constantFrom(...(Object.keys(failures) as (keyof typeof failures)[]))),
    firstByteMs: maybe(fc.double({ min: 0, max: 20_000, noNaN: true })),
    usage: maybe(tokenCounts),
    costNanoUsd: maybe(fc.nat()),
    cache: maybe(fc.constantFrom("hit" as const, "semantic" as const, "miss" as const, "bypass" as const)),
    semantic: maybe(
      fc.record({
        result: fc.constantFrom(...semanticResults),
        similarity: maybe(fc.double({ min: -1, max: 1, noNaN: true })),
      }),
    ),
    savedNanoUsd: maybe(fc.nat()),
    masked: maybe(fc.dictionary(few("Email", "Iban", "Phone"), fc.nat(4))),
    attempts: fc.array(
      fc.record({
        provider: providers,
        target: few("t"),
        model: models,
        outcome: few("ok", "Timeout", "ServerError"),
        durationMs: fc.nat(50),
      }),
      { maxLength: 4 },
    ),
  })
  .map((some) => ({ ...newRecord("id", "POST", 0), ...some }));

describe("metrics of calls", () => {
  it("are shown as prom-client shows the same counts, at every scrape", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(calls, { maxLength: 25 }), { minLength: 1, maxLength: 3 }), async (rounds) => {
        const metrics = metricsOf();
        const expected = oracle();
        for (const round of rounds) {
          for (const call of round) {
            metrics.record(call);
            expected.record(call);
          }
          const shown = families(await metrics.registry.metrics());
          for (const [name, text] of families(await expected.registry.metrics())) assert.equal(shown.get(name), text);
        }
      }),
      { numRuns: runs(60) },
    );
  });

  it("are as prom-client's where metrics are read as objects", async () => {
    const metrics = metricsOf();
    const expected = oracle();
    for (const call of fc.sample(calls, { numRuns: runs(40), seed: 3 })) {
      metrics.record(call);
      expected.record(call);
    }
    const shown = new Map((await metrics.registry.getMetricsAsJSON()).map((one) => [one.name, one]));
    const sorted = (one: unknown) =>
      JSON.parse(
        JSON.stringify(one, (key, value: unknown) =>
          key === "exemplar" ? undefined : isPlain(value) ? ordered(value) : value,
        ),
      ) as unknown;
    for (const one of await expected.registry.getMetricsAsJSON())
      assert.deepEqual(sorted(shown.get(one.name)), sorted(one));
  });

  for (const [name, usage] of [
    ["more cached than sent", { prompt: 10, cachedPrompt: 30, completion: 5, reasoning: 0 }],
    ["more reasoned than answered", { prompt: 10, cachedPrompt: 0, completion: 5, reasoning: 9 }],
    ["no number", { prompt: Number.NaN, cachedPrompt: 0, completion: 5, reasoning: 0 }],
    ["no end", { prompt: Number.POSITIVE_INFINITY, cachedPrompt: 0, completion: 5, reasoning: 0 }],
  ] as const) {
    it(`go on where a provider claims ${name}: no counter falls`, async () => {
      const metrics = metricsOf();
      const call = { ...newRecord("id", "POST", 0), provider: "a/up", model: "m" };
      const sane = { prompt: 100, cachedPrompt: 0, cacheWrite: 0, completion: 50, reasoning: 0, estimated: false };
      metrics.record({ ...call, usage: sane });
      metrics.record({ ...call, usage: { ...sane, ...usage } });
      const shown = families(await metrics.registry.metrics());
      assert.match(shown.get("ai_gateway_requests_total") ?? "", / 2$/);
      for (const [, value] of (shown.get("ai_gateway_tokens_total") ?? "").matchAll(/type="(?:input|output)"} (.*)$/gm))
        assert.ok(Number(value) >= 50, value);
      assert.doesNotMatch(shown.get("ai_token_count") ?? "", /(sum|count){.*(nan|inf)/i);
    });
  }

  it("have no more series for more calls", async () => {
    const metrics = metricsOf();
    const some = fc.sample(calls, { numRuns: runs(200), seed: 7 });
    const lines = async () =>
      (await metrics.registry.metrics()).split("\n").filter((line) => line.startsWith("ai_")).length;
    for (const call of some) metrics.record(call);
    const before = await lines();
    for (let round = 0; round < 20; round++) for (const call of some) metrics.record(call);
    assert.equal(await lines(), before);
  });
});

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const ordered = (value: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));

describe("the catalogue of metrics", () => {
  it("has no metric that nothing counts", () => {
    const sources = globSync("proxy/**/*.ts")
      .filter((file) => !file.endsWith("-catalogue.ts"))
      .map((file) => readFileSync(file, "utf8"));
    const idle = Object.keys(metricCatalogue).filter((name) => !sources.some((text) => text.includes(`"${name}"`)));
    assert.deepEqual(idle, [], "register these, or take them out of the catalogue");
  });
});
