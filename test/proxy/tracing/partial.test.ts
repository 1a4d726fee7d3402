/** A collector that takes a request and rejects some of its spans: OTLP's partial success, in its three forms. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { directEgress } from "../../../proxy/config/egress/egress.ts";
import type { Collector } from "../../../proxy/wire/otlp-collector.ts";
import { GrpcCollector } from "../../../proxy/wire/otlp-grpc.ts";
import { HttpCollector } from "../../../proxy/wire/otlp-http.ts";
import { busyKey, startBusyRun } from "../../harness/busy-run.ts";
import { until } from "../../harness/until.ts";

const protocols = ["http/json", "http/protobuf", "grpc"] as const;
type Protocol = (typeof protocols)[number];

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}
const field = (number: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([number * 8 + 2]), varint(BigInt(bytes.length)), bytes]);

/** ExportTraceServiceResponse, of which proto3 leaves out what is zero or empty. */
function protobufAnswer(rejected: bigint, message: string): Buffer {
  const count = rejected === 0n ? [] : [Buffer.from([8]), varint(rejected)];
  const text = message === "" ? [] : [field(2, Buffer.from(message))];
  return field(1, Buffer.concat([...count, ...text]));
}

const jsonAnswer = (rejected: bigint, message: string): Buffer =>
  Buffer.from(JSON.stringify({ partialSuccess: { rejectedSpans: String(rejected), errorMessage: message } }));

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function answerIn(protocol: Protocol, rejected: bigint, message: string): Buffer {
  if (protocol === "http/json") return jsonAnswer(rejected, message);
  const bytes = protobufAnswer(rejected, message);
  return protocol === "grpc" ? framed(bytes) : bytes;
}

/** Answers every request with these bytes. */
function collectorServer(protocol: Protocol, answer: () => Buffer): Server {
  if (protocol !== "grpc")
    return createServer((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { "content-type": request.headers["content-type"] }).end(answer());
      });
    });
  const server = createHttp2Server();
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.resume().on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.end(answer());
    });
  });
  return server as unknown as Server;
}

async function listening(context: TestContext, protocol: Protocol, answer: () => Buffer): Promise<string> {
  const server = collectorServer(protocol, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("spans that a collector rejects", () => {
  for (const protocol of protocols)
    it(`are counted, with the collector's reason in the log at most once a minute: ${protocol}`, async (context) => {
      let answers = 0;
      const url = await listening(context, protocol, () => {
        answers++;
        return answerIn(protocol, 1n, "the rate of spans is too high");
      });
      const run = await startBusyRun(["--otlp-url", url, "--otlp-protocol", protocol, "--trace-ratio=1"]);
      context.after(() => run.close());
      await until("more than one request is taken in part", async () => {
        const answer = await fetch(`${run.gateway.url}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${busyKey}`, "content-type": "application/json" },
          body: JSON.stringify({ model: "chat", messages: [{ role: "user", content: "hello" }] }),
        });
        await answer.text();
        assert.ok(answers >= 2);
        const metrics = await run.gateway.metrics();
        assert.match(metrics, /^sluice_trace_spans_dropped_total\{reason="rejected"\} [2-9]/m);
        assert.match(metrics, /^sluice_trace_spans_dropped_total\{reason="not_sent"\} 0$/m);
        assert.match(metrics, /^sluice_trace_spans_total [1-9]/m);
      });
      const lines = run.gateway.logText().split("\n");
      const rejections = lines.filter((line) => line.includes("the collector rejected spans"));
      assert.equal(rejections.length, 1);
      assert.match(rejections[0] ?? "", /"err":"the rate of spans is too high","spans":1/);
    });
});

const secret = "collector-secret";
const headers = { authorization: `Bearer ${secret}` };

function collectorAt(url: string, protocol: Protocol): Collector {
  const options = { url, headers, ca: null, egress: directEgress };
  if (protocol === "grpc") return new GrpcCollector(options);
  return new HttpCollector(options, protocol === "http/json" ? "application/json" : "application/x-protobuf");
}

type Sent = Awaited<ReturnType<Collector["send"]>>;
const long = "x".repeat(1_000);

const valid: readonly (readonly [string, bigint, string, Sent])[] = [
  ["nothing", 0n, "", null],
  ["a warning", 0n, "use https", { rejected: 0, why: "use https" }],
  ["no reason", 3n, "", { rejected: 3, why: "" }],
  ["more than anyone sends", 9_223_372_036_854_775_807n, "all", { rejected: 2 ** 63, why: "all" }],
  ["a negative number", -5n, "", null],
  ["a negative number and a message", -5n, "odd", { rejected: 0, why: "odd" }],
  ["a message that never ends", 1n, long, { rejected: 1, why: long.slice(0, 200) }],
  ["a message of several lines", 1n, 'a\r\n{"level":60}\u0000\u2028b', { rejected: 1, why: 'a {"level":60} b' }],
  [
    "a message that repeats the credential",
    1n,
    `no ${secret}: ${headers.authorization}`,
    { rejected: 1, why: "no ***: ***" },
  ],
];

const json = (text: string): readonly [Protocol, Buffer] => ["http/json", Buffer.from(text)];
const protobuf = (...bytes: number[]): readonly [Protocol, Buffer] => ["http/protobuf", Buffer.from(bytes)];
const grpc = (bytes: Buffer): readonly [Protocol, Buffer] => ["grpc", bytes];

const strange: readonly (readonly [string, readonly [Protocol, Buffer], Sent])[] = [
  ["no body", json(""), null],
  ["text", json("ok"), null],
  ["null", json("null"), null],
  ["a list", json('{"partialSuccess":[1]}'), null],
  ["fields of other types", json('{"partialSuccess":{"rejectedSpans":{},"errorMessage":7}}'), null],
  ["no number", json('{"partialSuccess":{"rejectedSpans":"many"}}'), null],
  [
    "a number that no double holds",
    json('{"partialSuccess":{"rejectedSpans":1e999}}'),
    { rejected: Infinity, why: "" },
  ],
  [
    "the other spelling",
    json('{"partial_success":{"rejected_spans":2,"error_message":"b"}}'),
    { rejected: 2, why: "b" },
  ],
  ["nested without end", json("[".repeat(60_000)), null],
  ["more than is read", json(`{"partialSuccess":{"rejectedSpans":"1","errorMessage":"${"x".repeat(200_000)}"}}`), null],
  ["a length beyond the end", protobuf(10, 200, 1, 8), null],
  ["a length of 2^63", protobuf(10, ...Array<number>(9).fill(255), 1), null],
  ["a varint without end", protobuf(10, 12, 8, ...Array<number>(11).fill(255)), null],
  ["a field of no wire type", protobuf(7), null],
  [
    "fields that are not known",
    protobuf(16, 1, 25, 1, 2, 3, 4, 5, 6, 7, 8, 37, 1, 2, 3, 4, 10, 2, 8, 4),
    { rejected: 4, why: "" },
  ],
  ["a varint in place of the message", protobuf(8, 1), null],
  ["bytes that are no UTF-8", protobuf(10, 4, 18, 2, 0xc3, 0x28), { rejected: 0, why: "\ufffd(" }],
  ["less than a prefix", grpc(Buffer.from([0, 0])), null],
  ["a prefix of more than there is", grpc(Buffer.from([0, 255, 255, 255, 255, 10])), null],
  ["a compressed message", grpc(Buffer.from([1, 0, 0, 0, 4, 10, 2, 8, 4])), null],
  ["more than is read", grpc(framed(protobufAnswer(1n, "x".repeat(200_000)))), null],
];

describe("a collector's answer", () => {
  const cases = [
    ...protocols.flatMap((protocol) =>
      valid.map(([what, count, text, sent]) => [what, protocol, answerIn(protocol, count, text), sent] as const),
    ),
    ...strange.map(([what, [protocol, bytes], sent]) => [what, protocol, bytes, sent] as const),
  ];
  for (const [what, protocol, bytes, sent] of cases)
    it(`${protocol}: ${what}`, async (context) => {
      const collector = collectorAt(await listening(context, protocol, () => bytes), protocol);
      context.after(() => collector.close());
      assert.deepEqual(await collector.send("traces", Buffer.from("{}")), sent);
      // The connection is of use, or is replaced.
      assert.deepEqual(await collector.send("traces", Buffer.from("{}")), sent);
    });
});
