/** Audit records to a collector, by OTLP over HTTP or gRPC. */
import { readFileSync } from "node:fs";
import { directEgress, type Egress } from "../config/egress/egress.ts";
import type { Collector, OtlpProtocol } from "../wire/otlp-collector.ts";
import { GrpcCollector } from "../wire/otlp-grpc.ts";
import { HttpCollector } from "../wire/otlp-http.ts";
import { logsRequest } from "./otlp-records.ts";
import type { AuditSink, RefusedRecords } from "./sink.ts";

export interface OtlpSinkOptions {
  /** By HTTP the collector's `/v1/logs`; by gRPC without a path. */
  url: string;
  headers?: Readonly<Record<string, string>>;
  /** File with the certificates to trust instead of the system's. */
  ca?: string | null;
  protocol?: OtlpProtocol;
  egress?: Egress;
}

export class OtlpSink implements AuditSink {
  readonly name = "otlp";
  readonly durable = false;
  readonly #protocol: OtlpProtocol;
  readonly #collector: Collector;

  /** Throws if the file with certificates can't be read. */
  constructor({ url, headers = {}, ca = null, protocol = "http/json", egress = directEgress }: OtlpSinkOptions) {
    if (ca !== null) readFileSync(ca);
    const options = { url, headers, ca, egress };
    this.#protocol = protocol;
    this.#collector =
      protocol === "grpc"
        ? new GrpcCollector(options)
        : new HttpCollector(
            { ...options, isWhole: true },
            protocol === "http/json" ? "application/json" : "application/x-protobuf",
          );
  }

  async write(lines: string, refused?: (what: RefusedRecords) => void): Promise<void> {
    const answer = await this.#collector.send("logs", logsRequest(lines, this.#protocol));
    if (answer === null) return;
    if ("again" in answer) throw new Error(answer.why);
    refused?.({ records: answer.rejected, why: answer.why });
  }

  async close(): Promise<void> {
    await this.#collector.close();
  }
}
