/** One endpoint picker: a connection of HTTP/2, with a stream of gRPC for each attempt at a server of its pool. */
import { Buffer } from "node:buffer";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type SecureClientSessionOptions,
} from "node:http2";
import { isIP } from "node:net";
import { addressAllowed, DestinationRefusedError } from "../config/destination.ts";
import type { PickerTls } from "../config/pool.ts";
import { causeInWords, causeOf } from "../wire/causes.ts";
import { GrpcMessages, grpcStatus, prefixOf, statusNames } from "../wire/grpc.ts";
import { type Picked, pickedIn, processPath, requestBody, requestHeaders, responseHeaders } from "./ext-proc.ts";

export interface PickRequest {
  headers: Readonly<Record<string, string>>;
  body: Uint8Array;
  /** The servers to choose from; null for all of the pool. */
  among: readonly string[] | null;
}

export type PickerCause = "picker_unreachable" | "picker_timeout" | "picker_failed" | "picker_invalid";

/** `why`: for the log and the status, without anything that the other side wrote. */
export type PickResult = Picked | { kind: "failed"; cause: PickerCause; why: string };

/** An attempt that the picker knows of, until `over`. */
export interface PickCall {
  readonly result: Promise<PickResult>;
  /** The server has answered with this head. */
  answered(status: number, contentType: string, served: string): void;
  over(): void;
}

/** Pieces of a body, as Envoy sends them: a gRPC server refuses messages above 4 MiB. */
const pieceBytes = 65_536;
const maxMessageBytes = 1_048_576;
const connectMs = 2_000;
/** A picker that says nothing for this long after the end of an attempt is cut off. */
const lingerMs = 5_000;

const framed = (message: Buffer): Buffer => Buffer.concat([prefixOf(message), message]);

function* piecesOf(body: Uint8Array): Generator<Buffer> {
  for (let from = 0; ; from += pieceBytes) {
    const isLast = from + pieceBytes >= body.length;
    yield framed(requestBody(body.subarray(from, from + pieceBytes), isLast));
    if (isLast) return;
  }
}

class PickStream implements PickCall {
  readonly result: Promise<PickResult>;
  readonly #stream: ClientHttp2Stream;
  #resolve: (result: PickResult) => void = () => undefined;
  #isOver = false;
  readonly #timer: NodeJS.Timeout;
  /** Of the body; null once all of it is written. */
  #pieces: Iterator<Buffer> | null;
  /** Waits for the end of the body. */
  #answer: Buffer | null = null;

  constructor(stream: ClientHttp2Stream, request: PickRequest, timeoutMs: number) {
    this.#stream = stream;
    this.result = new Promise((resolve) => void (this.#resolve = resolve));
    this.#timer = setTimeout(() => this.#fail("picker_timeout", `no answer within ${timeoutMs} ms`), timeoutMs);
    this.#listen(new GrpcMessages(maxMessageBytes));
    stream.write(framed(requestHeaders(request.headers, request.among)));
    this.#pieces = piecesOf(request.body);
    this.#pump();
  }

  #pump(): void {
    const stream = this.#stream;
    while (this.#pieces !== null) {
      const { done, value } = this.#pieces.next();
      if (done === true) this.#pieces = null;
      else if (!stream.writable) return;
      else if (!stream.write(value)) {
        stream.once("drain", () => this.#pump());
        return;
      }
    }
    if (this.#answer !== null) stream.write(this.#answer);
    if (this.#isOver) stream.end();
  }

  #listen(messages: GrpcMessages): void {
    const stream = this.#stream;
    let isChosen = false;
    let status: number | null = null;
    stream.on("response", (headers) => {
      status = grpcStatus(headers) ?? status;
      const code = headers[":status"] ?? 0;
      if (code !== 200) this.#fail("picker_failed", `HTTP status ${code}`);
    });
    stream.on("trailers", (headers) => (status = grpcStatus(headers) ?? status));
    stream.on("data", (chunk: Buffer) => {
      // Bodies that it returns are not used.
      if (isChosen) return;
      try {
        for (const message of messages.push(chunk)) {
          const picked = isChosen ? null : pickedIn(message);
          if (picked === null) continue;
          isChosen = true;
          this.#settle(picked);
        }
      } catch {
        this.#fail("picker_invalid", "its answer is not a message of ext_proc");
      }
    });
    stream.on("error", () => undefined);
    const conclude = (): void => {
      if (status === 0) this.#fail("picker_invalid", "it ended the stream without a choice");
      else if (status !== null) this.#fail("picker_failed", `gRPC status ${statusNames[status] ?? status}`);
      else this.#fail("picker_unreachable", "the connection broke");
    };
    // A picker that has ended its half says no more, and its trailers have arrived.
    stream.on("end", conclude);
    stream.on("close", conclude);
  }

  #settle(result: PickResult): void {
    clearTimeout(this.#timer);
    this.#resolve(result);
  }

  #fail(cause: PickerCause, why: string): void {
    this.#settle({ kind: "failed", cause, why });
    this.#isOver = true;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  answered(status: number, contentType: string, served: string): void {
    if (this.#isOver || !this.#stream.writable) return;
    const headers = { ":status": String(status), ...(contentType === "" ? {} : { "content-type": contentType }) };
    const answer = framed(responseHeaders(headers, served));
    if (this.#pieces === null) this.#stream.write(answer);
    else this.#answer = answer;
  }

  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#pieces === null) this.#stream.end();
    this.#stream.setTimeout(lingerMs, () => this.#stream.close(constants.NGHTTP2_CANCEL));
  }
}

const failed = (cause: PickerCause, why: string): PickCall => ({
  result: Promise.resolve({ kind: "failed", cause, why }),
  answered: () => undefined,
  over: () => undefined,
});

export class Picker {
  readonly #address: string;
  readonly #tls: PickerTls | null;
  #session: Promise<ClientHttp2Session> | null = null;

  /** `address`: `host:port` */
  constructor(address: string, tls: PickerTls | null) {
    this.#address = address;
    this.#tls = tls;
  }

  async pick(request: PickRequest, timeoutMs: number): Promise<PickCall> {
    const until = performance.now() + timeoutMs;
    try {
      const session = await (this.#session ?? this.#open(Math.min(timeoutMs, connectMs)));
      const stream = session.request({
        ":method": "POST",
        ":path": processPath,
        "content-type": "application/grpc",
        te: "trailers",
      });
      return new PickStream(stream, request, Math.max(1, Math.ceil(until - performance.now())));
    } catch (thrown) {
      return failed("picker_unreachable", causeInWords(causeOf(thrown, false)));
    }
  }

  close(): void {
    const opened = this.#session;
    this.#session = null;
    opened?.then(
      (session) => session.close(),
      () => undefined,
    );
  }

  #options(): SecureClientSessionOptions {
    const tls = this.#tls;
    if (tls === null) return {};
    const { serverName: servername, ca } = tls;
    return ca === null ? { servername, rejectUnauthorized: false } : { servername, ca };
  }

  #open(timeoutMs: number): Promise<ClientHttp2Session> {
    const opened = this.#connected(timeoutMs, () => {
      if (this.#session === opened) this.#session = null;
    });
    this.#session = opened;
    return opened;
  }

  /** `lost`: the session takes no more streams. */
  #connected(timeoutMs: number, lost: () => void): Promise<ClientHttp2Session> {
    const host = this.#address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
    return new Promise((resolve, reject) => {
      // Only addresses of Pods are published: names are not looked up.
      if (isIP(host) === 0 || !addressAllowed(host, true))
        throw new DestinationRefusedError("the picker's address is not allowed");
      const session = connect(`${this.#tls === null ? "http" : "https"}://${this.#address}`, this.#options());
      const late = Object.assign(new Error("no connection in time"), { code: "ESLUICECONNECT" });
      const timer = setTimeout(() => session.destroy(late), timeoutMs);
      session.once("connect", () => {
        clearTimeout(timer);
        resolve(session);
      });
      session.on("error", (error) => {
        reject(error);
      });
      session.on("goaway", lost);
      session.on("close", () => {
        clearTimeout(timer);
        queueMicrotask(lost);
        reject(new Error("the connection broke"));
      });
      // Its streams belong to calls, which keep the process up.
      session.unref();
    });
  }
}
