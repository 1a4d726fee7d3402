/** What speaks OTLP to an OpenTelemetry collector. */
import type { Buffer } from "node:buffer";
import type { Egress } from "../config/egress/egress.ts";

/** As OpenTelemetry's OTEL_EXPORTER_OTLP_PROTOCOL. */
export const otlpProtocols = ["http/protobuf", "http/json", "grpc"] as const;
export type OtlpProtocol = (typeof otlpProtocols)[number];

export interface CollectorOptions {
  /** Base URL, such as http://collector:4318. */
  url: string;
  /** Whether the URL has the signal's path already. Absent: it has not. */
  isWhole?: true;
  headers: Readonly<Record<string, string>>;
  /** File with the CA certificates to trust instead of the system's; null for none. */
  ca: string | null;
  egress: Egress;
}

export type Signal = "traces" | "metrics" | "logs";

/** `again`: whether the same may be taken later. */
export type NotTaken = { why: string; again: boolean };

/** The collector took the request; the same is never sent again. */
export interface PartlyTaken {
  /** Spans, points or log records that it rejected, of which it may name more than it was sent; 0 if it only warns. */
  rejected: number;
  /** In the collector's words, shortened; "" if it gives no reason. */
  why: string;
}

/** Never throws: a failure is its result. */
export interface Collector {
  /** Returns null, or why the collector didn't take it or all of it. The body can be written over afterwards. */
  send(signal: Signal, body: Buffer): Promise<NotTaken | PartlyTaken | null>;
  close(): Promise<void>;
}

export const collectorTimeoutMs = 10_000;
