/** A connection to an OpenTelemetry collector. */
import type { Buffer } from "node:buffer";
import type { Egress } from "../config/egress/egress.ts";

/** The values of OpenTelemetry's OTEL_EXPORTER_OTLP_PROTOCOL. */
export const otlpProtocols = ["http/protobuf", "http/json", "grpc"] as const;
export type OtlpProtocol = (typeof otlpProtocols)[number];

export interface CollectorOptions {
  /** Base URL, such as http://collector:4318. */
  url: string;
  /** Whether the URL already includes the signal's path. */
  isWhole?: true;
  headers: Readonly<Record<string, string>>;
  /** File with the CA certificates to trust instead of the system's; null for none. */
  ca: string | null;
  egress: Egress;
}

export type Signal = "traces" | "metrics" | "logs";

/** `again`: whether the collector may accept the same request later. */
export type NotTaken = { why: string; again: boolean };

/** The collector accepted the request, perhaps in part. It is never sent again. */
export interface PartlyTaken {
  /** Number of rejected spans, points or log records, which may exceed the number sent; 0 if it only warns. */
  rejected: number;
  /** In the collector's words, shortened; "" if it gives no reason. */
  why: string;
}

/** Never throws: a failure is its result. */
export interface Collector {
  /** Returns null, or why the collector didn't accept it completely. The body may be overwritten afterwards. */
  send(signal: Signal, body: Buffer): Promise<NotTaken | PartlyTaken | null>;
  close(): Promise<void>;
}

export const collectorTimeoutMs = 10_000;
