/**
 * HTTP/1.1 parsing by Node's own llhttp in strict mode, the parser behind node:http. This is the only file that uses it
 * directly; docs/decisions/0014-own-http1.md says why, and test/proxy/http1-parser.test.ts fails if Node changes it.
 */
import type { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";

/** The part of the native parser that is used. Numbered properties are its callbacks. */
interface NativeParser {
  [callback: number]: unknown;
  initialize(type: number, resource: object, maxHeaderBytes: number, lenient: number): void;
  execute(bytes: Buffer): number | Error;
  finish(): Error | undefined;
  remove(): void;
  close(): void;
}

interface Native {
  HTTPParser: {
    new (): NativeParser;
    readonly [constant: string]: number;
  };
  methods: readonly string[];
}

const native = process.getBuiltinModule("node:_http_common") as unknown as Native;
const { HTTPParser } = native;
const names = [
  "REQUEST",
  "RESPONSE",
  "kOnMessageBegin",
  "kOnHeaders",
  "kOnHeadersComplete",
  "kOnBody",
  "kOnMessageComplete",
  "kLenientNone",
] as const;
const constant = Object.fromEntries(names.map((name) => [name, HTTPParser[name] ?? -1])) as Record<
  (typeof names)[number],
  number
>;

/** The start line and headers of a message. */
export interface MessageHead {
  /** "" in a response. */
  method: string;
  /** "" in a response. */
  url: string;
  /** 0 in a request. */
  status: number;
  httpVersion: string;
  /** Names and values alternately, as sent. */
  rawHeaders: string[];
  /** Whether the connection can be used after this message. */
  keepAlive: boolean;
  /** Whether the message asks for another protocol, so that what follows may not be HTTP. */
  upgrade: boolean;
  /** A request's fields by name, once they were asked for. Requests may share this object, so never change it. */
  byName: IncomingHttpHeaders | null;
}

/** Called while bytes are parsed: must not write to a socket. */
export interface MessageSink {
  /** A message begins. */
  begin?(): void;
  /**
   * Returns false if no body follows, whatever the headers say (RFC 9112, section 6.3), and "other" if what follows
   * belongs to the protocol that the message asks for.
   */
  head(head: MessageHead): boolean | "other";
  body(piece: Buffer): void;
  complete(): void;
}

/** A parser, and what its callbacks need. */
interface Bound extends NativeParser {
  sink: MessageSink;
  isRequest: boolean;
  /** Headers beyond the 32 that the parser keeps itself. */
  flushed: string[];
  flushedUrl: string;
  /** Headers after the head are trailers, which are dropped. */
  inBody: boolean;
  /** Whether a part of a message has arrived. */
  began: boolean;
  /** Whether it must be initialised before it can read another message. */
  spent: boolean;
  maxHeaderBytes: number;
}

function onMessageBegin(this: Bound): void {
  this.began = true;
  this.sink.begin?.();
}

function onHeaders(this: Bound, headers: string[], url: string): void {
  if (this.inBody) return;
  this.flushed.push(...headers);
  this.flushedUrl += url;
}

/** Return values that the parser defines: 0, a body may follow; 1, none does; 2, another protocol does. */
const [bodyFollows, noBody, otherProtocol] = [0, 1, 2];

function onHeadersComplete(
  this: Bound,
  major: number,
  minor: number,
  headers: string[] | undefined,
  method: number,
  url: string | undefined,
  status: number,
  _reason: string,
  upgrade: boolean,
  keepAlive: boolean,
): number {
  const { isRequest } = this;
  const rawHeaders = headers ?? this.flushed;
  const target = isRequest ? (url ?? this.flushedUrl) : "";
  if (headers === undefined) {
    this.flushed = [];
    this.flushedUrl = "";
  }
  this.inBody = true;
  const httpVersion = major === 1 && minor === 1 ? "1.1" : `${major}.${minor}`;
  const follows = this.sink.head({
    method: isRequest ? (native.methods[method] ?? "") : "",
    url: target,
    status: isRequest ? 0 : status,
    httpVersion,
    rawHeaders,
    keepAlive,
    upgrade,
    byName: null,
  });
  if (follows === "other" || !keepAlive || upgrade) this.spent = true;
  if (follows === "other") return otherProtocol;
  return follows ? bodyFollows : noBody;
}

function onBody(this: Bound, piece: Buffer): void {
  this.sink.body(piece);
}

function onMessageComplete(this: Bound): void {
  this.inBody = false;
  this.began = false;
  this.sink.complete();
}

const noResource = {};
const headerOverflow = "HPE_HEADER_OVERFLOW";

/** null: all bytes were read. unread: the rest belongs to another protocol. */
export type ParseResult = null | "malformed" | "headers_too_large" | { unreadFrom: number };

function failureOf(error: Error): "malformed" | "headers_too_large" {
  return (error as { code?: unknown }).code === headerOverflow ? "headers_too_large" : "malformed";
}

const noSink: MessageSink = { head: () => true, body: () => undefined, complete: () => undefined };

function made(isRequest: boolean): Bound {
  const parser = Object.assign(new HTTPParser(), {
    sink: noSink,
    isRequest,
    flushed: [],
    flushedUrl: "",
    inBody: false,
    began: false,
    spent: true,
    maxHeaderBytes: 0,
  });
  parser[constant.kOnMessageBegin] = onMessageBegin;
  parser[constant.kOnHeaders] = onHeaders;
  parser[constant.kOnHeadersComplete] = onHeadersComplete;
  parser[constant.kOnBody] = onBody;
  parser[constant.kOnMessageComplete] = onMessageComplete;
  return parser;
}

/** Parsers that no connection is using. */
const idle = { request: [] as Bound[], response: [] as Bound[] };
const maxIdle = 64;

/**
 * A native parser takes 10 KB, so a connection has one only while a message is arriving: most connections wait for an
 * answer, or for the next request.
 */
export class MessageParser {
  readonly #type: "request" | "response";
  readonly #sink: MessageSink;
  readonly #maxHeaderBytes: number;
  #native: Bound | null = null;

  constructor(type: "request" | "response", sink: MessageSink, maxHeaderBytes: number) {
    this.#type = type;
    this.#sink = sink;
    this.#maxHeaderBytes = maxHeaderBytes;
  }

  #taken(): Bound {
    const isRequest = this.#type === "request";
    const parser = idle[this.#type].pop() ?? made(isRequest);
    if (parser.spent || parser.maxHeaderBytes !== this.#maxHeaderBytes) {
      const type = isRequest ? constant.REQUEST : constant.RESPONSE;
      parser.initialize(type, noResource, this.#maxHeaderBytes, constant.kLenientNone);
      parser.maxHeaderBytes = this.#maxHeaderBytes;
      parser.spent = false;
    }
    parser.sink = this.#sink;
    this.#native = parser;
    return parser;
  }

  /** Whether it is between messages. */
  get idle(): boolean {
    return this.#native === null;
  }

  /** Parses what arrived. The bytes may be overwritten afterwards. */
  read(bytes: Buffer): ParseResult {
    const native = this.#native ?? this.#taken();
    const read = native.execute(bytes);
    if (typeof read !== "number") return failureOf(read);
    // After the last message of a connection, the parser stays, to refuse anything that follows.
    if (!native.began && !native.spent) this.release();
    return read === bytes.length ? null : { unreadFrom: read };
  }

  /** Gives up the native parser between messages. Must not be called while it reads. */
  release(): void {
    const native = this.#native;
    this.#native = null;
    if (native === null) return;
    native.sink = noSink;
    native.began = false;
    native.inBody = false;
    if (native.flushed.length > 0) native.flushed = [];
    native.flushedUrl = "";
    if (idle[this.#type].length < maxIdle) idle[this.#type].push(native);
    else native.close();
  }

  /** The other side will send no more. Returns false if that cuts a message off. */
  finish(): boolean {
    return this.#native === null || this.#native.finish() === undefined;
  }

  /** Drops the native parser. Must not be called while it reads. */
  close(): void {
    this.#native?.close();
    this.#native = null;
  }
}
