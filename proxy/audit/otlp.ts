/**
 * Audit records as OpenTelemetry logs, by OTLP over HTTP with JSON (opentelemetry-proto, logs/v1). The whole line is the
 * body, so that a chain can be verified from what a collector kept.
 */
import type { AuditSink } from "./sink.ts";

const timeoutMs = 10_000;

interface Line {
  time: string;
  type: string;
}

export class OtlpSink implements AuditSink {
  readonly name = "otlp";
  readonly durable = false;
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** `url`: of the collector's `/v1/logs`. */
  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#headers = headers;
  }

  async write(lines: string): Promise<void> {
    const logRecords = lines
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const { time, type } = JSON.parse(line) as Line;
        return {
          timeUnixNano: String(BigInt(Date.parse(time)) * 1_000_000n),
          severityNumber: 9,
          severityText: "INFO",
          eventName: `sluice.audit.${type}`,
          body: { stringValue: line },
        };
      });
    const resource = { attributes: [{ key: "service.name", value: { stringValue: "sluice-proxy" } }] };
    const body = JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ scope: { name: "sluice.audit" }, logRecords }] }] });
    const headers = { "content-type": "application/json", ...this.#headers };
    const answer = await fetch(this.#url, { method: "POST", headers, body, redirect: "error", signal: AbortSignal.timeout(timeoutMs) });
    if (!answer.ok) throw new Error(`the collector answered ${answer.status}`);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
