/**
 * Audit records as OpenTelemetry logs, by OTLP over HTTP with JSON (opentelemetry-proto, logs/v1). The body is the whole
 * line, so that a chain can be verified from what a collector kept.
 */
import { readFileSync } from "node:fs";
import { type Agent, request } from "undici";
import { directEgress, type Egress } from "../config/egress/egress.ts";
import { causeInWords, causeOf } from "../wire/causes.ts";
import { collectorAgent } from "../wire/undici-egress.ts";
import type { AuditSink } from "./sink.ts";

const timeoutMs = 10_000;

/** Why the collector was not reached, without any other detail of the error. */
function why(thrown: unknown): string {
  return causeInWords(
    (thrown as { name?: unknown }).name === "TimeoutError" ? "answer_timeout" : causeOf(thrown, false),
  );
}

interface Line {
  time: string;
  type: string;
}

export class OtlpSink implements AuditSink {
  readonly name = "otlp";
  readonly durable = false;
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #ca: string | null;
  readonly #egress: Egress;
  /** null: the next write opens a new connection. */
  #agent: Agent | null;

  /**
   * `url`: the collector's `/v1/logs`. `ca`: file with the certificates to trust instead of the system's. Throws if it
   * can't be read.
   */
  constructor(
    url: string,
    headers: Readonly<Record<string, string>>,
    ca: string | null = null,
    egress: Egress = directEgress,
  ) {
    this.#egress = egress;
    this.#url = url;
    this.#headers = headers;
    this.#ca = ca;
    this.#agent = this.#newAgent();
  }

  #newAgent(): Agent {
    // Writes are sequential.
    return collectorAgent(this.#egress, this.#url, this.#ca === null ? null : readFileSync(this.#ca, "utf8"));
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
    const body = JSON.stringify({
      resourceLogs: [{ resource, scopeLogs: [{ scope: { name: "sluice.audit" }, logRecords }] }],
    });
    const headers = { "content-type": "application/json", ...this.#headers };
    const status = await this.#post(headers, body);
    if (status < 200 || status > 299) throw new Error(`the collector answered ${status}`);
  }

  async #post(headers: Record<string, string>, body: string): Promise<number> {
    const dispatcher = (this.#agent ??= this.#newAgent());
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const answer = await request(this.#url, { method: "POST", headers, body, signal, dispatcher });
      // Read to its end; otherwise the connection can't be reused.
      await answer.body.dump({ limit: 65_536, signal });
      return answer.statusCode;
    } catch (cause) {
      // By the next write the file may hold a renewed authority.
      this.#agent = null;
      await dispatcher.destroy();
      throw new Error(`the collector is not reached: ${why(cause)}`, { cause });
    }
  }

  async close(): Promise<void> {
    await this.#agent?.close();
  }
}
