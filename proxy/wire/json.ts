/**
 * Parses JSON from outside: request bodies, provider answers, tool arguments.
 *
 * V8 12.8 and later may misread a member name that is written with an escape. If an object with the same first members
 * had a name containing a backslash, JSON.parse compares that name to the next one's raw text, with escapes undecoded
 * (https://github.com/nodejs/node/issues/63785). After {"a":1,"\\u006":2}, the text {"a":1,"\u006dodel":2} is read as
 * another {"a":1,"\\u006":2}. Sending the first could thus make the gateway misread other callers' bodies, or hide a
 * member, such as the model, from the gateway but not from the provider. So JSON.parse doesn't read names with escapes.
 */
import {
  BACKSLASH,
  blank,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from "./json-outline.ts";

export type JsonObject = { [key: string]: unknown };

/** Whether a parsed JSON value is an object, and not an array or null. */
export function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Whether a member has a value. APIs treat null as absent. */
export const isSet = (value: unknown): boolean => (value ?? null) !== null;

/** Names of the members that are set and not in `read`. */
export const givenBesides = (body: Readonly<Record<string, unknown>>, read: ReadonlySet<string>): string[] =>
  Object.keys(body).filter((name) => !read.has(name) && isSet(body[name]));

const noObjects: readonly JsonObject[] = [];

/** The objects in a list: the list itself, if it has nothing else. Empty if the value is not a list. */
export function objectsIn(value: unknown): readonly JsonObject[] {
  if (!Array.isArray(value)) return noObjects;
  for (let index = 0; index < value.length; index++) if (!isObject(value[index])) return value.filter(isObject);
  return value;
}

/** Offset of the quote that closes the string opened at `open`; -1 if it is not closed. */
export function closingQuote(text: string, open: number): number {
  let close = text.indexOf('"', open + 1);
  while (text.charCodeAt(close - 1) === BACKSLASH && oddSlashes(text, close)) close = text.indexOf('"', close + 1);
  return close;
}

function oddSlashes(text: string, behind: number): boolean {
  let offset = behind - 1;
  while (text.charCodeAt(offset) === BACKSLASH) offset--;
  return (behind - offset) % 2 === 0;
}

export function behindBlanks(text: string, from: number): number {
  let offset = from;
  while (blank(text.charCodeAt(offset))) offset++;
  return offset;
}

function isEscaped(text: string, open: number, close: number): boolean {
  for (let index = open + 1; index < close; index++) if (text.charCodeAt(index) === BACKSLASH) return true;
  return false;
}

/** Whether any member name contains an escape. The text must be valid JSON. */
export function hasEscapedName(text: string): boolean {
  if (!text.includes("\\")) return false;
  for (let open = text.indexOf('"'); open >= 0; ) {
    const close = closingQuote(text, open);
    if (text.charCodeAt(behindBlanks(text, close + 1)) === COLON && isEscaped(text, open, close)) return true;
    open = text.indexOf('"', close + 1);
  }
  return false;
}

/**
 * Reads a text that JSON.parse accepted. Leaves strings with escapes to JSON.parse, which reads a lone string
 * correctly.
 */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): unknown {
    switch (this.#next()) {
      case OPEN_BRACE:
        this.#at++;
        return this.#object();
      case OPEN_BRACKET:
        this.#at++;
        return this.#list();
      case QUOTE:
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  /** Skips whitespace and returns the next character. */
  #next(): number {
    this.#at = behindBlanks(this.#text, this.#at);
    return this.#text.charCodeAt(this.#at);
  }

  /** Whether another entry follows. Moves past the comma before it, or past `close` if there is none. */
  #more(close: number): boolean {
    const mark = this.#next();
    if (mark === COMMA || mark === close) this.#at++;
    return mark !== close;
  }

  #object(): unknown {
    const object: Record<string, unknown> = {};
    while (this.#more(CLOSE_BRACE)) {
      this.#next();
      const name = this.#string();
      this.#next();
      // The colon.
      this.#at++;
      const value = this.value();
      if (name === "__proto__")
        Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true });
      else object[name] = value;
    }
    return object;
  }

  #list(): unknown {
    const list: unknown[] = [];
    while (this.#more(CLOSE_BRACKET)) list.push(this.value());
    return list;
  }

  #string(): string {
    const open = this.#at;
    const close = closingQuote(this.#text, open);
    this.#at = close + 1;
    return isEscaped(this.#text, open, close)
      ? (JSON.parse(this.#text.slice(open, close + 1)) as string)
      : this.#text.slice(open + 1, close);
  }

  #scalar(): unknown {
    const from = this.#at;
    while (this.#at < this.#text.length && !ends(this.#text.charCodeAt(this.#at))) this.#at++;
    const text = this.#text.slice(from, this.#at);
    const word = words.get(text);
    return word === undefined ? Number(text) : word;
  }
}

const words: ReadonlyMap<string, unknown> = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);

const ends = (code: number): boolean => code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || blank(code);

/** Deepest nesting accepted. No legitimate value nests deeper, and the limit makes recursion over values safe. */
export const maxJsonDepth = 500;

/** Whether objects and lists nest deeper than `most`. The text must be valid JSON; strings are skipped. */
function nestsDeeper(text: string, most: number): boolean {
  if (text.length <= most) return false;
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) index = closingQuote(text, index);
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > most) return true;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
  }
  return false;
}

/** Parses and throws as JSON.parse does; also throws if the text nests deeper than `maxJsonDepth`. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (nestsDeeper(text, maxJsonDepth)) throw new SyntaxError(`JSON nests deeper than ${maxJsonDepth} levels`);
  return hasEscapedName(text) ? new Reader(text).value() : value;
}

/** Returns undefined if the text isn't JSON, or nests deeper than `maxJsonDepth`. */
export function jsonIn(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
