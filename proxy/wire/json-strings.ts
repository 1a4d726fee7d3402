/** Edits strings within a JSON text and leaves every other byte unchanged. */

import { parseJson } from "./json.ts";

/** Member names from the root down to a value; "[]" means an element of a list. */
export type JsonPath = readonly string[];

const quote = 34;
const backslash = 92;

/** Position of the quote that closes the string starting at `start`; the text's end if there is none. */
function stringEnd(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === backslash) index++;
    else if (code === quote) return index;
  }
  return text.length;
}

/** The string's value, or its source if it is invalid, which no string that the gateway acts on can be. */
function textOf(text: string, start: number, end: number): string {
  const source = text.slice(start + 1, end);
  if (!source.includes("\\")) return source;
  try {
    return parseJson(`"${source}"`) as string;
  } catch {
    return source;
  }
}

/**
 * Returns `text` with string values replaced by what `edit` returns. `path` is reused between calls. Accepts any text:
 * in text that isn't JSON, whatever looks like a string value is edited. Linear in the text's length.
 */
export function editStrings(text: string, edit: (path: JsonPath, value: string) => string | null): string {
  const path: string[] = [];
  let out = "";
  let copied = 0;
  let expectsName = false;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case quote: {
        const end = stringEnd(text, index);
        if (expectsName) {
          path[path.length - 1] = textOf(text, index, end);
          expectsName = false;
        } else {
          const edited = edit(path, textOf(text, index, end));
          if (edited !== null) {
            out += text.slice(copied, index) + JSON.stringify(edited);
            copied = end + 1;
          }
        }
        index = end;
        break;
      }
      case 123: // {
        path.push("");
        expectsName = true;
        break;
      case 91: // [
        path.push("[]");
        expectsName = false;
        break;
      case 125: // }
      case 93: // ]
        path.pop();
        expectsName = false;
        break;
      case 44: // ,
        expectsName = path.length > 0 && path[path.length - 1] !== "[]";
        break;
    }
  }
  return copied === 0 ? text : out + text.slice(copied);
}
