/** An OpenTelemetry collector, spoken to by OTLP over HTTP with JSON. */
import type { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { Agent, request } from "undici";
import { causeInWords, causeOf } from "./causes.ts";

export interface CollectorOptions {
  /** Base URL, such as http://collector:4318. */
  url: string;
  headers: Readonly<Record<string, string>>;
  /** File with the CA certificates to trust instead of the system's; null for none. */
  ca: string | null;
}

const timeoutMs = 10_000;

/** One collector. Never throws: a failure is its result. */
export class Collector {
  readonly #options: CollectorOptions;
  #agent: Agent | null = null;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** `path`: /v1/traces or /v1/metrics. Returns null, or why the collector didn't take it. */
  async post(path: string, body: string | Buffer): Promise<{ why: string; again: boolean } | null> {
    const { url, headers, ca } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const dispatcher = (this.#agent ??= new Agent({
        connections: 1,
        ...(ca === null ? {} : { connect: { ca: readFileSync(ca) } }),
      }));
      const answer = await request(`${url.replace(/\/+$/, "")}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body,
        signal,
        dispatcher,
      });
      // Read to its end; otherwise the connection can't be reused.
      await answer.body.dump({ limit: 65_536, signal });
      const { statusCode } = answer;
      if (statusCode >= 200 && statusCode < 300) return null;
      return { why: `the collector answered ${statusCode}`, again: statusCode === 429 || statusCode >= 502 };
    } catch (thrown) {
      // By the next time the file may hold a renewed authority.
      const agent = this.#agent;
      this.#agent = null;
      await agent?.destroy();
      const late = (thrown as { name?: unknown }).name === "TimeoutError";
      return {
        why: `the collector is not reached: ${causeInWords(late ? "answer_timeout" : causeOf(thrown, false))}`,
        again: true,
      };
    }
  }

  async close(): Promise<void> {
    await this.#agent?.close();
  }
}
