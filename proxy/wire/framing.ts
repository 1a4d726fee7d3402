/** Frames HTTP/1.1 chunks (RFC 9112, section 7.1) itself, because node:http writes each chunk in four pieces. */
import { Buffer } from "node:buffer";

/** Largest body, in bytes, that is copied so that it is written together with its head. */
export const maxJoinedBytes = 16_384;

/** Largest declared body, in bytes, that is read to its end after a refusal so that the connection can be reused. */
export const maxDrainedBytes = 65_536;

/** Largest chunk, in bytes, that is made a string: strings are written in one piece with the head. */
const maxStringBytes = 8_192;
const crlf = Buffer.from("\r\n");

/** The last chunk, which ends the stream. */
export const lastChunk = "0\r\n\r\n";

export function asBuffer(bytes: Uint8Array | string): Buffer {
  if (typeof bytes === "string") return Buffer.from(bytes);
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns the framed chunk in one piece, as bytes or as Latin-1 text. */
export function framed(chunk: Buffer): Buffer | string {
  const size = `${chunk.length.toString(16)}\r\n`;
  if (chunk.length <= maxStringBytes) return `${size}${chunk.toString("latin1")}\r\n`;
  return Buffer.concat([Buffer.from(size, "latin1"), chunk, crlf]);
}
