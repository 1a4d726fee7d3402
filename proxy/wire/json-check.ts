/**
 * Whether JSON.parse would accept a text (RFC 8259), without the exception that it throws for others. An exception
 * costs as much as parsing thousands of characters, and a body may hold very many short texts that only look like JSON.
 */
import { behindBlanks } from "./json.ts";
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from "./json-outline.ts";

const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** Offset after the match at `from`, -1 if there is none. */
function behind(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

/** Offset after the string that opens at `from`, -1 if none does. */
function behindString(text: string, from: number): number {
  if (text.charCodeAt(from) !== QUOTE) return -1;
  for (let offset = from + 1; offset >= 0 && offset < text.length; ) {
    const code = text.charCodeAt(offset);
    if (code === QUOTE) return offset + 1;
    if (code < 32) return -1;
    offset = code === BACKSLASH ? behind(escaped, text, offset) : offset + 1;
  }
  return -1;
}

/** Offset of the value of the member whose name begins at `from`, -1 if there is none. */
function behindName(text: string, from: number): number {
  const end = behindString(text, from);
  const colon = end < 0 ? -1 : behindBlanks(text, end);
  return text.charCodeAt(colon) === COLON ? behindBlanks(text, colon + 1) : -1;
}

const closerOf = (opener: number): number =>
  opener === OPEN_BRACE ? CLOSE_BRACE : opener === OPEN_BRACKET ? CLOSE_BRACKET : 0;

/**
 * Offset of the first value of an object or list, -1 if it is malformed; 0 if at `from` there is neither, or an empty
 * one.
 */
function enter(text: string, from: number, closers: number[]): number {
  const closer = closerOf(text.charCodeAt(from));
  const inner = closer === 0 ? 0 : behindBlanks(text, from + 1);
  if (closer === 0 || text.charCodeAt(inner) === closer) return 0;
  closers.push(closer);
  return closer === CLOSE_BRACE ? behindName(text, inner) : inner;
}

/** Offset after a value without values in it, -1 if there is none. */
function behindSimple(text: string, from: number): number {
  const code = text.charCodeAt(from);
  if (code === QUOTE) return behindString(text, from);
  return closerOf(code) === 0 ? behind(scalar, text, from) : behindBlanks(text, from + 1) + 1;
}

export function isJsonText(text: string): boolean {
  /** What closes the objects and lists around the value at the offset. */
  const closers: number[] = [];
  let at = behindBlanks(text, 0);
  while (at >= 0) {
    const inner = enter(text, at, closers);
    if (inner !== 0) {
      at = inner;
      continue;
    }
    const end = behindSimple(text, at);
    at = end < 0 ? -1 : behindValue(text, end, closers);
    if (closers.length === 0) return at === text.length;
  }
  return false;
}

/** Closes what ends after a value. Returns the offset of the next value, or of the end; -1 if neither follows. */
function behindValue(text: string, from: number, closers: number[]): number {
  let at = behindBlanks(text, from);
  while (closers.length > 0 && text.charCodeAt(at) === closers.at(-1)) {
    closers.pop();
    at = behindBlanks(text, at + 1);
  }
  if (closers.length === 0) return at;
  if (text.charCodeAt(at) !== COMMA) return -1;
  at = behindBlanks(text, at + 1);
  return closers.at(-1) === CLOSE_BRACE ? behindName(text, at) : at;
}
