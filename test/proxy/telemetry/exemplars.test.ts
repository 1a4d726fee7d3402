/** Exemplars in a real Prometheus lead to traces that a real collector got. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startBusyRun } from "../../harness/busy-run.ts";
import { startOtlpReceiver } from "../../harness/otlp-receiver.ts";
import { ensurePrometheus, startPrometheus } from "../../harness/prometheus.ts";
import { skipReason, skipWithout } from "../../harness/tools.ts";
import { until } from "../../harness/until.ts";

const skip = (await skipWithout("otlp-receiver")) || (await skipReason(ensurePrometheus));

describe("exemplars", { skip }, () => {
  it("are stored by Prometheus with the ids of traces that were exported", async (context) => {
    const receiver = await startOtlpReceiver();
    const run = await startBusyRun(["--otlp-url", receiver.url, "--trace-ratio", "1"]);
    const prometheus = await startPrometheus([run.gateway.statusUrl]);
    context.after(async () => {
      await prometheus.stop();
      await run.close();
      await receiver.stop();
    });
    await until("each histogram of calls has an exemplar whose trace was exported", async () => {
      await run.round();
      const traces = new Set(receiver.spans().map((span) => span.traceId));
      for (const name of ["ai_request_duration", "ai_time_to_first_token", "ai_token_count", "ai_cost_per_request"]) {
        const stored = await prometheus.exemplars(`${name}_bucket`);
        assert.ok(stored.length > 0, name);
        assert.ok(
          stored.some(({ labels }) => traces.has(labels["trace_id"] ?? "")),
          name,
        );
      }
    });
    // The older format is the default, for everything else that reads the port.
    assert.match(await run.gateway.metrics(), /^# TYPE ai_gateway_requests_total counter$/m);
  });
});
