/** The client's side of one call: writes its answer, and notices when it disconnects. */
import { Buffer } from "node:buffer";
import type { AnswerFields, ClientExchange } from "./client-exchange.ts";
import { ClientRequest } from "./client-request.ts";
import { asBuffer } from "./framing.ts";
import type { IndexedMember } from "./indexed-set.ts";
import { OrderedSteps } from "./ordered-steps.ts";
import { type Filtered, type ReplyFilter, ReplyFilters } from "./reply-filter.ts";

/** Adds to an answer's headers in place: copying them would cost more than building them. */
export type AddHeaders = (headers: AnswerFields) => void;

export class ClientConnection extends ClientRequest implements IndexedMember {
  place = -1;
  readonly #closing: () => boolean;
  #onClose: (() => void) | null = null;
  #onInterrupt: (() => void) | null = null;
  #filters: ReplyFilters | null = null;
  /** Set when a filter needs time for a part of the stream. */
  #steps: OrderedSteps | null = null;
  #closed = false;
  #always: AddHeaders | null = null;
  /** A whole answer that is held until `release` is called. */
  #held: {
    status: number;
    headers: AnswerFields;
    body: Uint8Array | string | undefined;
    ended: boolean;
  } | null = null;
  /** The end of a stream that is held until `release`: its last bytes, from `write` with `last` on. */
  #heldEnd: { pieces: (Uint8Array | string)[]; last: boolean; ended: boolean } | null = null;
  /** Bytes of the answer's body that were handed to the socket. */
  sentBytes = 0;

  /** `closing`: the server is shutting down, so answers ask clients to reconnect. */
  constructor(exchange: ClientExchange, requestId: string, closing: () => boolean = () => false) {
    super(exchange, requestId);
    this.#closing = closing;
    exchange.onGone(() => {
      this.#closed = true;
      this.#onClose?.();
    });
  }

  /** Whether the client disconnected before its answer was complete. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the answer's head has been sent, so that a failure can only be an event in the stream. */
  get started(): boolean {
    return this.exchange.headSent;
  }

  /** Sets the only disconnect listener; null removes it. Called at once if the client has already disconnected. */
  onClose(listener: (() => void) | null): void {
    this.#onClose = listener;
    if (listener && this.#closed) listener();
  }

  /** Sets what to do if the gateway has to stop before the answer is complete; null removes it. */
  onInterrupt(listener: (() => void) | null): void {
    this.#onInterrupt = listener;
  }

  /** Ends the answer because the drain's grace period is over. Returns false if no handler is set. */
  interrupt(): boolean {
    const listener = this.#onInterrupt;
    listener?.();
    return listener !== null;
  }

  /** Headers sent with every answer, whatever the outcome of the call. */
  always(add: AddHeaders): void {
    const first = this.#always;
    this.#always =
      first === null
        ? add
        : (headers) => {
            first(headers);
            add(headers);
          };
  }

  /** Holds a whole answer, or the end of a stream, until `release`. A later whole answer replaces an earlier one. */
  hold(): void {
    this.#held = { status: 0, headers: {}, body: undefined, ended: false };
  }

  get holding(): boolean {
    return this.#held !== null || this.#heldEnd !== null;
  }

  /** Whether a part of the stream is still being filtered, so that what follows waits. */
  get busy(): boolean {
    return this.#steps?.busy === true;
  }

  /** Runs the step once everything written before has passed the filters. */
  inTurn(step: () => void): void {
    if (this.#steps === null) step();
    else this.#steps.add(step);
  }

  /** Sends a part of a stream when it has passed the filters. Returns false if no more should be written for now. */
  #pass(part: Filtered, last: boolean): boolean {
    if (!(part instanceof Promise)) return this.#send(part, last);
    this.#steps ??= new OrderedSteps(() => this.#fail());
    this.#steps.wait(part, (ready) => void this.#send(ready, last));
    return false;
  }

  /** If a part can't be filtered, nothing after it may be sent. */
  #fail(): void {
    this.#closed = true;
    this.destroy();
  }

  #send(part: Uint8Array | string, last: boolean): boolean {
    if (last && this.#heldEnd !== null) this.#heldEnd.last = true;
    return this.#put(part);
  }

  /** Discards the held end of a stream. */
  cut(): void {
    this.inTurn(() => {
      this.#heldEnd = null;
    });
  }

  release(): void {
    this.inTurn(() => this.#release());
  }

  #release(): void {
    const end = this.#heldEnd;
    this.#heldEnd = null;
    for (const piece of end?.pieces ?? []) this.#put(piece);
    if (end?.ended) this.#end();
    const held = this.#held;
    this.#held = null;
    if (held === null || held.status === 0) return;
    this.head(held.status, held.headers);
    if (held.ended) this.#end(held.body);
  }

  head(status: number, headers: AnswerFields): void {
    if (this.#held !== null) {
      this.#held = { status, headers, body: undefined, ended: false };
      return;
    }
    if (this.#closed || this.exchange.headSent) return;
    if (this.#closing()) headers["connection"] = "close";
    this.#always?.(headers);
    this.exchange.head(status, headers);
  }

  /** Begins an answer of unknown length. */
  streamHead(headers: AnswerFields): void {
    if (this.#held !== null) this.#heldEnd = { pieces: [], last: false, ended: false };
    this.#held = null;
    this.head(200, headers);
  }

  /** Adds a filter that the answer passes before those added earlier. */
  filter(filter: ReplyFilter): void {
    this.#filters ??= new ReplyFilters();
    this.#filters.add(filter);
  }

  /** Adds a filter that the answer passes before all others, whenever those are added. */
  filterFirst(filter: ReplyFilter): void {
    this.#filters ??= new ReplyFilters();
    this.#filters.addFirst(filter);
  }

  /**
   * Sends a whole answer through the filters: at once, unless one of them needs time. `headers`: without
   * content-length.
   */
  reply(status: number, headers: AnswerFields, body: Uint8Array | string): void | Promise<void> {
    const filtered = this.#filters === null ? body : this.#filters.whole(body);
    if (filtered instanceof Promise) return filtered.then((out) => this.#replyWith(status, headers, out));
    this.#replyWith(status, headers, filtered);
  }

  #replyWith(status: number, headers: AnswerFields, filtered: Uint8Array | string): void {
    headers["content-length"] = typeof filtered === "string" ? Buffer.byteLength(filtered) : filtered.length;
    this.head(status, headers);
    this.end(filtered);
  }

  /**
   * Sends bytes of a stream through the filters. `last`: the stream ends with them. Returns false if the socket is
   * full: wait for `onDrain`.
   */
  write(bytes: Uint8Array | string, last = false): boolean {
    if (!this.busy) return this.#write(bytes, last);
    this.inTurn(() => void this.#write(bytes, last));
    return false;
  }

  #write(bytes: Uint8Array | string, last: boolean): boolean {
    return this.#pass(this.#filters === null ? bytes : this.#filters.chunk(bytes), last);
  }

  /** Ends a complete stream, after sending what the filters still hold. */
  finish(): void {
    if (this.busy) this.inTurn(() => this.#finish());
    else this.#finish();
  }

  #finish(): void {
    const parts = this.#filters?.last() ?? [];
    if (parts.length === 0) {
      this.#end();
      return;
    }
    this.#steps ??= new OrderedSteps(() => this.#fail());
    this.#steps.next(...parts.map((part) => () => void this.#pass(part, false)), () => this.#end());
  }

  /** Sends the gateway's own events, which bypass the filters. */
  writeRaw(bytes: Uint8Array | string): boolean {
    if (!this.busy) return this.#put(bytes);
    this.inTurn(() => void this.#put(bytes));
    return false;
  }

  #put(bytes: Uint8Array | string): boolean {
    if (this.#closed || bytes.length === 0) return true;
    if (this.#heldEnd?.last) {
      this.#heldEnd.pieces.push(bytes);
      return true;
    }
    const chunk = asBuffer(bytes);
    this.sentBytes += chunk.length;
    return this.exchange.write(chunk);
  }

  onDrain(listener: () => void): void {
    this.inTurn(() => this.exchange.onDrain(listener));
  }

  end(bytes?: Uint8Array | string): void {
    if (this.busy) this.inTurn(() => this.#end(bytes));
    else this.#end(bytes);
  }

  #end(bytes?: Uint8Array | string): void {
    if (this.#held !== null) {
      this.#held.body = bytes;
      this.#held.ended = true;
      return;
    }
    if (this.#heldEnd !== null) {
      this.#heldEnd.ended = true;
      return;
    }
    if (this.#closed || this.exchange.ended) return;
    if (bytes !== undefined) this.sentBytes += Buffer.byteLength(bytes);
    this.exchange.end(bytes);
  }

  /** Hands the connection over for another protocol. Returns false if that is not possible. */
  upgrade(owner: string): boolean {
    return this.exchange.upgrade?.(owner) ?? false;
  }

  /** Destroys the connection: the client reads too slowly, or a drain is over. */
  destroy(): void {
    this.exchange.destroy();
  }
}
