import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type BusyRun, busyKey, startBusyRun } from "../../harness/busy-run.ts";
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startCollector,
  startOtlpReceiver,
} from "../../harness/otlp-receiver.ts";
import { skipWithout } from "../../harness/tools.ts";
import { until } from "../../harness/until.ts";

const skip = await skipWithout("otlp-receiver", "otel-collector");
const kinds = { internal: 1, server: 2, client: 3 };

let traces = 0;
const newTrace = (): string => (++traces).toString(16).padStart(32, "a");

async function call(
  url: string,
  model: string,
  headers: Record<string, string> = {},
  body: Record<string, unknown> = {},
): Promise<Response> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${busyKey}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hello ann@example.com" }], ...body }),
  });
  await answer.text();
  return answer;
}

describe("traces", { skip }, () => {
  let receiver: OtlpReceiver;
  let run: BusyRun;
  before(async () => {
    receiver = await startOtlpReceiver();
    run = await startBusyRun(
      ["--otlp-url", receiver.url, "--trace-ratio", "0", "--trace-tags", "deployment.environment=test,team=a=b"],
      { SLUICE_OTLP_HEADERS: "authorization=Bearer collector-secret" },
    );
  });
  after(async () => {
    await run?.close();
    await receiver?.stop();
  });

  const traced = async (traceId: string, count: number): Promise<ReceivedSpan[]> => {
    run.gateway.state;
    return until("the spans have arrived", () => {
      const spans = receiver.spans().filter((span) => span.traceId === traceId);
      assert.ok(spans.length >= count, `${spans.length} of ${count} spans`);
      return spans;
    });
  };
  const sampledCall = async (model: string, body: Record<string, unknown> = {}, count = 2) => {
    const traceId = newTrace();
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
    const answer = await call(
      run.gateway.url,
      model,
      { traceparent, tracestate: "vendor=1", "x-session-id": "chat-7" },
      body,
    );
    const spans = await traced(traceId, count);
    const server = spans.find(({ kind }) => kind === kinds.server);
    assert.ok(server);
    return { answer, spans, server, clients: spans.filter(({ kind }) => kind === kinds.client), traceparent };
  };

  it("have one SERVER span for a call, below the caller's, and a CLIENT span for each attempt", async () => {
    const { server, clients } = await sampledCall("chat", { temperature: 0.5, max_tokens: 20 }, 3);
    assert.equal(server.parentSpanId, "00f067aa0ba902b7");
    assert.equal(server.traceState, "vendor=1");
    assert.equal(server.name, "POST openai.chat");
    assert.deepEqual(
      clients.map(({ parentSpanId, status, attributes }) => [
        parentSpanId,
        status.code ?? 0,
        attributes["sluice.provider"],
        attributes["error.type"],
        attributes["http.request.resend_count"],
      ]),
      [
        [server.spanId, 2, "default/failing", "ServerError", undefined],
        [server.spanId, 0, "default/main", undefined, 1],
      ],
    );
    assert.ok(clients.every(({ startMs, endMs }) => server.startMs <= startMs && startMs <= endMs));
    assert.ok(clients.every(({ endMs }) => endMs <= server.endMs));
    assert.ok(Math.abs(server.startMs - Date.now()) < 600_000);
  });

  it("follow the GenAI conventions", async () => {
    const { server, clients } = await sampledCall("masked", { temperature: 0.5, max_tokens: 20, seed: 7 });
    const [client] = clients;
    assert.ok(client);
    const origin = new URL(run.upstreams.working.url);
    const { attributes } = client;
    assert.equal(client.name, "chat gpt-4o");
    for (const [name, value] of Object.entries({
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "gpt-4o",
      "gen_ai.provider.name": "openaicompatible",
      "server.address": origin.hostname,
      "server.port": Number(origin.port),
      "gen_ai.request.temperature": 0.5,
      "gen_ai.request.max_tokens": 20,
      "gen_ai.request.seed": 7,
      "gen_ai.usage.input_tokens": 11,
      "gen_ai.usage.output_tokens": 7,
      "gen_ai.conversation.id": "chat-7",
    }))
      assert.equal(attributes[name], value, name);
    assert.equal(server.attributes["http.response.status_code"], 200);
    assert.equal(server.attributes["sluice.route"], "default/masked");
    assert.equal(server.attributes["sluice.user"], "busy@example.com");
    assert.deepEqual(server.attributes["sluice.tags"], ["prod"]);
    assert.ok(Number(server.attributes["sluice.cost_usd"]) > 0);
  });

  it("of streams say when the first chunk came", async () => {
    const { clients } = await sampledCall("masked", { stream: true });
    const [client] = clients;
    assert.equal(client?.attributes["gen_ai.request.stream"], true);
    assert.equal(typeof client?.attributes["gen_ai.response.time_to_first_chunk"], "number");
  });

  it("carry the set tags", async () => {
    const { server } = await sampledCall("masked");
    assert.equal(server.attributes["deployment.environment"], "test");
    assert.equal(server.attributes["team"], "a=b");
  });

  it("go on at the provider: its traceparent names the attempt's span", async () => {
    const { clients } = await sampledCall("masked");
    const [client] = clients;
    assert.equal(
      run.upstreams.working.requests.at(-1)?.headers["traceparent"],
      `00-${client?.traceId}-${client?.spanId}-01`,
    );
  });

  it("are sampled by rate, by the caller's decision, and always where a provider failed", async () => {
    const before = receiver.spans().length;
    const unsampled = newTrace();
    await call(run.gateway.url, "masked", { traceparent: `00-${unsampled}-00f067aa0ba902b7-00` });
    await call(run.gateway.url, "masked");
    await call(run.gateway.url, "masked", { traceparent: "00-nonsense" });
    const { spans } = await sampledCall("masked");
    // Sent in order: what was to come before has come.
    assert.equal(receiver.spans().length, before + spans.length);
  });

  it("hold neither a body, nor a key, nor a credential", async () => {
    await sampledCall("chat");
    for (const secret of [busyKey, "sk-upstream", "sk-failing", "collector-secret", "ann@example.com", "hello"])
      assert.ok(!receiver.text().includes(secret), secret);
  });

  it("are counted", async () => {
    assert.match(await run.gateway.metrics(), /^sluice_trace_spans_total [1-9]/m);
    assert.doesNotMatch(await run.gateway.metrics(), /^sluice_trace_spans_dropped_total\{.*\} [1-9]/m);
  });
});

describe("traces of failed and slow calls", { skip }, () => {
  it("are exported at a rate of 0", async (context) => {
    const receiver = await startOtlpReceiver();
    const run = await startBusyRun(["--otlp-url", receiver.url, "--trace-ratio", "0"]);
    context.after(async () => {
      await run.close();
      await receiver.stop();
    });
    await call(run.gateway.url, "masked");
    // Its first target fails.
    await call(run.gateway.url, "chat");
    const spans = await until("the failed call's spans have arrived", () => {
      const arrived = receiver.spans();
      assert.ok(arrived.length > 0);
      return arrived;
    });
    assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
    assert.ok(spans.some(({ attributes }) => attributes["error.type"] === "ServerError"));
  });
});

describe("traces without a collector", { skip }, () => {
  it("are dropped and counted, calls go on, and spans arrive again once it is back", async (context) => {
    const receiver = await startCollector();
    const run = await startBusyRun(["--otlp-url", receiver.url, "--trace-ratio", "1"]);
    context.after(async () => {
      await run.close();
      await receiver.stop();
    });
    await receiver.kill();
    await until("spans are dropped", async () => {
      assert.equal((await call(run.gateway.url, "masked")).status, 200);
      assert.match(await run.gateway.metrics(), /^sluice_trace_spans_dropped_total\{reason="not_sent"\} [1-9]/m);
    });
    assert.ok(run.gateway.logText().includes("traces can't be sent"));
    await receiver.startAgain();
    await until("spans arrive", async () => {
      assert.equal((await call(run.gateway.url, "masked")).status, 200);
      assert.ok(receiver.spans().length > 0);
    });
  });
});

describe("metrics of the GenAI conventions", { skip }, () => {
  for (const [setting, older] of [
    ["GenAI", false],
    ["GenAI-1.41", true],
  ] as const)
    it(`are exported with ${setting}`, async (context) => {
      const receiver = await startOtlpReceiver();
      const run = await startBusyRun(["--otlp-url", receiver.url, "--otlp-metrics", setting]);
      context.after(() => receiver.stop());
      await call(run.gateway.url, "chat");
      await call(run.gateway.url, "chat", {}, { stream: true });
      // The last export is at the end.
      await run.close();
      const points = receiver.points();
      const of = (name: string) => points.filter((point) => point.name === name);
      const base = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openaicompatible",
        "gen_ai.request.model": "gpt-4o",
      };
      assert.deepEqual(
        of("gen_ai.client.inference.duration").map(({ attributes, count, unit, bounds }) => [
          attributes,
          count,
          unit,
          bounds.at(0),
          bounds.at(-1),
        ]),
        [
          [{ ...base, "error.type": "ServerError" }, 2, "s", 0.01, 81.92],
          [base, 2, "s", 0.01, 81.92],
        ],
      );
      assert.equal(of("gen_ai.client.inference.time_to_first_chunk")[0]?.count, 1);
      const [input] = of("gen_ai.client.inference.usage.input_tokens");
      assert.deepEqual([input?.sum, input?.attributes["gen_ai.token.modality"]], [22, "unknown"]);
      assert.equal(of("gen_ai.client.inference.usage.output_tokens")[0]?.sum, 14);
      assert.equal(of("gen_ai.client.inference.operation.input_tokens")[0]?.sum, 22);
      assert.equal(of("gen_ai.client.operation.duration").length > 0, older);
      assert.deepEqual(
        of("gen_ai.client.token.usage").map(({ attributes, sum }) => [attributes["gen_ai.token.type"], sum]),
        older
          ? [
              ["input", 22],
              ["output", 14],
            ]
          : [],
      );
    });
});

describe("bodies in traces", { skip }, () => {
  it("are there only if installation and policy ask for them, and are masked", async (context) => {
    const receiver = await startOtlpReceiver();
    const run = await startBusyRun(["--otlp-url", receiver.url, "--trace-ratio", "1", "--trace-bodies", "true"]);
    context.after(async () => {
      await run.close();
      await receiver.stop();
    });
    await call(run.gateway.url, "masked");
    await call(run.gateway.url, "logged");
    const spans = await until("the spans of both calls have arrived", () => {
      const servers = receiver.spans().filter(({ kind }) => kind === kinds.server);
      assert.equal(servers.length, 2);
      return servers;
    });
    const [silent, logged] = spans;
    assert.equal(silent?.attributes["gen_ai.input.messages"], undefined);
    assert.match(String(logged?.attributes["gen_ai.input.messages"]), /hello/);
    assert.doesNotMatch(receiver.text(), /ann@example\.com/);
  });
});
