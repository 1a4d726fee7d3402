/**
 * The format of Sluice's API keys: `slc_`, 43 characters of base62 (256 random bits) and 6 checksum characters. The
 * checksum lets scanners recognize real keys and tells a typing error from an unknown key. Pure.
 */
import { createHash } from "node:crypto";

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const bodyLength = 43;
const checksumLength = 6;

function base62(bytes: Uint8Array, length: number): string {
  let value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  let text = "";
  for (let index = 0; index < length; index++) {
    text = digits[Number(value % 62n)] + text;
    value /= 62n;
  }
  return text;
}

function checksum(body: string): string {
  return base62(createHash("sha256").update(`slc_${body}`).digest().subarray(0, 8), checksumLength);
}

/** `random` must be 32 bytes from a cryptographic source. */
export function mintKey(random: Uint8Array): string {
  if (random.length !== 32) throw new RangeError("a key needs 32 random bytes");
  const body = base62(random, bodyLength);
  return `slc_${body}${checksum(body)}`;
}

const form = /^slc_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;

/** Whether a text has the format of a key and a correct checksum. */
export function wellFormedKey(text: string): boolean {
  const body = form.exec(text);
  return body !== null && checksum(body[1] ?? "") === body[2];
}

/** Whether a text looks like a Sluice key but isn't a valid one. */
export function mistypedKey(text: string): boolean {
  return form.test(text) && !wellFormedKey(text);
}
