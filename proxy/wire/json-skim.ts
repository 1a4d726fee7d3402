/**
 * Outlines a body that is already parsed, without reading its names. JSON.parse keeps one member of each name, so a
 * name is duplicated somewhere if and only if the text has more names than the value has members.
 */
import { behindBlanks, closingQuote, hasEscapedName } from "./json.ts";
import {
  blank,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  type JsonMember,
  OPEN_BRACE,
  OPEN_BRACKET,
  type Outline,
  QUOTE,
} from "./json-outline.ts";

const DIGIT_0 = 48;
const DIGIT_9 = 57;

/** `end`: offset of the comma or brace that ends the last member's value. */
function endLast(members: readonly JsonMember[], text: string, end: number): void {
  const last = members.at(-1);
  if (last === undefined) return;
  last.valueEnd = end;
  while (blank(text.charCodeAt(last.valueEnd - 1))) last.valueEnd--;
}

/**
 * Records the top-level members, still without names. Returns the number of names at all levels, or -1 for nesting
 * beyond `maxDepth`.
 */
function skim(text: string, maxDepth: number, members: JsonMember[]): number {
  let depth = 0;
  let names = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case QUOTE:
        index = closingQuote(text, index);
        break;
      case COLON:
        names++;
        if (depth === 1) members.push({ name: "", valueStart: behindBlanks(text, index + 1), valueEnd: 0 });
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth > maxDepth) return -1;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        if (--depth === 0) endLast(members, text, index);
        break;
      case COMMA:
        if (depth === 1) endLast(members, text, index);
        break;
    }
  }
  return names;
}

/** Number of object members at all levels; NaN if one is called `__proto__`. */
function membersWithin(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const element of value) if (typeof element === "object") count += membersWithin(element);
    return count;
  }
  for (const name in value) {
    if (name === "__proto__") return Number.NaN;
    const member = (value as Record<string, unknown>)[name];
    count += typeof member === "object" ? 1 + membersWithin(member) : 1;
  }
  return count;
}

const isDigit = (code: number): boolean => code >= DIGIT_0 && code <= DIGIT_9;

/**
 * Returns the outline that `outline` would find. `text` has one character per byte of the body (the body itself if it
 * is ASCII, else its bytes as Latin-1), and `json` is what JSON.parse made of it. Returns null if the body may be
 * invalid, a name may have been misread, or `json` orders the members differently; then call `outline`.
 */
export function skimmed(text: string, json: object, maxDepth: number): Outline | null {
  const members: JsonMember[] = [];
  const names = skim(text, maxDepth, members);
  if (names < 0 || names !== membersWithin(json) || hasEscapedName(text)) return null;
  let index = 0;
  for (const name in json) {
    // JavaScript objects list integer names first, wherever they appear in the text.
    if (index === 0 && isDigit(name.charCodeAt(0))) return null;
    const member = members[index++];
    if (member !== undefined) member.name = name;
  }
  return { open: text.indexOf("{") + 1, members };
}
