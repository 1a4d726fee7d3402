/** The three protocols of OTLP, each to the decoders of OpenTelemetry's Collector, and to a whole one. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { busyKey, startBusyRun } from "../../harness/busy-run.ts";
import { certificateAuthority } from "../../harness/certificates.ts";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import { type OtlpReceiver, startCollector, startOtlpReceiver } from "../../harness/otlp-receiver.ts";
import { skipWithout } from "../../harness/tools.ts";
import { until } from "../../harness/until.ts";

const skip = await skipWithout("otlp-receiver", "otel-collector");
const protocols = ["http/json", "http/protobuf", "grpc"] as const;
type Protocol = (typeof protocols)[number];

const urlOf = ({ url, grpcUrl }: OtlpReceiver, protocol: Protocol): string => (protocol === "grpc" ? grpcUrl : url);

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
async function call(url: string, body: Record<string, unknown> = {}, headers: Record<string, string> = {}) {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${busyKey}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "chat", messages: [{ role: "user", content: "hello" }], ...body }),
  });
  await answer.text();
  return answer.status;
}

const receivers = [
  ["the decoders of the Collector", startOtlpReceiver],
  ["a Collector", startCollector],
] as const;

describe("traces and metrics by OTLP", { skip }, () => {
  for (const [protocol, [what, start]] of protocols.flatMap((protocol) =>
    receivers.map((one) => [protocol, one] as const),
  ))
    it(`have the same content by ${protocol} at ${what}`, async (context) => {
      const receiver = await start();
      context.after(() => receiver.stop());
      const flags = ["--otlp-url", urlOf(receiver, protocol), "--otlp-protocol", protocol, "--otlp-metrics", "GenAI"];
      const run = await startBusyRun([...flags, "--trace-ratio=0", "--trace-tags=umgebung=prüfung €"]);
      const traced = { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, tracestate: "vendor=1" };
      // The first target fails, so that there are three spans.
      assert.equal(await call(run.gateway.url, { temperature: 0.5, seed: -7, max_tokens: 300 }, traced), 200);
      const spans = await until("the spans have arrived", () => {
        const arrived = receiver.spans();
        assert.ok(arrived.length >= 3);
        return arrived;
      });
      await run.close();
      const [server] = spans.filter(({ kind }) => kind === 2);
      const attempts = spans.filter(({ kind }) => kind === 3);
      assert.ok(server && attempts.length === 2);
      assert.ok(spans.every((span) => span.traceId === traceId && span.traceState === "vendor=1"));
      assert.equal(server.parentSpanId, "00f067aa0ba902b7");
      assert.ok(attempts.every(({ parentSpanId }) => parentSpanId === server.spanId));
      assert.equal(server.attributes["umgebung"], "prüfung €");
      assert.deepEqual(server.attributes["sluice.tags"], ["prod"]);
      assert.equal(server.attributes["http.response.status_code"], 200);
      const [failed, answered] = attempts;
      assert.deepEqual(failed?.status, { code: 2, message: "ServerError" });
      assert.deepEqual(answered?.status, {});
      assert.equal(answered?.attributes["gen_ai.request.temperature"], 0.5);
      assert.equal(answered?.attributes["gen_ai.request.seed"], -7);
      assert.equal(answered?.attributes["gen_ai.request.max_tokens"], 300);
      assert.ok(answered && Math.abs(answered.startMs - Date.now()) < 600_000 && answered.startMs <= answered.endMs);
      // A Collector gathers them for a moment.
      const points = await until("the metrics have arrived", () => {
        const arrived = receiver.points();
        assert.ok(arrived.length > 0);
        return arrived;
      });
      const duration = points.filter(({ name }) => name === "gen_ai.client.inference.duration");
      assert.deepEqual(
        duration.map(({ count, unit, bounds, attributes }) => [count, unit, bounds.length, attributes["error.type"]]),
        [
          [1, "s", 14, "ServerError"],
          [1, "s", 14, undefined],
        ],
      );
      assert.ok(duration.every(({ sum }) => sum > 0 && sum < 600));
      assert.equal(points.find(({ name }) => name.endsWith("usage.input_tokens"))?.sum, 11);
      const exemplars = [...receiver.text().matchAll(/"exemplars":\[\{(.*?)\}\]/g)].map(([, text = ""]) => text);
      assert.ok(exemplars.length >= 2 && exemplars.every((text) => text.includes(`"traceId":"${traceId}"`)), protocol);
    });

  for (const protocol of protocols)
    it(`go on by ${protocol} whatever numbers and texts a caller sends`, async (context) => {
      const receiver = await startOtlpReceiver();
      const flags = ["--otlp-url", urlOf(receiver, protocol), "--otlp-protocol", protocol, "--trace-ratio=1"];
      const run = await startBusyRun(flags);
      context.after(async () => {
        await run.close();
        await receiver.stop();
      });
      const odd = [1e300, -1e21, 1.5e-9, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0];
      for (const seed of odd) await call(run.gateway.url, { seed });
      // JSON can write what a double can't hold.
      await fetch(`${run.gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${busyKey}`, "content-type": "application/json", "x-session-id": "a\u00fcb" },
        body: '{"model":"chat","seed":1e999,"messages":[{"role":"user","content":"hello"}]}',
      }).then((answer) => answer.text());
      await until("every call's spans have arrived", () => {
        const seen = new Set(receiver.spans().map((span) => span.attributes["gen_ai.request.seed"]));
        for (const seed of odd) assert.ok(seen.has(seed), String(seed));
      });
      assert.doesNotMatch(await run.gateway.metrics(), /^sluice_trace_spans_dropped_total\{.*\} [1-9]/m);
    });

  for (const protocol of protocols)
    it(`go by ${protocol} over TLS with headers from the environment, and are dropped without them`, async (context) => {
      const authority = await certificateAuthority();
      const authorization = "Bearer collector-secret=";
      const receiver = await startOtlpReceiver({ tls: await authority.issue("127.0.0.1"), authorization });
      const folder = await temporaryFolder("otlp-ca");
      const ca = join(folder, "ca.crt");
      await writeFile(ca, authority.cert);
      const flags = ["--otlp-url", urlOf(receiver, protocol), "--otlp-protocol", protocol, "--trace-ratio=1"];
      const good = await startBusyRun([...flags, "--otlp-ca", ca], {
        SLUICE_OTLP_HEADERS: `authorization=${authorization}`,
      });
      const strange = await startBusyRun([...flags, "--otlp-ca", ca], {
        SLUICE_OTLP_HEADERS: "authorization=Bearer other",
      });
      const untrusting = await startBusyRun(flags);
      context.after(async () => {
        for (const run of [good, strange, untrusting]) await run.close();
        await receiver.stop();
        removeFolder(folder);
      });
      await until("spans arrive", async () => {
        await call(good.gateway.url);
        assert.ok(receiver.spans().length > 0);
      });
      for (const [run, why] of [
        [strange, protocol === "grpc" ? "the collector answered UNAUTHENTICATED" : "the collector answered 401"],
        [untrusting, "its certificate is signed by an unknown authority (tls_unknown_authority)"],
      ] as const) {
        await until(why, async () => {
          assert.equal(await call(run.gateway.url), 200);
          assert.match(await run.gateway.metrics(), /^sluice_trace_spans_dropped_total\{reason="not_sent"\} [1-9]/m);
          assert.ok(run.gateway.logText().includes(why), run.gateway.logText().slice(-500));
        });
        assert.ok(!run.gateway.logText().includes("Bearer"));
      }
    });
});

/** `how`: what it does with a connection. Returns its address. */
async function listening(context: { after(then: () => unknown): void }, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("OTLP by gRPC to what is no collector", () => {
  for (const [what, make, why] of [
    [
      "a server of HTTP/1.1",
      () => createTcpServer((socket) => socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n")),
      "it does not speak gRPC there",
    ],
    [
      "a server of HTTP/2 without gRPC",
      () => createServer((_request, response) => response.writeHead(404).end()) as unknown as Server,
      "the collector answered 404 without a gRPC status",
    ],
    [
      "one that hangs up",
      () => createTcpServer((socket) => socket.on("error", () => undefined).destroy()),
      "the collector",
    ],
  ] as const)
    it(`drops and counts spans, says why, and answers calls: ${what}`, async (context) => {
      const url = await listening(context, make());
      const run = await startBusyRun(["--otlp-url", url, "--otlp-protocol=grpc", "--trace-ratio=1"]);
      context.after(() => run.close());
      await until(why, async () => {
        assert.equal(await call(run.gateway.url), 200);
        assert.match(await run.gateway.metrics(), /^sluice_trace_spans_dropped_total\{reason="not_sent"\} [1-9]/m);
        assert.ok(run.gateway.logText().includes(why), run.gateway.logText().slice(-500));
      });
    });

  it("leaves calls alone while the collector takes the connection and says nothing", async (context) => {
    const url = await listening(
      context,
      createTcpServer((socket) => {
        socket.on("error", () => undefined);
        context.after(() => socket.destroy());
      }),
    );
    const run = await startBusyRun(["--otlp-url", url, "--otlp-protocol=grpc", "--trace-ratio=1"]);
    context.after(() => run.close());
    for (let calls = 0; calls < 30; calls++) assert.equal(await call(run.gateway.url), 200);
    assert.match(await run.gateway.metrics(), /^sluice_trace_spans_total 0$/m);
  });
});

describe("OTLP by gRPC", { skip }, () => {
  it("connects again once the collector is back", async (context) => {
    const receiver = await startOtlpReceiver();
    const run = await startBusyRun(["--otlp-url", receiver.grpcUrl, "--otlp-protocol=grpc", "--trace-ratio=1"]);
    context.after(async () => {
      await run.close();
      await receiver.stop();
    });
    await until("spans arrive", async () => {
      await call(run.gateway.url);
      assert.ok(receiver.spans().length > 0);
    });
    await receiver.kill();
    await until("spans are dropped", async () => {
      assert.equal(await call(run.gateway.url), 200);
      assert.match(await run.gateway.metrics(), /^sluice_trace_spans_dropped_total\{reason="not_sent"\} [1-9]/m);
    });
    const before = receiver.spans().length;
    await receiver.startAgain();
    await until("spans arrive again", async () => {
      assert.equal(await call(run.gateway.url), 200);
      assert.ok(receiver.spans().length > before);
    });
  });
});
