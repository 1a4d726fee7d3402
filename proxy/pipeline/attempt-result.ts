/** The limits of an attempt at a target, and its results. */
import type { Buffer } from "node:buffer";
import type { ProviderError, Usage } from "../dialects/canonical.ts";
import type { AttemptCause } from "../wire/causes.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";

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
      reported: boolean;
      firstByteMs: number;
    } & AttemptEvidence)
  /** The client disconnected, or was disconnected because it stopped reading. */
  | ({ kind: "abandoned"; stalled: boolean; firstByteMs: number | null } & AttemptEvidence);

export interface AttemptListener {
  attemptEnded(result: AttemptResult): void;
}

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

/** Writes the response head before the first byte of a stream. */
export type StartStream = (headers: ResponseHeaders) => void;

export const answerBounds = {
  /** Most bytes of an error's body that are kept. */
  maxErrorBytes: 65_536,
  /** Most bytes of an error's body that are read so that its connection can be reused. */
  maxErrorRead: 1_048_576,
  /**
   * How long, in milliseconds, an upstream may take to close a stream whose end marker was read, or to send the usage of
   * an answer whose client disconnected when only the usage was missing.
   */
  lingerMs: 5_000,
} as const;
