/** Reads where the members of a JSON object's top level begin and end, without parsing the values. */
import type { Buffer } from "node:buffer";

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

/** Offset after the string that opens at `offset`. */
function stringEnd(body: Buffer, offset: number): number {
  const close = closingQuoteIn(body, offset);
  return close < 0 ? body.length : close + 1;
}

export const blank = (byte: number | undefined): boolean => byte === 32 || byte === 10 || byte === 13 || byte === 9;

/** Offset of the first byte from there on that is not blank. */
export function skipBlanks(body: Buffer, from: number): number {
  let offset = from;
  while (blank(body[offset])) offset++;
  return offset;
}

/** What makes two parsers read a body differently, or one of them fail. Returned as negative offsets. */
const problems = { depth: -1, duplicate: -2, proto: -3 } as const;
const named: Readonly<Record<number, OutlineProblem>> = { [-1]: "depth", [-2]: "duplicate", [-3]: "proto" };

/** Offset after the value that starts at `offset`, or a negative number for a problem in it. */
export function valueEnd(body: Buffer, offset: number, maxDepth: number): number {
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
  let offset = skipBlanks(body, 0);
  if (body[offset] !== OPEN_BRACE) return "not_object";
  const open = ++offset;
  const members: JsonMember[] = [];
  const seen = new Set<string>();
  for (;;) {
    offset = skipBlanks(body, offset);
    if (body[offset] === COMMA) offset = skipBlanks(body, offset + 1);
    if (body[offset] !== QUOTE) return { open, members };
    const nameStart = offset;
    offset = stringEnd(body, offset);
    const name = nameAt(body, nameStart, offset);
    const wrong = note(seen, name);
    if (wrong < 0) return named[wrong] ?? "duplicate";
    offset = skipBlanks(body, offset);
    if (body[offset] === COLON) offset = skipBlanks(body, offset + 1);
    const end = valueEnd(body, offset, maxDepth - 1);
    if (end < 0) return named[end] ?? "depth";
    members.push({ name, valueStart: offset, valueEnd: end });
    offset = end;
  }
}
