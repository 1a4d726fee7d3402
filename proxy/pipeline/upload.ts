/** Streams an upload's body to the provider: enforces its limit, adds the owner's mark, and opens ids. */
import { Buffer } from "node:buffer";
import { Transform } from "node:stream";
import { type Failure, failure } from "../failure.ts";
import type { LineModel } from "../ids/batch-request.ts";
import { LongLineError } from "../ids/lines.ts";
import { type ResourceIds, UploadError } from "../ids/resource-ids.ts";
import { PartHeads } from "../media/part-heads.ts";
import { paceMs } from "../wire/gathered-body.ts";
import { tooSlow } from "../wire/request-body.ts";

/** OpenAI's largest file, in bytes. */
export const maxUploadBytes = 536_870_912;
/** Most bytes in which a file's name, which precedes its content, must appear. */
const maxHeadBytes = 65_536;

const nameStart = Buffer.from('filename="');

export const tooLarge = failure(
  "request_too_large",
  `The upload is larger than ${maxUploadBytes} bytes. Send a smaller one.`,
);
const longLine = failure(
  "request_too_large",
  "A line of the upload is larger than 16 MiB. Make shorter requests of it.",
);

const unreadableForm = (problem: string): Failure => failure("invalid_value", `The form can't be read: ${problem}.`);

/** Prefixes the file's name with the owner's mark, however the bytes were split in transit. */
class NameMarker {
  readonly #mark: Buffer;
  #head: Buffer | null = Buffer.alloc(0);

  constructor(mark: string) {
    this.#mark = Buffer.from(mark);
  }

  push(chunk: Buffer): Buffer {
    if (this.#head === null) return chunk;
    const head = Buffer.concat([this.#head, chunk]);
    const index = head.indexOf(nameStart);
    if (index < 0 && head.length < maxHeadBytes) {
      this.#head = head;
      return Buffer.alloc(0);
    }
    this.#head = null;
    if (index < 0) return head;
    const split = index + nameStart.length;
    return Buffer.concat([head.subarray(0, split), this.#mark, head.subarray(split)]);
  }

  end(): Buffer {
    return this.#head ?? Buffer.alloc(0);
  }
}

export interface UploadRules {
  ids: ResourceIds;
  /** Separates the parts of the form; null if the body isn't a form. */
  boundary: string | null;
  /** Decides on the model that a line of a batch's input asks for. */
  modelOf: LineModel;
}

/**
 * Fails, for `failureOfUpload` to read, as soon as the body is too large, arrives too slowly, or a line of it is not
 * the caller's to send. `hold`: takes memory for what can't be passed on yet; returns the failure if there is none.
 */
export function uploadStream(
  rules: UploadRules | null,
  minBytesPerSecond: number,
  hold: (bytes: number) => Failure | null = () => null,
): Transform {
  let size = 0;
  const marker = rules === null ? null : new NameMarker(rules.ids.markName());
  const lines = rules === null ? null : rules.ids.uploadLines(rules.modelOf);
  const parts = rules?.boundary == null ? null : new PartHeads(rules.boundary);
  const edited = (chunk: Buffer): Buffer => {
    if (lines === null) return chunk;
    const out = lines.push(chunk);
    const refused = hold(lines.heldBytes);
    if (refused !== null) throw new UploadError(refused);
    return out;
  };
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      try {
        if (size > maxUploadBytes) throw new UploadError(tooLarge);
        const problem = parts?.push(chunk) ?? null;
        if (problem !== null) throw new UploadError(unreadableForm(problem));
        done(null, edited(marker === null ? chunk : marker.push(chunk)));
      } catch (cause) {
        done(cause as Error);
      }
    },
    flush(done) {
      try {
        const rest = marker === null ? Buffer.alloc(0) : edited(marker.end());
        done(null, lines === null ? rest : Buffer.concat([rest, lines.end()]));
      } catch (cause) {
        done(cause as Error);
      }
    },
  });
  cutOff(stream, minBytesPerSecond, () => size);
  return stream;
}

/** Cuts off a sender that is too slow at two checks in a row although the provider keeps up. */
function cutOff(stream: Transform, minBytesPerSecond: number, received: () => number): void {
  if (minBytesPerSecond <= 0) return;
  let slow = 0;
  let seen = 0;
  const pace = setInterval(() => {
    const arrived = received() - seen;
    seen += arrived;
    const waits = stream.readableLength > 0 || stream.writableEnded;
    slow = !waits && arrived < (minBytesPerSecond * paceMs) / 1000 ? slow + 1 : 0;
    if (slow > 1) stream.destroy(new UploadError(tooSlow));
  }, paceMs);
  pace.unref();
  stream.once("close", () => clearInterval(pace));
}

/** Null if the upload itself broke, which the exchange detects. */
export function failureOfUpload(cause: Error): Failure | null {
  if (cause instanceof UploadError) return cause.failure;
  return cause instanceof LongLineError ? longLine : null;
}
