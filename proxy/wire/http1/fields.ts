/** Header fields of HTTP/1.1: received ones by name, and those of an answer as text. */
import { Buffer } from "node:buffer";
import { type IncomingHttpHeaders, STATUS_CODES } from "node:http";
import type { AnswerFields } from "../client-exchange.ts";
import type { TextBytes } from "../text-bytes.ts";

/**
 * If one of these is repeated, the first counts, as in node:http. The stage "preliminary" refuses dangerous
 * repetitions.
 */
const firstCounts: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-length",
  "content-type",
  "etag",
  "expires",
  "from",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "server",
  "user-agent",
]);

/** Names in lower case by spelling, as clients use few spellings. */
const lowered = new Map<string, string>();
const maxSpellings = 512;

function lowerCase(spelled: string): string {
  let name = lowered.get(spelled);
  if (name === undefined) {
    name = spelled.toLowerCase();
    if (lowered.size < maxSpellings && spelled.length <= 64) lowered.set(spelled, name);
  }
  return name;
}

/**
 * Fields by name, without the members of an object's prototype. V8 keeps these as it keeps ordinary objects, and those
 * of Object.create(null) as hash tables, which are three times as large.
 */
const Fields = (() => {
  function Fields() {}
  Fields.prototype = Object.create(null);
  return Fields as unknown as new <T>() => Record<string, T>;
})();

/** Received fields by name in lower case; repeated ones joined as in node:http. */
export function fieldsByName(raw: readonly string[]): IncomingHttpHeaders {
  const fields = new Fields<string | string[]>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = lowerCase(raw[index] ?? "");
    const value = raw[index + 1] ?? "";
    const before = fields[name];
    if (name === "set-cookie") fields[name] = before === undefined ? [value] : [...before, value];
    else if (before === undefined) fields[name] = value;
    else if (!firstCounts.has(name)) fields[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return fields;
}

/** Fields of a response by name in lower case; repeated fields become lists. */
export function responseFields(raw: readonly string[]): Record<string, string | string[]> {
  const fields = new Fields<string | string[]>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = lowerCase(raw[index] ?? "");
    const value = raw[index + 1] ?? "";
    const before = fields[name];
    if (before === undefined) fields[name] = value;
    else fields[name] = typeof before === "string" ? [before, value] : [...before, value];
  }
  return fields;
}

const outOfField = /[^\t\x20-\x7e\x80-\xff]/;
/** The form of a field's name, as a part of a regular expression (RFC 9110, section 5.6.2). */
export const tokenForm = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const token = new RegExp(`^${tokenForm}$`);

/** A name that was checked. */
interface FieldName {
  /** The name, and what separates it from its value. */
  start: Buffer;
  /** The last value of an answer's field, which was checked. */
  value: string | number | null;
  /** The field with that value, once it has occurred twice. */
  line: Buffer | null;
}

const lineEnd = Buffer.from("\r\n");
const knownNames = new Map<string, FieldName>();

/** Throws if the name could be read as more than that. */
function nameOf(name: string): FieldName {
  const cached = knownNames.get(name);
  if (cached !== undefined) return cached;
  if (!token.test(name)) throw new TypeError("a header's name has a character that is not allowed");
  const made = { start: Buffer.from(`${name}: `), value: null, line: null };
  if (knownNames.size < maxSpellings) knownNames.set(name, made);
  return made;
}

function checkValue(name: string, value: string): void {
  if (outOfField.test(value)) throw new TypeError(`the header ${name} has a character that is not allowed`);
}

/** Adds a field. Throws if it could be read as more than one. */
export function addField(text: TextBytes, name: string, value: string): void {
  const { start } = nameOf(name);
  checkValue(name, value);
  text.raw(start).latin1(value).raw(lineEnd);
}

/**
 * The same for an answer. Most of its values repeat from call to call, so the last one of each name is kept: not for
 * requests, whose values may be secret.
 */
function addAnswerField(text: TextBytes, name: string, value: string | number): void {
  const known = nameOf(name);
  if (known.value === value) {
    text.raw((known.line ??= Buffer.from(`${name}: ${value}\r\n`, "latin1")));
    return;
  }
  text.raw(known.start);
  if (typeof value === "number") text.number(value);
  else {
    checkValue(name, value);
    text.latin1(value);
  }
  known.value = value;
  known.line = null;
  text.raw(lineEnd);
}

const statusLines = new Map<number, Buffer>();

function statusLine(status: number): Buffer {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`);
    statusLines.set(status, line);
  }
  return line;
}

let dateSecond = 0;
let dateLine: Buffer = Buffer.alloc(0);

function dateField(): Buffer {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateLine = Buffer.from(`Date: ${new Date(second * 1000).toUTCString()}\r\n`);
  }
  return dateLine;
}

/** Adds an answer's head up to its last field. Throws if a field is not valid. */
export function addAnswerHead(text: TextBytes, status: number, fields: AnswerFields): void {
  text.raw(statusLine(status));
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined || name === "connection") continue;
    addAnswerField(text, name, value);
  }
  text.raw(dateField());
}
