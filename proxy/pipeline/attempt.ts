/**
 * One attempt at one target: sends the request, enforces the time limits, reads the answer. Until something is written
 * to the client, the attempt can fail unnoticed, so that another can follow.
 */
import { Buffer } from "node:buffer";
import type { ProviderError, Usage } from "../dialects/canonical.ts";
import { withheld } from "../dialects/verdict/withheld.ts";
import { type AttemptCause, causeOf } from "../wire/causes.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Deadlines, Timed } from "../wire/deadlines.ts";
import type {
  ResponseHeaders,
  UpstreamCall,
  UpstreamErrorKind,
  UpstreamHandler,
  UpstreamRequest,
  Upstreams,
} from "../wire/upstream.ts";
import type { UpstreamAddress } from "../wire/upstream-address.ts";
import type { Prepared } from "./prepared.ts";
import { asProviderError } from "./provider-error.ts";
import type { StreamReader, StreamStep } from "./reader.ts";

/** Limits that apply to every answer, whichever target gives it. */
export interface AnswerLimits {
  /** Longest time, in milliseconds, that a client may read nothing before it is disconnected. */
  stalledClientMs: number;
  maxReplyBytes: number;
  maxStreamBytes: number;
  /** How often, in milliseconds, a stream whose first content is late gets a comment; 0 or absent for never. */
  keepAliveMs?: number;
}

export interface AttemptLimits extends AnswerLimits {
  /** Limit until the first byte of a whole answer's body, or the first content of a stream. */
  firstByteMs: number;
  /**
   * Whether the limit also ends a stream that has announced itself but has no content yet, so that another target is
   * asked.
   */
  slowIsLate?: boolean;
  /** Whether an answer that the provider's filter withheld is a failure, so that another target is asked. */
  withheldFails?: boolean;
  /** Limit between two reads of an answer. */
  idleMs: number;
  /** Limit for the whole answer. */
  totalMs: number;
  /**
   * Whether `totalMs` is shorter than the target's own limit: the caller set the deadline, or earlier attempts used
   * part of it.
   */
  totalIsShortened?: boolean;
}

export type AttemptResult =
  /** The attempt failed before anything reached the client. `cause`: why the connection failed, if it did. */
  | ({
      kind: "failed";
      error: ProviderError;
      cause: AttemptCause | null;
      status: number | null;
      headers: ResponseHeaders;
      errorBody: Buffer | null;
      /** The failure in the stream's own format, sent to the client if no other target is asked. */
      own?: Uint8Array;
    } & AttemptEvidence)
  /** A whole answer was read and is not yet written. */
  | { kind: "whole"; bytes: Buffer; headers: ResponseHeaders }
  /** The stream was sent to its end. */
  | ({ kind: "streamed"; firstByteMs: number } & AttemptEvidence)
  /** The stream broke off after bytes had reached the client. */
  | ({
      kind: "broken";
      error: ProviderError;
      cause: AttemptCause | null;
      told: boolean;
      firstByteMs: number;
    } & AttemptEvidence)
  /** The client disconnected, or was disconnected because it stopped reading. */
  | ({ kind: "abandoned"; stalled: boolean; firstByteMs: number | null } & AttemptEvidence);

/** What a provider's charge for an attempt may depend on. */
export interface AttemptEvidence {
  /** Whether all of the request was handed to a connection. */
  sent: boolean;
  /** Usage as far as the stream reported it. */
  usage: Usage | null;
  /** Whether the usage covers the whole answer, rather than being a count from its beginning. */
  usageIsFinal: boolean;
  /** Length of a stream's content, in characters. */
  contentLength: number;
  /** Whether the stream consisted of an error only. */
  refused: boolean;
}

const maxErrorBytes = 65_536;
/** Most bytes of an error's body that are read so that its connection can be reused. */
const maxErrorRead = 1_048_576;
/**
 * How long, in milliseconds, an upstream may take to close a stream whose end marker was read, or to send the usage of
 * an answer whose client disconnected when only the usage was missing.
 */
const lingerMs = 5_000;

const connectionErrors: Readonly<Record<UpstreamErrorKind, ProviderError>> = {
  connect: asProviderError(
    "Unavailable",
    "upstream_unreachable",
    "The provider could not be reached. Try again later.",
  ),
  connectTimeout: asProviderError(
    "Timeout",
    "upstream_timeout",
    "No connection to the provider could be made in time. Try again later.",
  ),
  writeTimeout: asProviderError(
    "Timeout",
    "upstream_timeout",
    "The provider stopped taking the request. Try again later.",
  ),
  reset: asProviderError(
    "Unavailable",
    "upstream_unreachable",
    "The connection to the provider broke. Try again later.",
  ),
  aborted: asProviderError("Unavailable", "upstream_unreachable", "The call to the provider was broken off."),
  undecodable: asProviderError(
    "ServerError",
    "upstream_invalid_response",
    "The provider's answer is compressed in a form that can't be read.",
  ),
  refused: asProviderError(
    "Unavailable",
    "upstream_unreachable",
    "The provider's endpoint leads to an address that is not allowed. Ask the platform team to check it.",
  ),
};

const tooLong = asProviderError("Timeout", "upstream_timeout", "The provider did not answer in time. Try again later.");
const outOfTime: ProviderError = {
  ...asProviderError(
    "Timeout",
    "upstream_timeout",
    "The time for this call ran out before the provider answered. Allow more time, or try again later.",
  ),
  fault: "caller",
};
const tooLarge: ProviderError = {
  ...asProviderError(
    "ServerError",
    "upstream_invalid_response",
    "The provider's answer is larger than the gateway accepts. Ask for less at a time.",
  ),
  fault: "caller",
};
const truncated = asProviderError(
  "Unavailable",
  "upstream_stream_truncated",
  "The provider's stream ended before the answer was complete.",
);
const notAStream = asProviderError(
  "ServerError",
  "upstream_invalid_response",
  "The provider did not answer with a stream.",
);

/** Classed as BadRequest so that no other target is tried: there is no time left. */
const goingDown = asProviderError("BadRequest", "draining", "The gateway is being restarted. Try again.");

type Phase = "head" | "error" | "whole" | "stream" | "over";

export interface AttemptClock {
  /** Epoch milliseconds. */
  nowMs: () => number;
  deadlines: Deadlines;
}

/** Writes the response head before the first byte of a stream. */
export type StartStream = (headers: ResponseHeaders) => void;

export class Attempt implements UpstreamHandler, Timed {
  place = -1;
  dueMs = 0;
  readonly #client: ClientConnection;
  readonly #prepared: Prepared;
  readonly #limits: AttemptLimits;
  readonly #stream: boolean;
  readonly #start: StartStream;
  readonly #resolve: (result: AttemptResult) => void;
  readonly #nowMs: () => number;
  readonly #deadlines: Deadlines;
  readonly #beganMs: number;
  /** In milliseconds of the clock that deadlines use. */
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
  #headers: ResponseHeaders = {};
  #chunks: Buffer[] = [];
  #bytes = 0;
  #reader: StreamReader | null = null;
  #wrote = false;
  #refused = false;
  #firstByteMs: number | null = null;
  /** Why the connection failed. */
  #cause: AttemptCause | null = null;
  readonly result: Promise<AttemptResult>;

  constructor(
    client: ClientConnection,
    prepared: Prepared,
    limits: AttemptLimits,
    stream: boolean,
    start: StartStream,
    clock: AttemptClock,
  ) {
    this.#client = client;
    this.#prepared = prepared;
    this.#limits = limits;
    this.#stream = stream;
    this.#start = start;
    this.#nowMs = clock.nowMs;
    this.#deadlines = clock.deadlines;
    this.#beganMs = clock.nowMs();
    let settle: (result: AttemptResult) => void = () => undefined;
    this.result = new Promise((resolve) => {
      settle = resolve;
    });
    this.#resolve = settle;
    this.#totalDueMs = clock.deadlines.nowMs() + limits.totalMs;
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

  /** Headers of the provider's answer; empty if none arrived. */
  get headers(): ResponseHeaders {
    return this.#headers;
  }

  head(status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.#headers = headers;
    if (status < 200 || status >= 300) this.#phase = "error";
    else if (!this.#stream) this.#phase = "whole";
    else this.#openStream(headers);
  }

  #openStream(headers: ResponseHeaders): void {
    const type = String(headers["content-type"] ?? "");
    this.#reader = type.includes("event-stream") || type.includes("eventstream") ? this.#prepared.reader() : null;
    if (this.#reader === null) this.#fail(notAStream);
    else this.#phase = "stream";
  }

  data(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#phase === "stream") return this.#pump(chunk);
    this.#firstByteMs ??= this.#nowMs() - this.#beganMs;
    if (this.#phase === "error") {
      if (this.#bytes <= maxErrorBytes) this.#chunks.push(chunk);
      else if (this.#bytes > maxErrorRead) this.#failWithBody();
      return true;
    }
    if (this.#phase !== "whole") return true;
    this.#idle();
    if (this.#bytes > this.#limits.maxReplyBytes) this.#fail(tooLarge);
    else if (this.#chunks.length === 0) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    return true;
  }

  #pump(chunk: Buffer): boolean {
    if (this.#bytes > this.#limits.maxStreamBytes) {
      this.#fail(tooLarge);
      return true;
    }
    if (this.#wrote && !this.#stalled) this.#idle();
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
    if (step.error) this.#fail(step.error, null, step.told ?? false, step.own);
    else if (step.ended) this.#finish();
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
      this.#fail(isTotal && (this.#limits.totalIsShortened || this.#hasStalled) ? outOfTime : tooLong);
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

  #idle(): void {
    this.#due(this.#limits.idleMs);
  }

  #write(out: Uint8Array | string, last: boolean): boolean {
    if (!this.#wrote) {
      this.#wrote = true;
      this.#firstByteMs = this.#nowMs() - this.#beganMs;
      this.#start(this.#headers);
      this.#idle();
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
      this.#idle();
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
    if (this.#phase === "whole") this.#settle({ kind: "whole", bytes: this.#body(), headers: this.#headers });
    else if (this.#phase === "error") this.#failWithBody();
  }

  #failWithBody(): void {
    this.#fail(asProviderError("ServerError", "upstream_error", "", this.#status), this.#body());
  }

  error(kind: UpstreamErrorKind, cause: Error): void {
    if (this.#phase === "over") this.#deadlines.lift(this);
    else if (this.#phase !== "error") this.#cause = causeOf(cause, this.#phase !== "head");
    if (this.#phase === "error") this.#failWithBody();
    else this.#fail(this.#phase === "stream" && kind !== "undecodable" ? truncated : connectionErrors[kind]);
  }

  #body(): Buffer {
    return this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
  }

  #finish(): void {
    this.#settle({
      kind: "streamed",
      ...this.#received(),
      firstByteMs: this.#firstByteMs ?? 0,
    });
  }

  #received(): AttemptEvidence {
    return {
      sent: this.#call?.sent ?? false,
      usage: this.#reader?.usage() ?? null,
      usageIsFinal: this.#reader?.usageIsFinal() ?? false,
      contentLength: this.#reader?.contentLength() ?? 0,
      refused: this.#refused,
    };
  }

  #fail(error: ProviderError, errorBody: Buffer | null = null, told = false, own?: Uint8Array): void {
    if (this.#gone !== null) this.#left(this.#gone.stalled);
    else if (this.#wrote)
      this.#settle({
        kind: "broken",
        error,
        cause: this.#cause,
        told,
        ...this.#received(),
        firstByteMs: this.#firstByteMs ?? 0,
      });
    else
      this.#settle({
        kind: "failed",
        ...this.#received(),
        error,
        cause: this.#cause,
        status: this.#status || null,
        headers: this.#headers,
        errorBody,
        ...(own === undefined ? {} : { own }),
      });
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
    this.#settle({ kind: "abandoned", stalled, ...this.#received(), firstByteMs: this.#firstByteMs });
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
    this.#resolve(result);
  }
}
