/**
 * Edits the top level of a JSON object without serialising the rest again, so that what passes through stays byte for
 * byte what the client sent: number formats, member order, unknown members.
 */
import { Buffer } from "node:buffer";

export interface JsonMember {
  name: string;
  valueStart: number;
  valueEnd: number;
}

export interface Outline {
  /** Offset just after the opening brace. */
  open: number;
  members: JsonMember[];
}

export type OutlineProblem = "depth" | "duplicate" | "proto" | "not_object";

export const QUOTE = 34;
export const BACKSLASH = 92;
export const OPEN_BRACE = 123;
export const CLOSE_BRACE = 125;
export const OPEN_BRACKET = 91;
export const CLOSE_BRACKET = 93;
export const COMMA = 44;
export const COLON = 58;

/** Offset of the quote that closes the string opened at `open`; -1 if it is not closed. */
export function closingQuoteIn(body: Buffer, open: number): number {
  let close = body.indexOf(QUOTE, open + 1);
  while (close > 0) {
    let slashes = 0;
    while (body[close - 1 - slashes] === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return close;
    close = body.indexOf(QUOTE, close + 1);
  }
  return -1;
}

/** Offset after the string that opens at `at`. */
function stringEnd(body: Buffer, offset: number): number {
  const close = closingQuoteIn(body, offset);
  return close < 0 ? body.length : close + 1;
}

export const blank = (byte: number | undefined): boolean => byte === 32 || byte === 10 || byte === 13 || byte === 9;

function skipBlank(body: Buffer, from: number): number {
  let offset = from;
  while (blank(body[offset])) offset++;
  return offset;
}

/** What makes two parsers read a body differently, or one of them fail. Returned as negative offsets. */
const problems = { depth: -1, duplicate: -2, proto: -3 } as const;
const named: Readonly<Record<number, OutlineProblem>> = { [-1]: "depth", [-2]: "duplicate", [-3]: "proto" };

/** Offset after the value that starts at `at`, or a negative number for a problem in it. */
function valueEnd(body: Buffer, offset: number, maxDepth: number): number {
  const first = body[offset];
  if (first === QUOTE) return stringEnd(body, offset);
  return first === OPEN_BRACE || first === OPEN_BRACKET ? nestedEnd(body, offset, maxDepth) : scalarEnd(body, offset);
}

function scalarEnd(body: Buffer, from: number): number {
  let offset = from;
  while (offset < body.length && body[offset] !== COMMA && body[offset] !== CLOSE_BRACE && !blank(body[offset]))
    offset++;
  return offset;
}

/** The member name between two quotes, with its escapes decoded. */
function nameAt(body: Buffer, start: number, end: number): string {
  const quoted = body.toString("utf8", start, end);
  return quoted.includes("\\") ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

/** Records an object's member. Returns 0 if it is allowed, or a negative problem. */
function note(seen: Set<string>, name: string): number {
  if (name === "__proto__") return problems.proto;
  if (seen.has(name)) return problems.duplicate;
  seen.add(name);
  return 0;
}

/**
 * Names seen in an open object: none yet, one, or several, as sets are costly and most objects are small. null: a list.
 */
type Seen = "" | { only: string } | Set<string> | null;

/** Walks nested objects and lists, keeping the names seen in each open object. */
class Nesting {
  readonly #open: Seen[] = [];
  readonly #maxDepth: number;
  /** Whether the next string is a member's name. */
  #nameNext = false;

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
  }

  /** Returns 0, or a negative problem. */
  string(body: Buffer, start: number, end: number): number {
    if (!this.#nameNext) return 0;
    this.#nameNext = false;
    const seen = this.#open.at(-1) ?? "";
    const name = nameAt(body, start, end);
    if (seen instanceof Set) return note(seen, name);
    if (name === "__proto__") return problems.proto;
    if (seen !== "" && seen.only === name) return problems.duplicate;
    this.#open[this.#open.length - 1] = seen === "" ? { only: name } : new Set([seen.only, name]);
    return 0;
  }

  /** Returns 0, a negative problem, or 1 once the outermost value is closed. */
  mark(byte: number | undefined): number {
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      this.#nameNext = byte === OPEN_BRACE;
      return this.#open.push(byte === OPEN_BRACE ? "" : null) > this.#maxDepth ? problems.depth : 0;
    }
    if (byte === COMMA) this.#nameNext = this.#open.at(-1) !== null;
    if (byte !== CLOSE_BRACE && byte !== CLOSE_BRACKET) return 0;
    this.#nameNext = false;
    this.#open.pop();
    return this.#open.length === 0 ? 1 : 0;
  }
}

function nestedEnd(body: Buffer, from: number, maxDepth: number): number {
  const nesting = new Nesting(maxDepth);
  let offset = from;
  while (offset < body.length) {
    if (body[offset] === QUOTE) {
      const end = stringEnd(body, offset);
      const wrong = nesting.string(body, offset, end);
      if (wrong < 0) return wrong;
      offset = end;
      continue;
    }
    const mark = nesting.mark(body[offset]);
    offset++;
    if (mark !== 0) return mark < 0 ? mark : offset;
  }
  return offset;
}

/**
 * Where the members of a top-level object are. `body` must be valid JSON (parse it first). Refuses nesting beyond
 * `maxDepth` and, at every level, duplicate names, which two parsers may read differently, and `__proto__`.
 */
export function outline(body: Buffer, maxDepth: number): Outline | OutlineProblem {
  let offset = skipBlank(body, 0);
  if (body[offset] !== OPEN_BRACE) return "not_object";
  const open = ++offset;
  const members: JsonMember[] = [];
  const seen = new Set<string>();
  for (;;) {
    offset = skipBlank(body, offset);
    if (body[offset] === COMMA) offset = skipBlank(body, offset + 1);
    if (body[offset] !== QUOTE) return { open, members };
    const nameStart = offset;
    offset = stringEnd(body, offset);
    const name = nameAt(body, nameStart, offset);
    const wrong = note(seen, name);
    if (wrong < 0) return named[wrong] ?? "duplicate";
    offset = skipBlank(body, offset);
    if (body[offset] === COLON) offset = skipBlank(body, offset + 1);
    const end = valueEnd(body, offset, maxDepth - 1);
    if (end < 0) return named[end] ?? "depth";
    members.push({ name, valueStart: offset, valueEnd: end });
    offset = end;
  }
}

/** Member name → new value; undefined removes the member. New members are added at the front. */
export type Edits = Readonly<Record<string, unknown>>;

/**
 * Cached JSON of short names, strings and numbers: most calls insert the same ones, such as the upstream's model name.
 */
const kept = new Map<string | number, Buffer>();
const mostKept = 256;
const keptLength = 64;

function jsonOf(value: unknown): Buffer {
  if (typeof value !== "number" && (typeof value !== "string" || value.length > keptLength))
    return Buffer.from(JSON.stringify(value));
  let json = kept.get(value);
  if (json === undefined) {
    if (kept.size >= mostKept) kept.clear();
    kept.set(value, (json = Buffer.from(JSON.stringify(value))));
  }
  return json;
}

/** The last number that was added under each name, as most calls add the same cap. */
const lastAdded = new Map<string, { value: number; bytes: Buffer }>();

/** A member to add, and a comma. */
function memberBytes(name: string, value: unknown): Buffer {
  const known = lastAdded.get(name);
  if (known !== undefined && known.value === value) return known.bytes;
  const bytes = Buffer.from(`${JSON.stringify(name)}:${JSON.stringify(value)},`);
  if (typeof value === "number" && name.length <= keptLength) {
    if (lastAdded.size >= mostKept) lastAdded.clear();
    lastAdded.set(name, { value, bytes });
  }
  return bytes;
}

/** `bytes` replace the range from `from` to `to`. */
interface Cut {
  from: number;
  to: number;
  bytes: Buffer;
}

const colon = Buffer.from(":");
const comma = Buffer.from(",");

/** Returns a new buffer with the edits applied, or the same buffer if nothing changes. */
export function applyEdits(body: Buffer, found: Outline, edits: Edits): Buffer {
  let count = 0;
  for (const _ in edits) count++;
  if (count === 0) return body;
  let replaced: JsonMember[] | null = null;
  for (let index = 0; index < found.members.length; index++) {
    const member = found.members[index] as JsonMember;
    if (!Object.hasOwn(edits, member.name)) continue;
    if (edits[member.name] === undefined) return rewrite(body, found, edits);
    (replaced ??= []).push(member);
  }
  if (replaced === null) return inserted(body, addition(found, none, edits));
  const cuts: Cut[] = [];
  const added = replaced.length < count ? addition(found, replaced, edits) : null;
  if (added !== null) cuts.push(added);
  for (let index = 0; index < replaced.length; index++) {
    const { name, valueStart, valueEnd } = replaced[index] as JsonMember;
    cuts.push({ from: valueStart, to: valueEnd, bytes: jsonOf(edits[name]) });
  }
  return spliced(body, cuts);
}

const none: readonly JsonMember[] = [];

const inserted = (body: Buffer, cut: Cut | null): Buffer => (cut === null ? body : spliced(body, [cut]));

/** Members that are not present yet, after the opening brace; null if there are none. */
function addition({ open, members }: Outline, replaced: readonly JsonMember[], edits: Edits): Cut | null {
  let bytes: Buffer | null = null;
  for (const name in edits) {
    if (edits[name] === undefined || has(replaced, name)) continue;
    const member = memberBytes(name, edits[name]);
    bytes = bytes === null ? member : Buffer.concat([bytes, member]);
  }
  if (bytes === null) return null;
  return { from: open, to: open, bytes: members.length > 0 ? bytes : bytes.subarray(0, -1) };
}

function has(members: readonly JsonMember[], name: string): boolean {
  for (const member of members) if (member.name === name) return true;
  return false;
}

/** `cuts` are sorted by position. */
function spliced(body: Buffer, cuts: readonly Cut[]): Buffer {
  let growth = 0;
  let behind = 0;
  for (let index = 0; index < cuts.length; index++) {
    const { from, to, bytes } = cuts[index] as Cut;
    growth += bytes.length - (to - from);
    behind = to;
  }
  const out = Buffer.allocUnsafe(body.length + growth);
  // Most of the body usually follows the last cut. Copying everything once costs less than a view of that part.
  if (growth >= 0) out.set(body, growth);
  else body.copy(out, behind + growth, behind);
  let read = 0;
  let written = 0;
  for (let index = 0; index < cuts.length; index++) {
    const { from, to, bytes } = cuts[index] as Cut;
    if (from > read) written += body.copy(out, written, read, from);
    out.set(bytes, written);
    written += bytes.length;
    read = to;
  }
  return out;
}

/** Used when members are removed: rejoins the remaining members, whose values stay the client's bytes. */
function rewrite(body: Buffer, found: Outline, edits: Edits): Buffer {
  const pieces: Buffer[] = [Buffer.from("{")];
  const present = new Set<string>();
  const put = (name: string, value: Buffer): void => {
    if (pieces.length > 1) pieces.push(comma);
    pieces.push(jsonOf(name), colon, value);
  };
  for (const member of found.members) {
    const edited = Object.hasOwn(edits, member.name);
    if (edited && edits[member.name] === undefined) continue;
    present.add(member.name);
    put(member.name, edited ? jsonOf(edits[member.name]) : body.subarray(member.valueStart, member.valueEnd));
  }
  for (const [name, value] of Object.entries(edits))
    if (value !== undefined && !present.has(name)) put(name, jsonOf(value));
  pieces.push(Buffer.from("}"));
  return Buffer.concat(pieces);
}
