import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CallRecord, newRecord } from "../../../proxy/call/record.ts";
import { openMetricsText, wantsOpenMetrics } from "../../../proxy/metrics/openmetrics.ts";
import { createMetrics } from "../../../proxy/telemetry/metrics.ts";

const nothing = { size: () => ({ entries: 0, bytes: 0 }) };
const metricsOf = () =>
  createMetrics(
    { breakers: () => [], health: () => ({ healthy: null, reason: null }) },
    { store: nothing, vectors: nothing },
    () => 0,
  );

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const call = (some: Partial<CallRecord>): CallRecord => ({
  ...newRecord("id", "POST", 0),
  route: "a/chat",
  provider: "a/openai",
  model: 'od"d\\name\n',
  durationMs: 400,
  firstByteMs: 30,
  costNanoUsd: 2_000_000,
  usage: { prompt: 30, cachedPrompt: 0, cacheWrite: 0, completion: 7, reasoning: 0, estimated: false },
  attempts: [{ provider: "a/openai", target: "t", model: "m", outcome: "ok", durationMs: 300 }],
  ...some,
});

/** Samples without comments and exemplars, in order of their names; the process's own figures move on. */
const samples = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("ai_") || line.startsWith("sluice_"))
    .map((line) => line.split(" # ", 1)[0] ?? "")
    .sort();

describe("OpenMetrics", () => {
  it("have the series and values of the older text format", async () => {
    const metrics = metricsOf();
    for (const durationMs of [1, 400, 999_000]) metrics.record(call({ durationMs, exported: { traceId, endMs: 5 } }));
    metrics.record(call({ status: 401, code: "invalid_api_key" }));
    const text = await openMetricsText(metrics.registry);
    assert.deepEqual(samples(text), samples(await metrics.registry.metrics()));
    assert.ok(text.endsWith("\n# EOF\n"));
    assert.ok(!text.includes("\n\n"));
  });

  it("name each family once, and counters without their suffix where that is free", async () => {
    const text = await openMetricsText(metricsOf().registry);
    const families = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    const names = families.map((family) => family.split(" ", 1)[0]);
    assert.equal(new Set(names).size, names.length);
    assert.ok(families.includes("ai_gateway_requests counter"));
    assert.ok(families.includes("ai_gateway_unauthorized_attempts unknown"));
    assert.ok(families.includes("ai_gateway_unauthorized_attempts_total unknown"));
    assert.ok(families.includes("ai_request_duration histogram"));
  });

  it("have the newest exported trace of each bucket as its exemplar, and none of calls that aren't exported", async () => {
    const metrics = metricsOf();
    const of = (digit: string, endMs: number) => ({ exported: { traceId: digit.repeat(32), endMs } });
    metrics.record(call({ durationMs: 400, ...of("a", 1_000) }));
    metrics.record(call({ durationMs: 450, ...of("b", 2_500) }));
    metrics.record(call({ durationMs: 470 }));
    metrics.record(call({ durationMs: 900_000, ...of("c", 4_000) }));
    const text = await openMetricsText(metrics.registry);
    const exemplars = [...text.matchAll(/^ai_request_duration_bucket\{le="([^"]+)".*? # (.*)$/gm)].map((found) =>
      found.slice(1),
    );
    assert.deepEqual(exemplars, [
      ["0.5", `{trace_id="${"b".repeat(32)}"} 0.45 2.500`],
      ["+Inf", `{trace_id="${"c".repeat(32)}"} 900 4.000`],
    ]);
    for (const name of ["ai_time_to_first_token", "ai_token_count", "ai_cost_per_request", "ai_gateway_time_seconds"])
      assert.match(text, new RegExp(`^${name}_bucket.* # \\{trace_id="`, "m"), name);
    assert.doesNotMatch(await metrics.registry.metrics(), /trace_id/);
  });

  for (const [accept, open] of [
    [undefined, false],
    ["*/*", false],
    ["text/plain", false],
    ["application/openmetrics-text", true],
    ["application/openmetrics-text; version=1.0.0; charset=utf-8", true],
    ["application/openmetrics-text;version=0.0.1", false],
    ["application/openmetrics-text;q=0", false],
    ["text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5", false],
    // Prometheus 2 and 3.
    [
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      true,
    ],
    [
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
      true,
    ],
  ] as const)
    it(`${open ? "are" : "aren't"} served for Accept: ${accept}`, () => assert.equal(wantsOpenMetrics(accept), open));
});
