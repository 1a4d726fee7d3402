/** OTLP over HTTP, as JSON or Protobuf. */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { type Agent, type Dispatcher, request } from "undici";
import { causeInWords, causeOf } from "./causes.ts";
import { maxCollectorAnswer, partlyTaken } from "./otlp-answer.ts";
import {
  type Collector,
  type CollectorOptions,
  collectorTimeoutMs,
  type NotTaken,
  type PartlyTaken,
  type Signal,
} from "./otlp-collector.ts";
import { collectorAgent } from "./undici-egress.ts";

/** Read to its end, since otherwise the connection can't be reused; null if it is too long. */
async function wholeBody(body: Dispatcher.ResponseData["body"]): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early destroys the body, which emits an error.
  body.on("error", () => undefined);
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxCollectorAnswer) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

export class HttpCollector implements Collector {
  readonly #options: CollectorOptions;
  readonly #contentType: string;
  #agent: Agent | null = null;

  constructor(options: CollectorOptions, contentType: string) {
    this.#options = options;
    this.#contentType = contentType;
  }

  async send(signal: Signal, body: Buffer): Promise<NotTaken | PartlyTaken | null> {
    const { url, headers, ca, egress, isWhole } = this.#options;
    const abort = AbortSignal.timeout(collectorTimeoutMs);
    try {
      const dispatcher = (this.#agent ??= collectorAgent(egress, url, ca === null ? null : readFileSync(ca, "utf8")));
      const answer = await request(isWhole === true ? url : `${url.replace(/\/+$/, "")}/v1/${signal}`, {
        method: "POST",
        headers: { ...headers, "content-type": this.#contentType },
        body,
        signal: abort,
        dispatcher,
      });
      const bytes = await wholeBody(answer.body);
      const { statusCode } = answer;
      if (statusCode >= 200 && statusCode < 300)
        return bytes === null ? null : partlyTaken(bytes, this.#contentType === "application/json", headers);
      return { why: `the collector answered ${statusCode}`, again: statusCode === 429 || statusCode >= 502 };
    } catch (thrown) {
      // The file may contain a renewed authority by the next attempt.
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
