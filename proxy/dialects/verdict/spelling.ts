/**
 * JSON with names and words spelled by escapes, such as `"\u0065rror"`, in the usual spelling. A parser reads the same
 * in both. What judges an answer by its bytes must see the usual one.
 */
import { Buffer } from "node:buffer";

/** How the escapes of letters, digits and signs in names begin. */
const escapeStart = "\\u00";
/** The escapes of a text in turn, so that an escaped backslash is not taken for the start of one. */
const escapes = /\\(?:u00([2-7][0-9a-f])|.)/gis;
const usual = /[A-Za-z0-9_.-]/;

export const mayBeSpelled = (text: string | Buffer): boolean => text.includes(escapeStart);

/** The same text, if nothing in it is spelled by escapes. */
const respelled = (text: string): string =>
  text.replace(escapes, (spelled, code: string | undefined) => {
    const character = code === undefined ? "" : String.fromCharCode(Number.parseInt(code, 16));
    return usual.test(character) ? character : spelled;
  });

export const usualSpelling = (text: string): string => (mayBeSpelled(text) ? respelled(text) : text);

/** The same bytes, if nothing in them is spelled by escapes. */
export const usualBytes = (bytes: Buffer): Buffer =>
  mayBeSpelled(bytes) ? Buffer.from(respelled(bytes.toString("latin1")), "latin1") : bytes;
