/** Tells a file, such as speech, from an error in its place: by its type, and by how it begins. Pure. */
import { Buffer, isUtf8 } from "node:buffer";
import { jsonIn } from "../../wire/json.ts";
import { errorEnvelope, flatError } from "./answer.ts";

/** Types in which servers write errors. */
const document = /json|xml|html|javascript|event-stream/;
const nothing = Buffer.alloc(0);
const markup = /^\ufeff?\s{0,64}<(?:!doctype|html|head|body|\?xml|error)/i;

export const isDocumentType = (type: string): boolean => document.test(type);

/** Whether a text is an HTML page or an XML error. */
export const isMarkup = (text: string): boolean => markup.test(text.slice(0, 128));

/** The error that a text contains as JSON, whatever its content type; null if it isn't an error. */
export function errorInText(text: string): unknown {
  if (!/^\ufeff?\s*[{[]/.test(text)) return null;
  const body = jsonIn(text.replace("\ufeff", ""));
  return errorEnvelope(body) ?? flatError(body);
}

const BRACE = 123;
const LESS = 60;

/** Largest error, in bytes, that is looked for in place of a file. */
export const maxErrorBytes = 65_536;

/** Whether bytes may be text. Audio soon has bytes that can't be. */
const isTextual = (bytes: Uint8Array): boolean => bytes.every((byte) => byte > 31 || (byte >= 9 && byte <= 13));

/** Holds back the beginning of a file as long as it may be an error. */
export class FileStart {
  #held: Buffer[] | null = [];
  #bytes = 0;
  #first: number | undefined;

  /** The part that certainly belongs to a file. */
  push(bytes: Buffer): Buffer {
    if (this.#held === null) return bytes;
    this.#held.push(bytes);
    this.#bytes += bytes.length;
    this.#first ??= bytes.find((byte) => byte > 32);
    const mayBegin = this.#first === undefined || this.#first === BRACE || this.#first === LESS;
    return mayBegin && this.#bytes <= maxErrorBytes && isTextual(bytes) ? nothing : this.#release();
  }

  #release(): Buffer {
    const held = Buffer.concat(this.#held ?? []);
    this.#held = null;
    return held;
  }

  /** The rest of the file, or the text that came instead. */
  end(): Buffer | string {
    const held = this.#release();
    return held.length > 0 && isUtf8(held) ? held.toString("utf8") : held;
  }
}
