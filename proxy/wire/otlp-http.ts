/** OTLP by HTTP, with JSON or Protobuf. */
import type { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { type Agent, request } from "undici";
import { causeInWords, causeOf } from "./causes.ts";
import {
  type Collector,
  type CollectorOptions,
  collectorTimeoutMs,
  type NotTaken,
  type Signal,
} from "./otlp-collector.ts";
import { collectorAgent } from "./undici-egress.ts";

export class HttpCollector implements Collector {
  readonly #options: CollectorOptions;
  readonly #contentType: string;
  #agent: Agent | null = null;

  constructor(options: CollectorOptions, contentType: string) {
    this.#options = options;
    this.#contentType = contentType;
  }

  async send(signal: Signal, body: Buffer): Promise<NotTaken | null> {
    const { url, headers, ca, egress } = this.#options;
    const abort = AbortSignal.timeout(collectorTimeoutMs);
    try {
      const dispatcher = (this.#agent ??= collectorAgent(egress, url, ca === null ? null : readFileSync(ca, "utf8")));
      const answer = await request(`${url.replace(/\/+$/, "")}/v1/${signal}`, {
        method: "POST",
        headers: { ...headers, "content-type": this.#contentType },
        body,
        signal: abort,
        dispatcher,
      });
      // Read to its end; otherwise the connection can't be reused.
      await answer.body.dump({ limit: 65_536, signal: abort });
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
