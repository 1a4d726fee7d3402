/**
 * The message and codes of an error body, in any envelope, and the part that callers may see as the provider's own
 * words.
 */
import { Buffer } from "node:buffer";
import type { ProviderWords } from "../../failure.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";

export interface ErrorWords {
  message: string;
  /** Codes and types, most specific first. */
  codes: string[];
  theirs: ProviderWords;
}

interface Said {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: unknown;
}

const maxWordLength = 128;
const maxDetailsBytes = 8_192;

const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);
const word = (value: unknown): string | null => {
  const word = typeof value === "number" ? String(value) : text(value);
  return word !== null && word.length <= maxWordLength && /^[\x20-\x7e]+$/.test(word) ? word : null;
};

/** The object that holds message and code: in an envelope, in an array of one, or flat. */
function errorObject(body: unknown): JsonObject {
  const outer = Array.isArray(body) ? body[0] : body;
  if (!isObject(outer)) return {};
  if (isObject(outer["error"])) return outer["error"];
  if (text(outer["error"]) !== null) return { ...outer, message: text(outer["message"]) ?? outer["error"] };
  const [first] = Array.isArray(outer["errors"]) ? outer["errors"] : [];
  return isObject(first) ? first : outer;
}

const shown: ReadonlySet<string> = new Set(["message", "code", "type", "param", "error", "object", "status_code"]);

function detailsOf(error: JsonObject): JsonObject | null {
  const rest = Object.fromEntries(Object.entries(error).filter(([name, value]) => !shown.has(name) && value !== null));
  const size = Object.keys(rest).length === 0 ? 0 : Buffer.byteLength(JSON.stringify(rest));
  return size > 0 && size <= maxDetailsBytes ? rest : null;
}

const requestIdHeaders = ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "cf-ray"];

function requestIdOf({ headers, body }: Said): string | null {
  const inBody = isObject(body) ? word(body["request_id"]) : null;
  if (inBody !== null) return inBody;
  for (const name of requestIdHeaders) {
    const value = headers[name];
    const id = word(typeof value === "string" ? value : value?.[0]);
    if (id !== null) return id;
  }
  return null;
}

function messageIn(error: JsonObject): string {
  for (const name of ["message", "detail", "msg", "error_msg", "error_message", "errorMessage", "Message"]) {
    const message = text(error[name]);
    if (message !== null) return message;
  }
  return "";
}

export function wordsOf(said: Said): ErrorWords {
  const error = errorObject(said.body);
  const inner = isObject(error["innererror"]) ? error["innererror"] : {};
  const code = word(error["code"]);
  const type = word(error["type"]) ?? word(error["error_type"]);
  const codes = [word(inner["code"]), code, type, word(error["status"])].filter((code) => code !== null);
  return {
    message: typeof said.body === "string" ? "" : messageIn(error),
    codes,
    theirs: { code, type, param: text(error["param"]), details: detailsOf(error), requestId: requestIdOf(said) },
  };
}
