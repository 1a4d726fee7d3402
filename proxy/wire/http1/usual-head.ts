/**
 * Reads heads in the form that nearly all clients and providers send, without the native parser, whose calls into
 * JavaScript cost more than parsing. This accepts less than HTTP allows, and leaves everything unusual to the parser.
 * It reads what it accepts as the parser does; test/proxy/http1-usual-head.test.ts compares both.
 */
import { Buffer } from "node:buffer";
import { tokenForm } from "./fields.ts";
import type { MessageHead } from "./parser.ts";

const headEnd = Buffer.from("\r\n\r\n");
/** Longest head that is read here. */
export const maxUsualBytes = 8_192;

/** No blanks at the ends of values, and no characters beyond ASCII. */
const fields = `(?:${tokenForm}: [\\x21-\\x7e](?:[\\x20-\\x7e]*[\\x21-\\x7e])?\\r\\n)+\\r\\n$`;
const requestForm = new RegExp(`^(?:POST|GET) /[\\w\\-.~/%:@!$&'()*+,;=?]* HTTP/1\\.1\\r\\n${fields}`);
const responseForm = new RegExp(`^HTTP/1\\.1 [2-5]\\d\\d [\\x21-\\x7e][\\x20-\\x7e]*\\r\\n${fields}`);
const lengthForm = /^\d{1,15}$/;
const keepsAlive = /^keep-alive$/i;

/** Fields that change how the message is read, by the length of their names, which already rules out most others. */
const decisive: readonly (string | undefined)[] = Object.assign(new Array<string | undefined>(32).fill(undefined), {
  10: "connection",
  14: "content-length",
  16: "proxy-connection",
  17: "transfer-encoding",
});

/** The name in lower case if the field decides how the message is read; null for any other. */
function decidingName(name: string): string | null {
  const deciding = decisive[name.length];
  return deciding !== undefined && name.toLowerCase() === deciding ? deciding : null;
}

/** A head's fields, and what they say about the body. */
interface Fields {
  rawHeaders: string[];
  /** Length of the body; null if it is chunked, undefined if the head doesn't say. */
  length: number | null | undefined;
  /** Where the value of Content-Length stands in the text and in the list; 0 if it is absent. */
  lengthFrom: number;
  lengthIndex: number;
}

/** Returns null if the parser must interpret the fields. */
function fieldsIn(text: string): Fields | null {
  const read: Fields = { rawHeaders: [], length: undefined, lengthFrom: 0, lengthIndex: 0 };
  const { rawHeaders } = read;
  for (let from = text.indexOf("\r\n") + 2; from < text.length - 2; ) {
    const colon = text.indexOf(":", from);
    const end = text.indexOf("\r\n", colon);
    const name = text.slice(from, colon);
    const value = text.slice(colon + 2, end);
    rawHeaders.push(name, value);
    from = end + 2;
    const deciding = decidingName(name);
    if (deciding === null || (deciding === "connection" && keepsAlive.test(value))) continue;
    if (read.length !== undefined) return null;
    if (deciding === "content-length" && lengthForm.test(value)) {
      read.length = Number(value);
      read.lengthFrom = colon + 2;
      read.lengthIndex = rawHeaders.length - 1;
    } else if (deciding === "transfer-encoding" && value === "chunked") read.length = null;
    else return null;
  }
  return read;
}

/** A complete head as text; null if it has not arrived whole, or is longer than the limit. */
export function headText(bytes: Buffer, from: number, maxHeadBytes: number): string | null {
  const end = bytes.indexOf(headEnd, from);
  return end < 0 || end - from > maxHeadBytes ? null : bytes.toString("latin1", from, end + headEnd.length);
}

export interface RequestHead {
  text: string;
  /** The same as bytes, once the connection has repeated it. Comparing bytes allocates no text. */
  bytes: Buffer | null;
  head: MessageHead;
  /** Bytes of the body. */
  length: number;
  /** What precedes and follows the value of Content-Length; null without one. */
  around: { before: string; after: string; index: number } | null;
}

/** Returns null if the parser must read the text. */
export function usualRequest(text: string): RequestHead | null {
  if (!requestForm.test(text)) return null;
  const read = fieldsIn(text);
  if (read === null || read.length === null) return null;
  const { rawHeaders, length = 0, lengthFrom, lengthIndex } = read;
  const urlFrom = text.indexOf(" ") + 1;
  const head = {
    method: text.slice(0, urlFrom - 1),
    url: text.slice(urlFrom, text.indexOf(" ", urlFrom)),
    status: 0,
    httpVersion: "1.1",
    rawHeaders,
    keepAlive: true,
    upgrade: false,
    byName: null,
  };
  const lengthEnd = text.indexOf("\r\n", lengthFrom);
  const around =
    lengthFrom === 0 ? null : { before: text.slice(0, lengthFrom), after: text.slice(lengthEnd), index: lengthIndex };
  return { text, bytes: null, head, length, around };
}

/**
 * Reads a head that equals an earlier one of the connection but for the length of the body, as most requests of a
 * client do. Returns null if more differs.
 */
export function repeatedRequest(last: RequestHead, text: string): RequestHead | null {
  if (last.text === text) {
    last.bytes ??= Buffer.from(text, "latin1");
    return last;
  }
  if (last.around === null) return null;
  const { before, after, index } = last.around;
  if (!text.startsWith(before) || !text.endsWith(after)) return null;
  const value = text.slice(before.length, text.length - after.length);
  if (!lengthForm.test(value)) return null;
  const rawHeaders = last.head.rawHeaders.with(index, value);
  return { ...last, text, bytes: null, head: { ...last.head, rawHeaders, byName: null }, length: Number(value) };
}

/** Whether the next bytes are the same head as before. */
export function isRepeated({ bytes }: RequestHead, read: Buffer, from: number): boolean {
  if (bytes === null || read.length - from < bytes.length) return false;
  // For as few bytes as a head has, a loop is cheaper than native code, which allocates for each view of a buffer.
  for (let index = 0; index < bytes.length; index++) if (bytes[index] !== read[from + index]) return false;
  return true;
}

/** Returns null if the parser must read the text, or if `framingOf` doesn't know the form of the body. */
export function usualResponse(text: string): MessageHead | null {
  if (!responseForm.test(text)) return null;
  const status = Number(text.slice(9, 12));
  const read = fieldsIn(text);
  // Without a length it ends with the connection, or has no body.
  if (read === null || read.length === undefined || status === 204 || status === 304) return null;
  const { rawHeaders } = read;
  return { method: "", url: "", status, httpVersion: "1.1", rawHeaders, keepAlive: true, upgrade: false, byName: null };
}
