/**
 * Forms with uploads, multipart/form-data (RFC 7578). Read strictly and written again for the provider, so that no
 * server can read a form differently from the gateway.
 */
import { Buffer, isUtf8 } from "node:buffer";
import { randomId } from "../random-id.ts";
import type { JsonObject } from "../wire/json.ts";

export interface FormPart {
  name: string;
  /** null for a field. */
  filename: string | null;
  contentType: string | null;
  content: Buffer;
}

const maxParts = 256;
const maxHeadBytes = 8_192;
const crlf = Buffer.from("\r\n");
const headEnd = Buffer.from("\r\n\r\n");
const DASH = 45;

/** Characters of RFC 2046, 5.1.1, and a few more that clients use. A backslash may be read as one or not. */
const boundaryIn =
  /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([\w'()+,./:=?*!#$%&^~ -]{0,69}[\w'()+,./:=?*!#$%&^~-])"|([\w'()+./:=?*!#$%&^~-]{1,70}))\s*(?:;.*)?$/i;
const fieldName = /^[A-Za-z0-9_.-]{1,64}(\[[A-Za-z0-9_-]{0,64}\])*$/;
const disposition = /^form-data((?:\s*;\s*[a-z*]+=(?:"(?:[^"\\]|\\.)*"|[^\s;"]+))*)\s*(?:;\s*)?$/i;

export const isForm = (contentType: string | null): boolean => /^multipart\/form-data\s*(;|$)/i.test(contentType ?? "");

const unquoted = (text: string): string =>
  text.startsWith('"') ? text.slice(1, -1).replace(/\\(["\\])/g, "$1") : text;

/** Parameters of a Content-Disposition; null if one occurs twice. */
function parametersOf(text: string): Map<string, string> | null {
  const parameters = new Map<string, string>();
  for (const [, name = "", value = ""] of text.matchAll(/;\s*([a-z*]+)=("(?:[^"\\]|\\.)*"|[^\s;"]+)/gi)) {
    if (parameters.has(name.toLowerCase())) return null;
    parameters.set(name.toLowerCase(), unquoted(value));
  }
  return parameters;
}

function extended(value: string | undefined): string | null {
  const [, encoded] = /^utf-8''(.{1,1024})$/i.exec(value ?? "") ?? [];
  try {
    return encoded === undefined ? null : decodeURIComponent(encoded);
  } catch {
    return null;
  }
}

function headersOf(head: string): Map<string, string> | null {
  const headers = new Map<string, string>();
  for (const line of head.split("\r\n")) {
    const [, name = "", value = ""] = /^([A-Za-z-]{1,64}):[ \t]*(.*)$/.exec(line) ?? [];
    if (name === "" || headers.has(name.toLowerCase())) return null;
    headers.set(name.toLowerCase(), value.trim());
  }
  return headers;
}

function partOf(head: string, content: Buffer): FormPart | string {
  const headers = headersOf(head);
  if (headers === null) return "a part has headers that can't be read";
  const encoding = headers.get("content-transfer-encoding") ?? "binary";
  if (!/^(7bit|8bit|binary)$/i.test(encoding)) return "a part has a Content-Transfer-Encoding; send parts without one";
  const [, parameters] = disposition.exec(headers.get("content-disposition") ?? "") ?? [];
  const named = parameters === undefined ? null : parametersOf(parameters);
  const name = named?.get("name") ?? "";
  if (named == null || !fieldName.test(name)) return "a part has no name, or one that can't be read";
  const filename = extended(named.get("filename*")) ?? named.get("filename") ?? null;
  if (filename === null && !isUtf8(content)) return `the field ${name} is not UTF-8 text`;
  return { name, filename, contentType: headers.get("content-type") ?? null, content };
}

interface Section {
  part: FormPart;
  /** Offset behind the boundary that ends it. */
  next: number;
}

/** The part whose headers begin at `from`. */
function sectionAt(body: Buffer, from: number, delimiter: Buffer): Section | string {
  const headBytes = body.subarray(from, from + maxHeadBytes).indexOf(headEnd);
  if (headBytes < 0) return "a part has no headers, or too many";
  const start = from + headBytes + headEnd.length;
  const end = body.indexOf(delimiter, start);
  if (end < 0) return "its end is missing";
  const part = partOf(body.toString("utf8", from, from + headBytes), body.subarray(start, end));
  return typeof part === "string" ? part : { part, next: end + delimiter.length };
}

/** Servers differ in which of two boundaries they take, and in whether they join one from pieces (RFC 2231). */
const boundaries = /[;\s]boundary\s*(\*[^=]*)?=/gi;

export function boundaryOf(contentType: string): string | null {
  if ([...contentType.matchAll(boundaries)].length > 1) return null;
  const [, quoted, plain] = boundaryIn.exec(contentType) ?? [];
  return quoted ?? plain ?? null;
}

const isEnd = (body: Buffer, offset: number): boolean => body[offset] === DASH && body[offset + 1] === DASH;

/** The form's parts, or why it can't be read. */
export function parseForm(body: Buffer, contentType: string): FormPart[] | string {
  const boundary = boundaryOf(contentType);
  if (boundary === null) return "its Content-Type has no boundary";
  const first = Buffer.from(`--${boundary}`);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const blank = body.subarray(0, 2).equals(crlf) ? 2 : 0;
  if (!body.subarray(blank, blank + first.length).equals(first)) return "it does not begin with its boundary";
  const parts: FormPart[] = [];
  let offset = blank + first.length;
  while (!isEnd(body, offset)) {
    if (!body.subarray(offset, offset + 2).equals(crlf)) return "a boundary does not end its line";
    const section = sectionAt(body, offset + 2, delimiter);
    if (typeof section === "string") return section;
    if (parts.push(section.part) > maxParts) return `it has more than ${maxParts} parts`;
    offset = section.next;
  }
  return body
    .subarray(offset + 2)
    .toString("latin1")
    .trim() === ""
    ? parts
    : "something follows its end";
}

/** `image[]` and `image` are one member. */
export const memberOf = ({ name }: Pick<FormPart, "name">): string => name.replace(/\[.*$/, "");

const wholeNumber = /^(0|[1-9]\d{0,8})$/;

function fieldValue(name: string, text: string): unknown {
  if (name === "stream" && (text === "true" || text === "false")) return text === "true";
  return (name === "n" || name === "partial_images") && wholeNumber.test(text) ? Number(text) : text;
}

/** The form's fields as members of a request; null if a name occurs twice. */
export function fieldsOf(parts: readonly FormPart[]): JsonObject | null {
  const fields: JsonObject = Object.create(null) as JsonObject;
  for (const part of parts) {
    if (part.filename !== null) continue;
    const name = memberOf(part);
    const value = fieldValue(name, part.content.toString("utf8"));
    if (part.name === name) {
      if (name in fields) return null;
      fields[name] = value;
    } else {
      const before = fields[name] ?? [];
      if (!Array.isArray(before)) return null;
      fields[name] = [...(before as unknown[]), value];
    }
  }
  return { ...fields };
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

const fieldPart = (name: string, value: unknown): FormPart => ({
  name,
  filename: null,
  contentType: null,
  content: Buffer.from(textOf(value)),
});

/** The parts of a member with this value. */
const fieldParts = (name: string, value: unknown): FormPart[] =>
  Array.isArray(value) ? value.map((entry) => fieldPart(`${name}[]`, entry)) : [fieldPart(name, value)];

/** `edits`: member → new value, undefined to remove it. Uploads are never edited. */
export function editedForm(parts: readonly FormPart[], edits: JsonObject): FormPart[] {
  const kept = parts.filter((part) => part.filename !== null || !(memberOf(part) in edits));
  const set = Object.entries(edits).filter(([, value]) => value !== undefined && value !== null);
  return [...set.flatMap(([name, value]) => fieldParts(name, value)), ...kept];
}

const quotable = (text: string): string =>
  text.replace(/[\r\n]/g, " ").replace(/["\\]/g, (character) => (character === '"' ? "%22" : "_"));

function headOf({ name, filename, contentType }: FormPart): string {
  const file = filename === null ? "" : `; filename="${quotable(filename)}"`;
  const type = contentType === null ? "" : `\r\nContent-Type: ${contentType}`;
  return `Content-Disposition: form-data; name="${name}"${file}${type}\r\n\r\n`;
}

export function encodeForm(parts: readonly FormPart[]): { body: Buffer; contentType: string } {
  const boundary = `sluice-${randomId()}`;
  const pieces = parts.flatMap((part) => [Buffer.from(`--${boundary}\r\n${headOf(part)}`), part.content, crlf]);
  return {
    body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
    contentType: `multipart/form-data; boundary=${boundary}`,
  };
}
