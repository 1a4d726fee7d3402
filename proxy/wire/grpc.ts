/** The parts common to gRPC clients: status codes and message framing. */
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http2";

/** Names by status code. */
export const statusNames = [
  ...["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"],
  ...["PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"],
  ...["INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"],
];

/** Returns null if the headers have none. */
export const grpcStatus = (headers: IncomingHttpHeaders): number | null => {
  const text = String(headers["grpc-status"] ?? "");
  return /^\d{1,2}$/.test(text) ? Number(text) : null;
};

export const prefixBytes = 5;

/** The message's prefix: a flag for "not compressed", and its length. */
export function prefixOf(message: Pick<Buffer, "length">): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return prefix;
}

/**
 * Splits the received bytes into messages. Throws RangeError if one is too long or is compressed, which was not
 * requested.
 */
export class GrpcMessages {
  readonly #most: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(most: number) {
    this.#most = most;
  }

  push(chunk: Buffer): Buffer[] {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const messages: Buffer[] = [];
    while (this.#held.length >= prefixBytes) {
      const length = this.#held.readUInt32BE(1);
      if (this.#held[0] !== 0 || length > this.#most) throw new RangeError("not a message that can be read");
      const end = prefixBytes + length;
      if (this.#held.length < end) break;
      messages.push(this.#held.subarray(prefixBytes, end));
      this.#held = this.#held.subarray(end);
    }
    return messages;
  }
}
