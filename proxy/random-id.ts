/**
 * Random ids in the form of UUIDs (RFC 9562, version 4). Node's randomUUID joins each from twenty strings, which are
 * then joined again wherever the id is written.
 */
import { Buffer } from "node:buffer";
import { randomFillSync } from "node:crypto";

const idBytes = 16;
const pool = Buffer.alloc(idBytes * 256);
let used = pool.length;

const hexDigits = Buffer.from("0123456789abcdef");
const text = Buffer.from("00000000-0000-4000-8000-000000000000");
/** Where each byte's two digits stand. */
const places = Array.from(
  { length: idBytes },
  (_, index) => 2 * index + [4, 6, 8, 10].filter((from) => index >= from).length,
);

export function randomId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let index = 0; index < idBytes; index++) {
    const random = pool[used] ?? 0;
    // Version and variant.
    const byte = index === 6 ? (random & 0x0f) | 0x40 : index === 8 ? (random & 0x3f) | 0x80 : random;
    const place = places[index] ?? 0;
    pool[used++] = 0;
    text[place] = hexDigits[byte >> 4] ?? 0;
    text[place + 1] = hexDigits[byte & 15] ?? 0;
  }
  return text.toString("latin1");
}
