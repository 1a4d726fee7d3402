import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallTrace } from "../../../proxy/call/call-trace.ts";
import { type CallRecord, newRecord } from "../../../proxy/call/record.ts";
import { newTraceId, parseTraceparent, sampleNumberOf } from "../../../proxy/call/trace-context.ts";
import { parseProxySettings } from "../../../proxy/settings.ts";
import { otlpJson } from "../../../proxy/tracing/otlp-json.ts";
import { SpanBatch } from "../../../proxy/tracing/span-batch.ts";
import { SpanQueue } from "../../../proxy/tracing/span-queue.ts";
import { Tracer } from "../../../proxy/tracing/tracer.ts";
import { TextBytes } from "../../../proxy/wire/text-bytes.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

describe("a caller's traceparent", () => {
  for (const [header, expected] of [
    [`00-${traceId}-${spanId}-01`, { traceId, spanId, sampled: true }],
    [`00-${traceId}-${spanId}-00`, { traceId, spanId, sampled: false }],
    // Only the last bit of the flags means anything.
    [`00-${traceId}-${spanId}-fe`, { traceId, spanId, sampled: false }],
    [`00-${traceId}-${spanId}-03`, { traceId, spanId, sampled: true }],
    // A later version may have more parts.
    [`01-${traceId}-${spanId}-01-more`, { traceId, spanId, sampled: true }],
    [`00-${traceId}-${spanId}-01-more`, null],
    [`ff-${traceId}-${spanId}-01`, null],
    [`00-${"0".repeat(32)}-${spanId}-01`, null],
    [`00-${traceId}-${"0".repeat(16)}-01`, null],
    [`00-${traceId.toUpperCase()}-${spanId}-01`, null],
    [`00-${traceId.slice(1)}-${spanId}-01`, null],
    [` 00-${traceId}-${spanId}-01`, null],
    [`00-${traceId}-${spanId}-1`, null],
    [`01-${traceId}-${spanId}-01-${"x".repeat(600)}`, null],
    ["", null],
    [null, null],
  ] as const)
    it(`${header?.slice(0, 70)} is ${expected === null ? "ignored" : "taken"}`, () =>
      assert.deepEqual(parseTraceparent(header), expected));
});

describe("sampling", () => {
  it("takes about the share that is set, and the same calls wherever the rate is the same", () => {
    const ids = Array.from({ length: 4_000 }, newTraceId);
    assert.equal(new Set(ids).size, ids.length);
    for (const ratio of [0, 0.1, 0.5, 1]) {
      const taken = ids.filter((id) => sampleNumberOf(id) < ratio).length / ids.length;
      assert.ok(Math.abs(taken - ratio) < 0.05, `${ratio}: ${taken}`);
    }
  });

  const traced = (fields: Partial<CallRecord>, settings: Partial<Tracer["settings"]> = {}) => {
    const batch = new SpanBatch(otlpJson);
    const tracer = new Tracer(
      { ratio: 0, parentDecides: true, slowMs: 1_000, bodies: false, tags: {}, ...settings },
      otlpJson,
      { room: () => batch, added: () => undefined },
    );
    const trace = tracer.begin((name) => (name === "traceparent" ? `00-${traceId}-${spanId}-01` : null));
    tracer.record({ ...newRecord("id", "POST", 0), trace: fields.trace ?? trace, ...fields });
    return batch.count;
  };
  const unsampled = () => new CallTrace(null, null, 0, true);
  const attempt = { provider: "a/b", target: "t", model: "m", outcome: "ok", durationMs: 1 };
  for (const [what, sent, fields, settings] of [
    ["that its caller samples", 1, {}, {}],
    ["that its caller samples, where callers don't decide", 0, {}, { parentDecides: false }],
    ["that nobody samples", 0, { trace: unsampled() }, {}],
    ["that is slow", 1, { trace: unsampled(), durationMs: 1_000 }, {}],
    ["that is slow, where slow calls aren't asked for", 0, { trace: unsampled(), durationMs: 1e6 }, { slowMs: 0 }],
    ["that fails", 1, { trace: unsampled(), status: 502, code: "upstream_error" as never }, {}],
    ["whose stream breaks", 1, { trace: unsampled(), broken: true }, {}],
    [
      "that a second provider answers",
      1,
      { trace: unsampled(), attempts: [{ ...attempt, outcome: "Timeout" }, attempt] },
      {},
    ],
    ["that the caller got wrong", 0, { trace: unsampled(), status: 401, code: "invalid_api_key" as never }, {}],
  ] as const)
    it(`${sent === 1 ? "exports" : "leaves out"} a call ${what}`, () =>
      assert.equal(traced(fields as Partial<CallRecord>, settings), sent));
});

/** Adds a span. */
function add(queue: SpanQueue): void {
  const batch = queue.room(1);
  if (batch === null) return;
  batch.add(new TextBytes().latin1("{}"));
  queue.added(1);
}

describe("the queue of spans", () => {
  it("is bounded: what is more is dropped and counted, and nothing waits", async () => {
    const due: (() => void)[] = [];
    let answer: (result: null) => void = () => undefined;
    const queue = new SpanQueue({
      encoding: otlpJson,
      send: () => new Promise((resolve) => (answer = resolve)),
      after: (_ms, then) => {
        due.push(then);
        return () => undefined;
      },
      trouble: () => undefined,
      rejected: () => undefined,
    });
    for (let span = 0; span < 20_000; span++) add(queue);
    // One batch is on its way, and 8,192 wait.
    assert.equal(queue.figures.dropped.queue_full, 20_000 - 8_192 - 512);
    answer(null);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(queue.figures.exported, 512);
  });

  it("pauses longer from failure to failure, and sends at once again after a success", async () => {
    const pauses: number[] = [];
    let due: (() => void) | null = null;
    let works = false;
    const queue = new SpanQueue({
      encoding: otlpJson,
      send: () => Promise.resolve(works ? null : { why: "gone", again: true }),
      after: (ms, then) => {
        pauses.push(ms);
        due = then;
        return () => (due = null);
      },
      trouble: () => undefined,
      rejected: () => undefined,
    });
    const round = async (): Promise<void> => {
      add(queue);
      due?.();
      await new Promise((resolve) => setImmediate(resolve));
    };
    for (let failure = 0; failure < 8; failure++) await round();
    assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    works = true;
    await round();
    await round();
    assert.equal(pauses.at(-1), 1_000);
    assert.deepEqual(queue.figures, { exported: 2, dropped: { queue_full: 0, not_sent: 8, rejected: 0 } });
  });
});

describe("settings of traces", () => {
  for (const [flags, message] of [
    [["--otlp-url=collector:4318"], /--otlp-url: /],
    [["--otlp-url=http://c:4318", "--trace-ratio=1.5"], /--trace-ratio: /],
    [["--otlp-url=http://c:4318", "--trace-tags=environment"], /--trace-tags: must be name=value/],
    [["--otlp-url=http://c:4318", "--otlp-ca=/ca.crt"], /--otlp-ca needs an --otlp-url that begins with https/],
    [["--otlp-url=http://c:4317", "--otlp-protocol=http"], /--otlp-protocol: must be http\/protobuf, http\/json, grpc/],
    [["--otlp-url=http://c:4317/v1/traces", "--otlp-protocol=grpc"], /--otlp-url must have no path/],
    [["--otlp-metrics=GenAI"], /--otlp-metrics needs --otlp-url/],
    [["--trace-parent=Maybe"], /--trace-parent: /],
  ] as const)
    it(`refuse ${flags.join(" ")}`, () => assert.throws(() => parseProxySettings(flags, {}), message));
});
