/**
 * One attempt at one target: sends the request, enforces the time limits, reads the answer. Until something is written
 * to the client, the attempt can fail unnoticed, so that another can follow.
 */
import type { Buffer } from "node:buffer";
import type { ProviderError } from "../dialects/canonical.ts";
import { withheld } from "../dialects/verdict/withheld.ts";
import { type AttemptCause, causeOf } from "../wire/causes.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Deadlines, Timed } from "../wire/deadlines.ts";
import { type Soon, soon } from "../wire/soon.ts";
import type {
  ResponseHeaders,
  UpstreamCall,
  UpstreamErrorKind,
  UpstreamHandler,
  UpstreamRequest,
  Upstreams,
} from "../wire/upstream.ts";
import type { UpstreamAddress } from "../wire/upstream-address.ts";
import {
  connectionErrors,
  goingDown,
  largeAnswer,
  lateAnswer,
  notAStream,
  outOfTime,
  truncated,
} from "./attempt-errors.ts";
import { evidenceOf, joinedChunks, streamReader } from "./attempt-parts.ts";
import type { AttemptEvidence, AttemptLimits, AttemptListener, AttemptResult, StartStream } from "./attempt-result.ts";
import { answerBounds } from "./attempt-result.ts";
import type { Prepared } from "./prepared.ts";
import { asProviderError } from "./provider-error.ts";
import type { StreamReader, StreamStep } from "./reader.ts";

const { lingerMs, maxErrorBytes, maxErrorRead } = answerBounds;

type Phase = "head" | "error" | "whole" | "stream" | "over";

export class Attempt implements UpstreamHandler, Timed, Soon {
  place = -1;
  dueMs = 0;
  following: Soon | null = null;
  readonly #client: ClientConnection;
  readonly #prepared: Prepared;
  readonly #limits: AttemptLimits;
  /** null if the answer is read whole. */
  readonly #start: StartStream | null;
  #listener: AttemptListener | null = null;
  #result: AttemptResult | null = null;
  readonly #deadlines: Deadlines;
  /** This and the next: milliseconds of the deadlines' clock. */
  readonly #beganMs: number;
  readonly #totalDueMs: number;
  /** Whether the client stopped reading, so that the running limit is the client's. */
  #stalled = false;
  /** Whether the client delayed the answer, so that its duration says nothing about the provider. */
  #hasStalled = false;
  /** Whether the client disconnected and the stream is read only for its usage. */
  #gone: { stalled: boolean } | null = null;
  #call: UpstreamCall | null = null;
  #phase: Phase = "head";
  #status = 0;
  /** Of the provider's answer; empty if none arrived. */
  headers: ResponseHeaders = {};
  #chunks: Buffer[] = [];
  #bytes = 0;
  #reader: StreamReader | null = null;
  #wrote = false;
  #refused = false;
  #firstByteMs: number | null = null;
  /** Why the connection failed. */
  #cause: AttemptCause | null = null;

  constructor(
    client: ClientConnection,
    prepared: Prepared,
    limits: AttemptLimits,
    start: StartStream | null,
    deadlines: Deadlines,
  ) {
    this.#client = client;
    this.#prepared = prepared;
    this.#limits = limits;
    this.#start = start;
    this.#deadlines = deadlines;
    this.#beganMs = deadlines.nowMs();
    this.#totalDueMs = this.#beganMs + limits.totalMs;
    this.#due(limits.firstByteMs);
  }

  /** Sends the request. */
  begin(upstreams: Pick<Upstreams, "send">, address: UpstreamAddress, request: UpstreamRequest): void {
    this.#client.onClose(() => this.#abandon());
    this.#client.onInterrupt(() => this.#fail(goingDown));
    if (this.#phase === "over") return;
    this.#call = upstreams.send(address, request, this);
    if ((this.#phase as Phase) === "over") this.#call.abort();
  }

  /** Sets the listener for the result, which is never called before this returns. */
  onEnd(listener: AttemptListener): void {
    this.#listener = listener;
    if (this.#result !== null) this.#report();
  }

  /** Reports once the client was sent the whole answer, so that its record is complete. */
  #report(): void {
    if (this.#client.busy) this.#client.inTurn(() => soon(this));
    else soon(this);
  }

  run(): void {
    if (this.#result !== null) this.#listener?.attemptEnded(this.#result);
  }

  head(status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.headers = headers;
    if (status < 200 || status >= 300) this.#phase = "error";
    else if (this.#start === null) this.#phase = "whole";
    else this.#openStream(headers);
  }

  #openStream(headers: ResponseHeaders): void {
    this.#reader = streamReader(this.#prepared, headers);
    if (this.#reader === null) this.#fail(notAStream);
    else this.#phase = "stream";
  }

  get gathers(): boolean {
    return this.#wrote;
  }

  data(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#phase === "stream") return this.#pump(chunk);
    this.#firstByteMs ??= this.#deadlines.nowMs() - this.#beganMs;
    if (this.#phase === "error") {
      if (this.#bytes <= maxErrorBytes) this.#chunks.push(chunk);
      else if (this.#bytes > maxErrorRead) this.#failWithBody();
      return true;
    }
    if (this.#phase !== "whole") return true;
    this.#due(this.#limits.idleMs);
    if (this.#bytes > this.#limits.maxReplyBytes) this.#fail(largeAnswer);
    else if (this.#chunks.length === 0) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    return true;
  }

  #pump(chunk: Buffer): boolean {
    if (this.#bytes > this.#limits.maxStreamBytes) {
      this.#fail(largeAnswer);
      return true;
    }
    if (this.#wrote && !this.#stalled) this.#due(this.#limits.idleMs);
    return this.#take(this.#reader?.push(chunk));
  }

  #take(step: StreamStep | undefined): boolean {
    if (step === undefined) return true;
    if (this.#gone !== null) {
      if (step.error || step.ended || this.#reader?.usageIsFinal()) this.#left(this.#gone.stalled);
      return true;
    }
    if (step.withheld === true && this.#limits.withheldFails === true && !this.#wrote) {
      this.#fail(withheld);
      return true;
    }
    const more = step.out.length === 0 || this.#write(step.out, step.ended);
    this.#refused = step.error !== null && !this.#wrote;
    if (step.error) this.#fail(step.error, null, step.reported ?? false, step.own);
    else if (step.ended) this.#settle({ kind: "streamed", ...this.#evidence(), firstByteMs: this.#firstByteMs ?? 0 });
    return (more && !this.#stalled) || this.#waitForClient();
  }

  /** Starts a limit from now on; the limit for the whole answer applies if it ends sooner. */
  #due(ms: number): void {
    this.#deadlines.set(this, Math.min(this.#deadlines.nowMs() + ms, this.#totalDueMs));
  }

  /** Handles a limit that expired. */
  expired(): void {
    if (this.#phase === "over") this.#call?.abort();
    else if (this.#gone !== null) this.#left(this.#gone.stalled);
    else if (this.#stalled && this.#deadlines.nowMs() < this.#totalDueMs) {
      this.#client.destroy();
      this.#abandon(true);
    } else if (!this.#releaseHeld()) {
      this.#cause = "answer_timeout";
      const isTotal = this.#deadlines.nowMs() >= this.#totalDueMs;
      this.#fail(isTotal && (this.#limits.totalIsShortened || this.#hasStalled) ? outOfTime : lateAnswer);
    }
  }

  /** Lets a started stream continue without content while it isn't idle. Returns false if there is no such stream. */
  #releaseHeld(): boolean {
    const overdue = this.#deadlines.nowMs() >= this.#totalDueMs;
    if (this.#phase !== "stream" || this.#wrote || overdue || this.#limits.slowIsLate === true) return false;
    const held = this.#reader?.release?.() ?? "";
    if (held.length === 0) return false;
    if (!this.#write(held, false)) this.#waitForClient();
    return true;
  }

  #write(out: Uint8Array | string, last: boolean): boolean {
    if (!this.#wrote) {
      this.#wrote = true;
      this.#firstByteMs = this.#deadlines.nowMs() - this.#beganMs;
      this.#start?.(this.headers);
      this.#due(this.#limits.idleMs);
    }
    return this.#client.write(out, last);
  }

  /** The client's socket is full: pauses reading until it drains, for a limited time. */
  #waitForClient(): boolean {
    if (this.#phase === "over") return true;
    // Data that was already in flight must not extend the client's time.
    if (this.#stalled) return false;
    this.#stalled = true;
    this.#hasStalled = true;
    this.#due(this.#limits.stalledClientMs);
    this.#client.onDrain(() => {
      if (this.#phase === "over") return;
      this.#stalled = false;
      this.#due(this.#limits.idleMs);
      this.#call?.resume();
    });
    return false;
  }

  end(): void {
    if (this.#phase === "over") this.#deadlines.lift(this);
    if (this.#phase === "stream" && this.#gone !== null) {
      this.#reader?.close();
      this.#left(this.#gone.stalled);
      return;
    }
    if (this.#phase === "stream") {
      this.#take(this.#reader?.close());
      if (this.#phase === "stream") this.#fail(truncated);
      return;
    }
    if (this.#phase === "whole")
      this.#settle({ kind: "whole", bytes: joinedChunks(this.#chunks), headers: this.headers });
    else if (this.#phase === "error") this.#failWithBody();
  }

  #failWithBody(): void {
    this.#fail(asProviderError("ServerError", "upstream_error", "", this.#status), joinedChunks(this.#chunks));
  }

  error(kind: UpstreamErrorKind, cause: Error): void {
    if (this.#phase === "over") this.#deadlines.lift(this);
    else if (this.#phase !== "error") this.#cause = causeOf(cause, this.#phase !== "head");
    if (this.#phase === "error") this.#failWithBody();
    else this.#fail(this.#phase === "stream" && kind !== "undecodable" ? truncated : connectionErrors[kind]);
  }

  #evidence(): AttemptEvidence {
    return evidenceOf(this.#call, this.#reader, this.#refused);
  }

  #fail(error: ProviderError, errorBody: Buffer | null = null, reported = false, own?: Uint8Array): void {
    if (this.#gone !== null) this.#left(this.#gone.stalled);
    else {
      const evidence = { error, cause: this.#cause, ...this.#evidence() };
      if (this.#wrote) this.#settle({ kind: "broken", reported, firstByteMs: this.#firstByteMs ?? 0, ...evidence });
      else {
        const { headers } = this;
        const failed = { kind: "failed", status: this.#status || null, headers, errorBody, ...evidence } as const;
        this.#settle(own === undefined ? failed : { ...failed, own });
      }
    }
  }

  /** The client disconnected. If only the usage is missing, waits for it, as the provider charges by it. */
  #abandon(stalled = false): void {
    if (this.#phase !== "stream" || this.#gone !== null || this.#reader?.awaitsUsage() !== true) {
      this.#left(stalled);
      return;
    }
    this.#gone = { stalled };
    this.#client.onClose(null);
    this.#due(lingerMs);
    this.#call?.resume();
  }

  #left(stalled: boolean): void {
    this.#settle({ kind: "abandoned", stalled, ...this.#evidence(), firstByteMs: this.#firstByteMs });
  }

  #settle(result: AttemptResult): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#deadlines.lift(this);
    this.#client.onClose(null);
    this.#client.onInterrupt(null);
    // After a clean end the upstream ends the exchange and its connection is reused; one that lingers is aborted.
    if (result.kind !== "whole" && result.kind !== "streamed") this.#call?.abort();
    else if (result.kind === "streamed") this.#deadlines.set(this, this.#deadlines.nowMs() + lingerMs);
    this.#result = result;
    if (this.#listener !== null) this.#report();
  }
}
