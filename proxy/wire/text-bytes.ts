/**
 * Assembles a text, or a binary message, as bytes, in place. Joining strings piece by piece builds a tree that is
 * copied again when it is written, so that a call's heads and log line would allocate several times their size.
 */
import { Buffer } from "node:buffer";

const firstBytes = 8_192;
/** A buffer that grew beyond this for one text is not kept. */
const maxKept = 262_144;
/** Longer texts are copied by native code, which takes a while to call. */
const maxCopiedLength = 16;
const largestInteger = 0x7fff_ffff;

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);

/** By the code of a hexadecimal digit in lower case. */
const digitValues = new Uint8Array(128);
for (let value = 0; value < 16; value++) digitValues[value.toString(16).charCodeAt(0)] = value;

export class TextBytes {
  #bytes = Buffer.allocUnsafeSlow(firstBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  clear(): this {
    this.#length = 0;
    if (this.#bytes.length > maxKept) this.#bytes = Buffer.allocUnsafeSlow(firstBytes);
    return this;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  /** Copies a short text as long as it is ASCII. Returns how many characters it copied. */
  #ascii(text: string): number {
    const bytes = this.#bytes;
    const from = this.#length;
    let index = 0;
    for (; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > 127) break;
      bytes[from + index] = code;
    }
    this.#length = from + index;
    return index;
  }

  /** Adds bytes: the cheapest way for pieces that recur. */
  raw(piece: Uint8Array): this {
    this.#reserve(piece.length);
    this.#bytes.set(piece, this.#length);
    this.#length += piece.length;
    return this;
  }

  /** Adds a text in UTF-8. */
  utf8(text: string): this {
    this.#reserve(text.length * 3);
    const copied = text.length <= maxCopiedLength ? this.#ascii(text) : 0;
    if (copied < text.length) this.#length += this.#bytes.write(copied === 0 ? text : text.slice(copied), this.#length);
    return this;
  }

  /** Adds a text whose characters are all below U+0100, one byte each. */
  latin1(text: string): this {
    this.#reserve(text.length);
    const copied = text.length <= maxCopiedLength ? this.#ascii(text) : 0;
    if (copied < text.length)
      this.#length += this.#bytes.write(copied === 0 ? text : text.slice(copied), this.#length, "latin1");
    return this;
  }

  /** Adds a number as JSON has it. */
  number(value: number): this {
    if (!(value >= 0 && value <= largestInteger) || (value | 0) !== value) return this.latin1(String(value));
    this.#reserve(10);
    let digits = 1;
    for (let power = 10; power <= value && digits < 10; power *= 10) digits++;
    let rest = value;
    for (let index = this.#length + digits - 1; index >= this.#length; index--) {
      this.#bytes[index] = 48 + (rest % 10);
      rest = (rest / 10) | 0;
    }
    this.#length += digits;
    return this;
  }

  /** The byte that was added last; -1 if there is none. */
  get last(): number {
    return this.#length === 0 ? -1 : (this.#bytes[this.#length - 1] as number);
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** Adds the bytes that hexadecimal digits in lower case stand for. */
  hex(digits: string): this {
    this.#reserve(digits.length / 2);
    const bytes = this.#bytes;
    let length = this.#length;
    for (let index = 0; index + 1 < digits.length; index += 2) {
      const high = digitValues[digits.charCodeAt(index) & 127] as number;
      bytes[length++] = (high << 4) | (digitValues[digits.charCodeAt(index + 1) & 127] as number);
    }
    this.#length = length;
    return this;
  }

  /** Adds four bytes, the lowest first. */
  uint32(value: number): this {
    this.#reserve(4);
    const bytes = this.#bytes;
    const from = this.#length;
    bytes[from] = value & 0xff;
    bytes[from + 1] = (value >>> 8) & 0xff;
    bytes[from + 2] = (value >>> 16) & 0xff;
    bytes[from + 3] = value >>> 24;
    this.#length = from + 4;
    return this;
  }

  /** Adds eight bytes, as Protobuf has a double on a machine whose numbers begin with the lowest byte. */
  double(value: number): this {
    double[0] = value;
    return this.raw(doubleBytes);
  }

  /** Adds a whole number that is not negative, as Protobuf has it. */
  varint(value: number): this {
    this.#reserve(8);
    let rest = value;
    for (; rest > 0x7f; rest = rest > largestInteger ? Math.floor(rest / 128) : rest >>> 7)
      this.#bytes[this.#length++] = (rest % 128) | 0x80;
    this.#bytes[this.#length++] = rest;
    return this;
  }

  /** A copy of what was added. */
  copy(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  /** Copies the text to `target`, which must have room. */
  copyTo(target: Buffer, from: number): void {
    this.#bytes.copy(target, from, 0, this.#length);
  }

  toString(encoding: "utf8" | "latin1" = "utf8"): string {
    return this.#bytes.toString(encoding, 0, this.#length);
  }
}
