/**
 * Amazon's event-stream framing (https://smithy.io/2.0/aws/amazon-eventstream.html): total length, length of the
 * headers, CRC of both, headers, payload, CRC of everything. The codec of AWS's SDK checks both CRCs and reads the
 * headers. This module does what the codec leaves to its caller: it finds frames in reads that may be split anywhere,
 * and limits how much is held.
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { EventStreamCodec } from "@smithy/core/event-streams";

/** Largest frame, in bytes. The format allows 16 MiB; an event of a model is a few bytes. */
const maxFrameBytes = 1_048_576;

const preludeBytes = 12;
/** The prelude and the CRC at the end. */
const minFrameBytes = 16;

/** The stream is not an event stream, or was damaged in transit. */
export class FrameError extends Error {
  override readonly name: string = "FrameError";
}

/** A frame exceeds the gateway's own limit. */
export class FrameTooLargeError extends FrameError {
  override readonly name = "FrameTooLargeError";
}

export interface Frame {
  /** Value of a string header, "" if there is none. */
  header(name: string): string;
  payload: string;
}

const codec = new EventStreamCodec(
  (bytes) =>
    typeof bytes === "string" ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"),
  (text) => Buffer.from(text, "utf8"),
);

function decode(bytes: Buffer): Frame {
  try {
    const { headers, body } = codec.decode(bytes);
    return {
      header(name) {
        const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
        return value?.type === "string" ? value.value : "";
      },
      payload: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"),
    };
  } catch (cause) {
    throw new FrameError("a frame could not be read", { cause });
  }
}

/**
 * Length of the frame that begins here. Checked before waiting for the frame, so that a damaged length can't stall the
 * stream.
 */
function frameLength(bytes: Buffer): number {
  const length = bytes.readUInt32BE(0);
  if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) throw new FrameError("the checksum of a prelude is wrong");
  if (length > maxFrameBytes) throw new FrameTooLargeError(`a frame of ${length} bytes is too large`);
  if (length < minFrameBytes) throw new FrameError(`a frame of ${length} bytes is out of bounds`);
  return length;
}

export class FrameReader {
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes needed to continue: a prelude, or a whole frame. */
  #needed = preludeBytes;

  /** Passes on frames as they become complete. `onFrame` returns false to stop. Throws FrameError. */
  push(bytes: Uint8Array, onFrame: (frame: Frame) => boolean): void {
    this.#held.push(Buffer.from(bytes));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes < this.#needed) return;
    const [first] = this.#held;
    let rest = this.#held.length === 1 && first ? first : Buffer.concat(this.#held);
    while (rest.length >= this.#needed) {
      if (this.#needed === preludeBytes) {
        this.#needed = frameLength(rest);
        continue;
      }
      const frame = decode(rest.subarray(0, this.#needed));
      rest = rest.subarray(this.#needed);
      this.#needed = preludeBytes;
      if (!onFrame(frame)) return;
    }
    this.#held = [rest];
    this.#heldBytes = rest.length;
  }
}
