/**
 * One response of a WebSocket, as the exchange of a streamed `POST /responses`: so it passes every stage that a request
 * over HTTP passes. The answer's events become messages.
 */
import type { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { AnswerFields, ClientExchange } from "../wire/client-exchange.ts";
import { asBuffer } from "../wire/framing.ts";
import type { Body, ReadBounds } from "../wire/gathered-body.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { SseDecoder } from "../wire/sse.ts";

/** Where the messages of a response go. */
export interface ResponseSink {
  readonly socket: Socket;
  send(text: string): void;
  /** `failed`: the response did not come to its end. */
  ended(failed: boolean): void;
  /** A response that is complete, or was cut off by a limit. */
  completed(response: JsonObject): void;
  terminate(): void;
}

/** Headers of the upgrade that say nothing about the single response. */
const ofUpgrade =
  /^(?:connection|upgrade|sec-websocket-.*|content-.*|transfer-encoding|expect|x-request-id|keep-alive)$/;
/** Headers of an answer that a client reads where it was refused. */
const ofRefusal = /^(?:retry-after|x-should-retry|x-request-id|x-ratelimit-.*|x-sluice-.*)$/;
/** Events of a whole answer are as large as the gateway's own limits let them be. */
const noLimit = Number.MAX_SAFE_INTEGER;
const isLastEvent =
  /^\s*\{\s*"type"\s*:\s*"response\.(?:completed|incomplete)"|"type":"response\.(?:completed|incomplete)"/;

/** The request's headers in place of the upgrade's. */
function headersOf(upgrade: readonly string[], bodyBytes: number): string[] {
  const own: string[] = [];
  for (let index = 0; index + 1 < upgrade.length; index += 2) {
    const name = upgrade[index] ?? "";
    if (!ofUpgrade.test(name.toLowerCase())) own.push(name, upgrade[index + 1] ?? "");
  }
  return [...own, "content-type", "application/json", "content-length", String(bodyBytes)];
}

function byName(rawHeaders: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string> = {};
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? "").toLowerCase();
    headers[name] ??= rawHeaders[index + 1] ?? "";
  }
  return headers;
}

export class SocketExchange implements ClientExchange {
  readonly method = "POST";
  readonly httpVersion = "1.1";
  readonly complete = true;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly #body: Buffer;
  readonly #sink: ResponseSink;
  readonly #frames = new SseDecoder(noLimit);
  #status = 0;
  #fields: AnswerFields = {};
  #whole: Buffer[] | null = null;
  #onGone: (() => void) | null = null;
  #gone = false;
  #failed = true;
  ended = false;

  constructor(url: string, upgrade: readonly string[], body: Buffer, sink: ResponseSink) {
    this.url = url;
    this.#body = body;
    this.#sink = sink;
    this.rawHeaders = headersOf(upgrade, body.length);
    this.headers = byName(this.rawHeaders);
  }

  get socket(): Socket {
    return this.#sink.socket;
  }

  get headSent(): boolean {
    return this.#status !== 0;
  }

  whole(maxBytes: number, bounds: ReadBounds): Body {
    if (this.#body.length > maxBytes) return "too_large";
    return bounds.grow?.(this.#body.length) === false ? "no_room" : this.#body;
  }

  bodyStream(): Readable {
    return Readable.from([this.#body]);
  }

  continue(): void {}

  head(status: number, headers: AnswerFields): void {
    this.#status = status;
    this.#fields = headers;
    if (!String(headers["content-type"] ?? "").startsWith("text/event-stream")) this.#whole = [];
  }

  write(bytes: Buffer): boolean {
    if (this.#gone) return true;
    if (this.#whole !== null) this.#whole.push(bytes);
    else for (const { data } of this.#frames.push(bytes)) this.#event(data);
    return !this.socket.writableNeedDrain;
  }

  #event(data: string): void {
    this.#sink.send(data);
    if (!isLastEvent.test(data)) return;
    const event = jsonIn(data);
    if (isObject(event) && isObject(event["response"])) this.#complete(event["response"]);
  }

  #complete(response: JsonObject): void {
    this.#failed = false;
    this.#sink.completed(response);
  }

  onDrain(listener: () => void): void {
    if (this.socket.writableNeedDrain) this.socket.once("drain", listener);
    else listener();
  }

  end(bytes?: Uint8Array | string): void {
    if (this.#gone || this.ended) return;
    if (bytes !== undefined && bytes.length > 0) this.write(asBuffer(bytes));
    this.ended = true;
    if (this.#whole !== null) this.#answerWhole(this.#whole.map((piece) => piece.toString("utf8")).join(""));
    this.#sink.ended(this.#failed);
  }

  /** A refusal, or an answer that came whole. */
  #answerWhole(text: string): void {
    const answer = jsonIn(text);
    if (this.#status < 400 && isObject(answer)) {
      this.#sink.send(JSON.stringify({ type: "response.completed", sequence_number: 0, response: answer }));
      this.#complete(answer);
      return;
    }
    const error = isObject(answer) && isObject(answer["error"]) ? answer["error"] : { message: text };
    const headers = Object.fromEntries(
      Object.entries(this.#fields).flatMap(([name, value]) => (ofRefusal.test(name) ? [[name, String(value)]] : [])),
    );
    this.#sink.send(JSON.stringify({ type: "error", status: this.#status, error, headers }));
  }

  onGone(listener: () => void): void {
    this.#onGone = listener;
    if (this.#gone) listener();
  }

  /** The connection is gone. */
  lose(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (!this.ended) this.#onGone?.();
  }

  destroy(): void {
    this.#sink.terminate();
  }
}
