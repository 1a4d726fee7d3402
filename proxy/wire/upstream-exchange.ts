/** One call to an upstream: passes on what arrives, in the order and pieces that suit its handler. */
import { Buffer } from "node:buffer";
import { causeOf, isOfConnecting, type UpstreamCause } from "./causes.ts";
import { encodingsOf, Inflater } from "./inflate.ts";
import { Pacer } from "./pacer.ts";
import type { ResponseHeaders, WireCall, WireHandler } from "./provider-wire.ts";
import { atEndOfTick, type Task } from "./tick-batch.ts";

/**
 * connect: no connection (refused, DNS, TLS). writeTimeout: it stopped reading the request. reset: broke after
 * connecting. aborted: by the gateway. undecodable: compressed in a form that can't be inflated.
 */
export type UpstreamErrorKind =
  | "connect"
  | "connectTimeout"
  | "writeTimeout"
  | "reset"
  | "aborted"
  | "refused"
  | "undecodable";

export interface UpstreamHandler {
  /** Whether a stream's content has begun, so that data arriving shortly after may be gathered. */
  readonly gathers?: boolean;
  head(status: number, headers: ResponseHeaders): void;
  /** Returns false to pause reading until `resume`. */
  data(chunk: Buffer): boolean;
  end(): void;
  error(kind: UpstreamErrorKind, cause: Error): void;
}

export interface UpstreamCall {
  abort(): void;
  resume(): void;
  /** Whether all of the request was handed to a connection, so that the upstream may act on it and charge for it. */
  readonly sent: boolean;
}

const kinds: Partial<Record<UpstreamCause, UpstreamErrorKind>> = {
  address_not_allowed: "refused",
  connect_timeout: "connectTimeout",
  write_timeout: "writeTimeout",
};

export function kindOf(error: Error, started: boolean): UpstreamErrorKind {
  const cause = causeOf(error, started);
  return kinds[cause] ?? (isOfConnecting(cause) ? "connect" : "reset");
}

/** Largest size, in bytes, up to which pieces are joined. */
const maxJoinedBytes = 65_536;

/**
 * Reading pauses as soon as this much was received but not passed on: one turn of the event loop may read megabytes from
 * a fast upstream, which would stay in memory for a slow client. Less than a full read, so that two never wait.
 */
const maxArrivedBytes = 32_768;

/** Most bytes that are gathered for the pacer. Passing on more at once costs nothing. */
const maxGatheredBytes = 16_384;

const ended = "ended";
const noPieces: Buffer[] = [];

const unpaced = new Pacer(0);

/**
 * What arrives in a turn of the event loop is passed on at its end: the head, then data, then the end. Once a stream has
 * begun, the pacer may gather the data of several turns.
 */
export class UpstreamExchange implements WireHandler, UpstreamCall, Task {
  readonly #handler: UpstreamHandler;
  #call: WireCall | null = null;
  readonly #pacer: Pacer;
  #scheduled = false;
  /** Whether it waits for the pacer instead. */
  #gathering = false;
  /** When data was last passed on. */
  #handedMs = Number.NEGATIVE_INFINITY;
  /** 0 if no head has arrived in this turn. */
  #status = 0;
  #headers: ResponseHeaders = {};
  #pieces = noPieces;
  /** Bytes of `#pieces`. */
  #arrivedBytes = 0;
  #last: typeof ended | Error | null = null;
  /** Why reading is paused: too much has arrived in this turn, or the handler wants no more for now. */
  #full = false;
  #stopped = false;
  #over = false;
  #started = false;
  sent = false;
  /** Decoder of a compressed answer. */
  #inflater: Inflater | null = null;

  constructor(handler: UpstreamHandler, pacer = unpaced) {
    this.#handler = handler;
    this.#pacer = pacer;
  }

  begin(call: WireCall): void {
    this.#call = call;
  }

  abort(): void {
    this.#inflater?.destroy();
    if (this.#over) return;
    this.#over = true;
    this.#pieces = noPieces;
    this.#call?.abort();
  }

  resume(): void {
    this.#inflater?.resume();
    this.#goOn();
  }

  #goOn(): void {
    this.#stopped = false;
    if (!this.#over && !this.#full) this.#call?.resume();
  }

  #arrive(): void {
    if (this.#scheduled || this.#over) return;
    this.#scheduled = true;
    atEndOfTick(this);
  }

  #gather(): void {
    if (this.#scheduled || this.#gathering || this.#over) return;
    if (this.#pacer.add(this, this.#handedMs)) this.#gathering = true;
    else this.#scheduled = true;
  }

  run(): void {
    this.#scheduled = false;
    this.#gathering = false;
    const pieces = this.#pieces;
    const bytes = this.#arrivedBytes;
    this.#pieces = noPieces;
    this.#arrivedBytes = 0;
    try {
      if (!this.#over && this.#status > 0) this.#begin();
      if (!this.#over && bytes > 0) {
        this.#hand(pieces, bytes);
        if (this.#handler.gathers === true) this.#handedMs = this.#pacer.nowMs();
      }
      if (!this.#over && this.#last !== null) this.#finish(this.#last);
      if (!this.#full) return;
      this.#full = false;
      if (!this.#over && !this.#stopped) this.#call?.resume();
    } catch (cause) {
      this.abort();
      this.#handler.error("reset", cause as Error);
    }
  }

  #begin(): void {
    const status = this.#status;
    this.#status = 0;
    this.#started = true;
    this.#head(status, this.#headers);
  }

  /** Passes the pieces on, joined up to `maxJoinedBytes`, so that the data of one read is parsed and written once. */
  #hand(pieces: readonly Buffer[], bytes: number): void {
    const only = pieces[0];
    if (pieces.length === 1 && only !== undefined) this.#take(only);
    else if (bytes <= maxJoinedBytes) this.#take(Buffer.concat(pieces, bytes));
    else for (let index = 0; index < pieces.length && !this.#over; index++) this.#take(pieces[index] as Buffer);
  }

  #take(chunk: Buffer): void {
    if (!this.#give(chunk)) this.#stop();
  }

  #finish(last: typeof ended | Error): void {
    this.#over = true;
    if (last === ended) {
      this.#end();
      return;
    }
    this.#inflater?.destroy();
    this.#handler.error(kindOf(last, this.#started), last);
  }

  #head(status: number, headers: ResponseHeaders): void {
    const encodings = encodingsOf(headers["content-encoding"]);
    if (encodings.length === 0) {
      this.#handler.head(status, headers);
      return;
    }
    this.#inflater = new Inflater(encodings, {
      data: (chunk) => this.#handler.data(chunk),
      end: () => this.#handler.end(),
      failed: (cause) => {
        this.#handler.error("undecodable", cause);
        this.abort();
      },
    });
    const { "content-encoding": _encoding, "content-length": _length, ...rest } = headers;
    this.#handler.head(status, rest);
  }

  #stop(): void {
    this.#stopped = true;
    this.#call?.pause();
  }

  #give(chunk: Buffer): boolean {
    if (this.#inflater === null) return this.#handler.data(chunk);
    return this.#inflater.write(chunk, () => this.#goOn());
  }

  #end(): void {
    if (this.#inflater === null) this.#handler.end();
    else this.#inflater.end();
  }

  requestSent(): void {
    this.sent = true;
  }

  head(status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.#headers = headers;
    this.#arrive();
  }

  data(chunk: Buffer): void {
    if (this.#over) return;
    this.#arrivedBytes += chunk.length;
    if (this.#arrivedBytes >= maxArrivedBytes && !this.#full) {
      this.#full = true;
      this.#call?.pause();
    }
    if (this.#pieces.length === 0) this.#pieces = [chunk];
    else this.#pieces.push(chunk);
    if (this.#handler.gathers === true && this.#arrivedBytes < maxGatheredBytes) this.#gather();
    else this.#arrive();
  }

  end(): void {
    this.#last = ended;
    this.#arrive();
  }

  failed(error: Error): void {
    this.#last = error;
    this.#arrive();
  }
}
