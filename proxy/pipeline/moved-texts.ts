/**
 * Large texts are read by worker threads, for the stages guard and mask together: on the event loop they would delay the
 * calls of everyone else.
 */
import { Buffer } from "node:buffer";
import { parseBody, parsedBefore, type Received } from "../call/received.ts";
import { requiredMember } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { type Failure, isFailure } from "../failure.ts";
import type { Masker } from "../masking/masker.ts";
import type { ReplyTexts, TextTurns } from "../masking/reply.ts";
import type { Tally } from "../masking/tally.ts";
import { answerStride, isLongAnswer, isLongPart, isLongRequest } from "../text-work/cost.ts";
import type { RequestJob, RequestTexts } from "../text-work/job.ts";
import type { TextPool } from "../text-work/pool.ts";
import type { ClientConnection } from "../wire/client.ts";
import { FilterError, type ReplyFilter } from "../wire/reply-filter.ts";
import type { CheckedCall } from "./checks.ts";
import { isExempt } from "./guard.ts";

/** The job for a worker, or null if the request's texts are read here. */
export function textJobOf({ routed: { route }, received, format, identity }: CheckedCall): RequestJob | null {
  // The fields of a form are short, whatever its uploads.
  if ((route.guard === null && route.masker === null) || received.parts !== undefined) return null;
  if (!isLongRequest(received.bytes.length, route)) return null;
  const { guard } = route.config;
  return {
    kind: "request",
    bytes: received.bytes,
    format,
    member: requiredMember[format],
    guard: guard === null || isExempt(route, identity) ? null : guard,
    mask: route.masker?.config ?? null,
  };
}

/** Reads the texts in a worker, unless the client disconnects first. */
export async function readMoved(
  pool: TextPool,
  namespace: string,
  job: RequestJob,
  client: ClientConnection,
): Promise<RequestTexts | Failure> {
  const leaving = new AbortController();
  client.onClose(() => leaving.abort());
  const read = await pool.run(namespace, job, { signal: leaving.signal });
  client.onClose(null);
  return read;
}

/** The request as a worker masked it. */
export function maskedElsewhere(received: Received, texts: RequestTexts, tally: Tally): Received | Failure {
  tally.adopt(texts.counts, texts.placeholders);
  if (texts.bytes === null) return received;
  const { buffer, byteOffset, byteLength } = texts.bytes;
  return parseBody(Buffer.from(buffer, byteOffset, byteLength), parsedBefore);
}

interface AnswerWork {
  pool: TextPool;
  namespace: string;
  format: WireFormat;
  client: ClientConnection;
}

/** Masks large whole answers in a worker, large parts of streams in turns of the event loop, and everything else here. */
export class MovedAnswers implements ReplyFilter {
  readonly #here: ReplyTexts;
  readonly #turns: TextTurns;
  readonly #works: boolean;
  readonly #move: (body: Uint8Array | string) => Promise<Uint8Array | string>;
  readonly #masker: Masker;

  constructor(here: ReplyTexts, { pool, namespace, format, client }: AnswerWork, masker: Masker, tally: Tally) {
    this.#here = here;
    this.#masker = masker;
    this.#works = pool.works;
    this.#turns = { size: answerStride(masker), stopped: () => client.closed, next: () => pool.turns.next(namespace) };
    this.#move = async (body) => {
      const read = await pool.run(namespace, { kind: "answer", body, format, mask: masker.config }, { paid: true });
      if (isFailure(read)) throw new FilterError(read);
      tally.adopt(read.counts);
      return read.body;
    };
  }

  whole(body: Uint8Array | string): Uint8Array | string | Promise<Uint8Array | string> {
    return this.#works && isLongAnswer(body.length, this.#masker) ? this.#move(body) : this.#here.whole(body);
  }

  chunk(bytes: Uint8Array | string): string | Promise<Uint8Array> {
    return isLongPart(this.#here.heldBytes + bytes.length, this.#masker)
      ? this.#here.chunkInTurns(bytes, this.#turns)
      : this.#here.chunk(bytes);
  }

  last(): string {
    return this.#here.last();
  }
}
