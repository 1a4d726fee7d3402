/**
 * Protobuf messages, field by field. Writers return strings whose characters are bytes, so that messages are
 * concatenated like JSON, without intermediate objects.
 */
import { Buffer } from "node:buffer";

const ascii = /^[\0-\x7f]*$/;

/** Encodes a non-negative integer. */
export function varint(value: number): string {
  let text = "";
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) text += String.fromCharCode((rest % 128) | 0x80);
  return text + String.fromCharCode(rest);
}

/** Wire types: 0 varint, 1 eight bytes, 2 length-delimited. */
export const tag = (field: number, wire: 0 | 1 | 2): string => varint(field * 8 + wire);

/** A length-delimited field: a message, bytes, or a packed list. */
export const lengthy = (field: number, bytes: string): string => tag(field, 2) + varint(bytes.length) + bytes;
export const textField = (field: number, value: string): string =>
  lengthy(field, ascii.test(value) ? value : Buffer.from(value, "utf8").toString("latin1"));
export const numberField = (field: number, value: number): string => tag(field, 0) + varint(value);

const scratch = Buffer.alloc(8);

/** A fixed64 or sfixed64. */
export function fixed64Field(field: number, value: bigint): string {
  scratch.writeBigUInt64LE(value);
  return tag(field, 1) + scratch.toString("latin1");
}

/** Bytes of a Protobuf message. Throws RangeError where they end too early. */
export class ProtobufReader {
  readonly #bytes: Buffer;
  #next = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Calls `take` with the value of each varint, and with the bytes of each field that has a length. */
  each(take: (field: number, value: bigint | Buffer) => void): void {
    while (this.#next < this.#bytes.length) {
      const key = Number(this.#varint());
      const value = this.#value(key & 7);
      if (value !== null) take(key >>> 3, value);
    }
  }

  #value(wire: number): bigint | Buffer | null {
    if (wire === 0) return this.#varint();
    if (wire === 2) return this.#slice(Number(this.#varint()));
    if (wire !== 1 && wire !== 5) throw new RangeError("unknown wire type");
    this.#slice(wire === 1 ? 8 : 4);
    return null;
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes.readUInt8(this.#next++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError("a varint is too long");
  }

  #slice(length: number): Buffer {
    const end = this.#next + length;
    if (end > this.#bytes.length) throw new RangeError("a field is too long");
    const slice = this.#bytes.subarray(this.#next, end);
    this.#next = end;
    return slice;
  }
}
