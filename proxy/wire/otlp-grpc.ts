/** OTLP over gRPC: unary calls on one HTTP/2 connection. */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { tunnelThrough } from "../config/egress/tunnel.ts";
import { causeInWords, causeOf } from "./causes.ts";
import { grpcStatus, prefixBytes, prefixOf, statusNames } from "./grpc.ts";
import { maxCollectorAnswer, partlyTaken } from "./otlp-answer.ts";
import {
  type Collector,
  type CollectorOptions,
  collectorTimeoutMs,
  type NotTaken,
  type PartlyTaken,
  type Signal,
} from "./otlp-collector.ts";

const paths: Readonly<Record<Signal, string>> = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** Codes after which, by the OTLP specification, a client may send again. */
const passing: ReadonlySet<string | undefined> = new Set([
  ...["CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"],
]);

interface Answer {
  httpStatus: number;
  /** null if the answer has none. */
  status: number | null;
  /** The first bytes of its body, up to a bound. */
  body: Buffer;
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const answer = { httpStatus: 0, status: null as number | null };
    const chunks: Buffer[] = [];
    let size = 0;
    stream.on("response", (headers) => {
      answer.httpStatus = headers[":status"] ?? 0;
      answer.status = grpcStatus(headers);
    });
    stream.on("trailers", (headers: IncomingHttpHeaders) => (answer.status = grpcStatus(headers) ?? answer.status));
    stream.on("error", reject);
    stream.on("close", () => resolve({ ...answer, body: Buffer.concat(chunks) }));
    stream.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= prefixBytes + maxCollectorAnswer) chunks.push(chunk);
    });
  });
}

/** The only message of the answer; empty if it is cut off, or compressed, which was not requested. */
function messageIn({ body }: Answer): Buffer {
  if (body.length < prefixBytes || body[0] !== 0) return Buffer.alloc(0);
  const end = prefixBytes + body.readUInt32BE(1);
  return end > body.length ? Buffer.alloc(0) : body.subarray(prefixBytes, end);
}

function failureIn({ httpStatus, status }: Answer): NotTaken | null {
  if (status === 0) return null;
  if (status !== null) {
    const name = statusNames[status] ?? String(status);
    return { why: `the collector answered ${name}`, again: passing.has(name) };
  }
  if (httpStatus === 0) return { why: "the collector closed the connection", again: true };
  return { why: `the collector answered ${httpStatus} without a gRPC status`, again: httpStatus >= 429 };
}

function inWords(thrown: unknown, late: boolean): string {
  // A stream ends with its connection, whose error is the cause.
  const { cause = thrown } = thrown as { cause?: unknown };
  if (late) return causeInWords("answer_timeout");
  const { code } = cause as { code?: unknown };
  const spoken = typeof code !== "string" || !code.startsWith("ERR_HTTP2");
  return spoken ? causeInWords(causeOf(cause, false)) : "it does not speak gRPC there";
}

export class GrpcCollector implements Collector {
  readonly #options: CollectorOptions;
  #session: ClientHttp2Session | null = null;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  async send(signal: Signal, body: Buffer): Promise<NotTaken | PartlyTaken | null> {
    const abort = AbortSignal.timeout(collectorTimeoutMs);
    try {
      const session = await this.#open(abort);
      const stream = session.request(
        {
          ...this.#options.headers,
          ":method": "POST",
          ":path": paths[signal],
          "content-type": "application/grpc",
          te: "trailers",
          "grpc-timeout": `${collectorTimeoutMs}m`,
        },
        { signal: abort },
      );
      const answer = answerOf(stream);
      stream.write(prefixOf(body));
      stream.end(body);
      const answered = await answer;
      return failureIn(answered) ?? partlyTaken(messageIn(answered), false, this.#options.headers);
    } catch (thrown) {
      // The file may contain a renewed authority by the next attempt.
      this.#session?.destroy();
      this.#session = null;
      return { why: `the collector is not reached: ${inWords(thrown, abort.aborted)}`, again: true };
    }
  }

  async close(): Promise<void> {
    const session = this.#session;
    if (session === null || session.closed || session.destroyed) return;
    await new Promise<void>((resolve) => session.close(resolve));
  }

  async #open(signal: AbortSignal): Promise<ClientHttp2Session> {
    const cached = this.#session;
    if (cached !== null && !cached.closed && !cached.destroyed) return cached;
    const { url, ca, egress } = this.#options;
    const trust = ca === null ? {} : { ca: readFileSync(ca) };
    const tunnel = await tunnelThrough(egress, new URL(url), { ...trust, ALPNProtocols: ["h2"] }, signal);
    const session = connect(url, tunnel === null ? trust : { createConnection: () => tunnel });
    // The current call fails with the same error.
    session.on("error", () => undefined);
    this.#session = session;
    return session;
  }
}
