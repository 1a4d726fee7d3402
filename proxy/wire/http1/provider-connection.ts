/** A keep-alive connection to a provider, with one call at a time. */
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { ConnectionOwner, ProviderConnection, UpstreamRequest, WireCall, WireHandler } from "../provider-wire.ts";
import type { TextBytes } from "../text-bytes.ts";
import { WriteWatch } from "../write-watch.ts";
import { AnswerBody, framingOf, malformed } from "./answer-body.ts";
import type { Connecting, Connector } from "./connector.ts";
import { responseFields } from "./fields.ts";
import { type MessageHead, MessageParser, type MessageSink } from "./parser.ts";
import { bytesOf, requestHead } from "./request-head.ts";
import { headText, maxUsualBytes, usualResponse } from "./usual-head.ts";
import { writeJoined } from "./writes.ts";

const maxHeaderBytes = 16_384;

/** How long an idle connection is kept, in milliseconds, unless the provider gives a limit. */
const idleMs = 30_000;
const maxIdleMs = 300_000;
/** Subtracted from the provider's own limit, because the next request needs time to arrive. */
const idleMarginMs = 2_000;

class NotHttpError extends Error {
  override readonly name = "NotHttpError";
  readonly code = "ESLUICENOTHTTP";
}

class ClosedError extends Error {
  override readonly name = "ClosedError";
  readonly code = "ESLUICECLOSED";
}

/** How long the provider keeps an idle connection; null if it gives no limit. */
function keepAliveMsOf(field: string | string[] | undefined): number | null {
  if (typeof field !== "string") return null;
  const seconds = /timeout=(\d+)/i.exec(field)?.[1];
  return seconds === undefined ? null : Math.min(maxIdleMs, Number(seconds) * 1_000 - idleMarginMs);
}

/** The kernel refused bytes, so the provider did not get the whole request and can't have acted on it. */
function wasNotSent(error: Error): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return syscall === "write" && (code === "EPIPE" || code === "ECONNRESET");
}

/** Some servers send an empty line after an answer, which the parser skips before the next one. */
function isBlank(bytes: Buffer, from: number): boolean {
  for (let offset = from; offset < bytes.length; offset++)
    if (bytes[offset] !== 13 && bytes[offset] !== 10) return false;
  return true;
}

class Running implements WireCall {
  /** null once it can't be sent again, so that a long answer doesn't keep its body. */
  request: UpstreamRequest | null;
  readonly handler: WireHandler;
  /** The call that replaces it on another connection. */
  instead: WireCall | null = null;
  readonly #connection: Http1Connection;

  constructor(request: UpstreamRequest, handler: WireHandler, connection: Http1Connection) {
    this.request = request;
    this.handler = handler;
    this.#connection = connection;
  }

  abort(): void {
    if (this.instead === null) this.#connection.abort(this);
    else this.instead.abort();
  }

  pause(): void {
    if (this.instead === null) this.#connection.pause(this);
    else this.instead.pause();
  }

  resume(): void {
    if (this.instead === null) this.#connection.resume(this);
    else this.instead.resume();
  }
}

export class Http1Connection implements ProviderConnection, MessageSink {
  place = -1;
  readonly #owner: ConnectionOwner;
  readonly #host: string;
  readonly #writing: WriteWatch;
  /** null while a tunnel through the egress proxy is opened. */
  #socket: Socket | null = null;
  readonly #connecting: Connecting;
  readonly #parser: MessageParser;
  readonly #body = new AnswerBody();
  /** Whether the body is read here rather than by the parser. */
  #ownBody = false;
  #connected = false;
  #running: Running | null = null;
  /** Whether the final head has arrived; those with status 1xx come before. */
  #headed = false;
  #keeps = true;
  #isFirst = true;
  #idleForMs = idleMs;
  #idleUntilMs = 0;
  /** Whether the last read brought more than the answer. */
  #unasked = false;
  #error: Error | null = null;

  constructor(owner: ConnectionOwner, connector: Connector, writeMs: number) {
    this.#owner = owner;
    this.#host = connector.host;
    this.#writing = new WriteWatch(writeMs);
    this.#parser = new MessageParser("response", this, maxHeaderBytes);
    this.#connecting = connector.connect({
      take: (bytes) => this.#read(bytes),
      socket: (socket) => this.#adopt(socket),
      connected: () => {
        this.#connected = true;
        this.#write();
      },
      failed: (error) => {
        this.#error = error;
        this.#closed();
      },
    });
  }

  #adopt(socket: Socket): void {
    this.#socket = socket;
    socket.on("error", (error: Error) => {
      this.#error = error;
    });
    socket.on("end", () => {
      // An answer may end with its connection.
      if (this.#ownBody && this.#body.endsWithConnection) this.#end();
      else if (this.#headed) this.#parser.finish();
      socket.destroy();
    });
    socket.on("close", () => this.#closed());
    // Its end is an event of node:stream, which needs the stream to flow.
    socket.resume();
  }

  usable(): boolean {
    return this.#socket?.destroyed === false && performance.now() < this.#idleUntilMs;
  }

  send(request: UpstreamRequest, handler: WireHandler): WireCall {
    const running = new Running(request, handler, this);
    this.#running = running;
    this.#headed = false;
    this.#ownBody = false;
    this.#socket?.ref();
    if (this.#connected) this.#write();
    return running;
  }

  pause(running: Running): void {
    if (this.#running === running) this.#socket?.pause();
  }

  resume(running: Running): void {
    if (this.#running === running) this.#socket?.resume();
  }

  abort(running: Running): void {
    if (this.#running !== running) return;
    this.#running = null;
    this.#owner.released(this, false);
  }

  #write(): void {
    const running = this.#running;
    const request = running?.request ?? null;
    const socket = this.#socket;
    if (running === null || request === null || socket === null || socket.destroyed) return;
    const body = bytesOf(request.body);
    let head: TextBytes;
    try {
      head = requestHead(request, this.#host, body?.length ?? null);
    } catch (cause) {
      socket.destroy(cause as Error);
      return;
    }
    if (body === null || body.length === 0) socket.write(head.toString("latin1"), "latin1");
    else writeJoined(socket, head, body);
    // A connection that had been idle may have been closed by the provider, which shows when it is written to.
    if (this.#isFirst) running.request = null;
    running.handler.requestSent();
    this.#writing.begin(socket);
  }

  #read(bytes: Buffer): boolean {
    // Without a call under way, the provider must not send anything.
    this.#unasked = this.#running === null;
    if (this.#running !== null) {
      this.#running.request = null;
      if (!this.#take(bytes)) this.#socket?.destroy(new NotHttpError("the answer is not HTTP/1.1"));
    }
    if (this.#unasked) this.#socket?.destroy(new NotHttpError("the connection has more than the answer"));
    return true;
  }

  /** Returns false if the answer is malformed. */
  #take(bytes: Buffer): boolean {
    let from = 0;
    const text = this.#ownBody || !this.#parser.idle ? null : headText(bytes, 0, maxUsualBytes);
    const usual = text === null ? null : usualResponse(text);
    if (text !== null && usual !== null) {
      this.head(usual);
      from = text.length;
    } else if (!this.#ownBody) {
      const result = this.#parser.read(bytes);
      if (typeof result === "string") return false;
      // Set by the head.
      if (!(this.#ownBody as boolean)) return result === null;
      this.#parser.release();
      from = result === null ? bytes.length : result.unreadFrom;
    }
    const end = this.#body.read(bytes, from);
    const piece = this.#body.take();
    if (piece !== null) this.#running?.handler.data(piece);
    if (end < 0) return end !== malformed;
    this.#end();
    if (!isBlank(bytes, end)) this.#unasked = true;
    return true;
  }

  begin(): void {
    if (this.#running === null) this.#unasked = true;
  }

  head(head: MessageHead): boolean | "other" {
    const running = this.#running;
    if (running === null) return true;
    // No request asks for another protocol.
    if (head.status === 101) this.#unasked = true;
    if (head.status >= 200) {
      this.#headed = true;
      this.#keeps = head.keepAlive && !head.upgrade;
      const fields = responseFields(head.rawHeaders);
      this.#idleForMs = keepAliveMsOf(fields["keep-alive"]) ?? idleMs;
      const framing = framingOf(head.status, fields);
      this.#ownBody = framing !== null && head.status !== 101;
      if (framing !== null) this.#body.begin(framing, Number(fields["content-length"] ?? 0));
      running.handler.head(head.status, fields);
    }
    return this.#ownBody ? "other" : true;
  }

  body(piece: Buffer): void {
    if (this.#headed) this.#running?.handler.data(piece);
  }

  /** From the parser, for which the message ends with the head if the body is read here. */
  complete(): void {
    if (!this.#ownBody) this.#end();
  }

  #end(): void {
    const running = this.#running;
    this.#ownBody = false;
    if (running === null || !this.#headed) return;
    this.#running = null;
    this.#headed = false;
    this.#isFirst = false;
    this.#writing.end();
    // If a request was answered before it was sent completely, it would still be arriving when the next one starts.
    const socket = this.#socket;
    const reusable = this.#keeps && socket?.writableLength === 0 && this.#idleForMs > 0;
    if (reusable) {
      this.#idleUntilMs = performance.now() + this.#idleForMs;
      socket.unref();
      socket.resume();
    }
    this.#owner.released(this, reusable);
    running.handler.end();
  }

  #closed(): void {
    const running = this.#running;
    this.#running = null;
    this.#parser.close();
    if (running === null) {
      this.#owner.disconnected(this);
      return;
    }
    this.#owner.released(this, false);
    const error = this.#error ?? new ClosedError("the connection was closed before the answer's end");
    const { request, handler } = running;
    if (request === null || !wasNotSent(error)) handler.failed(error);
    else running.instead = this.#owner.again(request, handler);
  }

  destroy(): void {
    if (this.#socket === null) {
      this.#connecting.destroy();
      this.#parser.close();
    } else this.#socket.destroy();
  }
}
