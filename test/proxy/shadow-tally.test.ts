/** Comparisons are kept by hour within bounds, and what no longer fits is added up. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ComparedCall, Comparison } from "../../proxy/config/shadow-report.ts";
import { ShadowTally } from "../../proxy/shadow/tally.ts";
import fc from "../harness/property.ts";

const hourMs = 3_600_000;
const startMs = Date.parse("2026-12-01T10:00:00Z");

const call: ComparedCall = {
  ...{ provider: "llm/old", model: "gpt-4o", status: 200, ok: true, inputTokens: 1, outputTokens: 1 },
  ...{ costNanoUsd: 1, durationMs: 1 },
};
const comparison = (model = "gpt-4o"): Comparison => ({
  ...{ policy: "llm/chat", model, call, copy: { ...call, provider: "llm/new" }, similarity: 1 },
});

describe("the tally of copies", () => {
  const at = (hours: number): number => startMs + hours * hourMs;
  const sum = (tally: ShadowTally, span: { fromMs: number; toMs: number } | null): number[] => {
    const { rows, dropped } = tally.reading("a", span);
    return [rows.reduce((all, { pairs }) => all + pairs, 0), dropped.reduce((all, { calls }) => all + calls, 0)];
  };

  it("has each copy in the hour in which it ended, whatever the spans", () => {
    const hours = fc.array(fc.nat(100), { maxLength: 50 }).map((list) => list.toSorted((a, b) => a - b));
    fc.assert(
      fc.property(hours, fc.nat(100), fc.nat(100), (ended, from, length) => {
        let nowMs = startMs;
        const tally = new ShadowTally(() => nowMs);
        for (const hour of ended) {
          nowMs = at(hour);
          tally.compared(comparison());
          tally.dropped("llm/chat", "full");
        }
        const within = ended.filter((hour) => hour >= from && hour < from + length).length;
        assert.deepEqual(sum(tally, { fromMs: at(from), toMs: at(from + length) }), [within, within]);
        assert.deepEqual(sum(tally, null), [ended.length, ended.length]);
      }),
    );
  });

  it("keeps 31 days apart, and all in the total", () => {
    let nowMs = startMs;
    const tally = new ShadowTally(() => nowMs);
    const hours = 40 * 24;
    for (let hour = 0; hour < hours; hour++, nowMs += hourMs) tally.compared(comparison());
    assert.deepEqual(sum(tally, null), [hours, 0]);
    const { keptFrom } = tally.reading("a");
    assert.equal(keptFrom, new Date(at(hours - 31 * 24)).toISOString());
    assert.deepEqual(sum(tally, { fromMs: startMs, toMs: nowMs }), [31 * 24, 0]);
  });

  it("keeps fewer hours apart where they have many models", () => {
    let nowMs = startMs;
    const tally = new ShadowTally(() => nowMs);
    for (let hour = 0; hour < 8; hour++, nowMs += hourMs)
      for (let model = 0; model < 900; model++) tally.compared(comparison(`model-${model}`));
    assert.deepEqual(sum(tally, null), [7_200, 0]);
    const [within = 0] = sum(tally, { fromMs: startMs, toMs: nowMs });
    assert.ok(within >= 3 * 900 && within <= 4_000, String(within));
  });
});
