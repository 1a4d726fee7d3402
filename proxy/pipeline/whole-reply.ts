/** Checks whether a passed-through body is a whole answer, and reads its usage. */
import { Buffer } from "node:buffer";
import type { ProviderError, Usage } from "../dialects/canonical.ts";
import { invalidReply } from "../dialects/invalid-reply.ts";
import { toolItems } from "../dialects/openai-responses/usage.ts";
import { mayNameTier } from "../dialects/verdict/skim.ts";
import { usualBytes } from "../dialects/verdict/spelling.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { skipBlanks } from "../wire/json-outline.ts";

export interface WholeReply {
  body: Uint8Array | string;
  usage: Usage | null;
  /** Absent for JSON. */
  contentType?: string;
}

const usageName = Buffer.from('"usage"');
const openBrace = 0x7b;
const closeBrace = 0x7d;

const isOpened = (bytes: Buffer): boolean => bytes[skipBlanks(bytes, 0)] === openBrace;

/**
 * Reads the member `usage` of an answer without parsing the texts before it. With a brace in front, the answer from
 * that name to its end is a JSON object if the name is a top-level member. If it is nested or part of a text, brackets
 * or quotes don't match. undefined: only parsing everything can tell.
 */
function lastMember(bytes: Buffer): JsonObject | undefined {
  const offset = isOpened(bytes) ? bytes.lastIndexOf(usageName) : -1;
  // Only numbers are read from it, so Latin-1, which is faster to decode, is as good as UTF-8.
  const tail = offset < 0 ? undefined : jsonIn(`{${bytes.toString("latin1", offset)}`);
  return isObject(tail) ? tail : undefined;
}

/**
 * Answers up to this size are parsed whole if necessary. Of larger ones (embeddings), only the ends and the usage are
 * read.
 */
const parseWholeBytes = 65_536;

const colon = 0x3a;

/**
 * Index of the last `"usage":` that is followed by an object. The name may also be a value, or occur in a text of the
 * caller that the answer repeats.
 */
function usageAt(bytes: Buffer): number {
  for (
    let offset = bytes.lastIndexOf(usageName);
    offset >= 0;
    offset = offset === 0 ? -1 : bytes.lastIndexOf(usageName, offset - 1)
  ) {
    const next = skipBlanks(bytes, offset + usageName.length);
    if (bytes[next] !== colon) continue;
    const value = skipBlanks(bytes, next + 1);
    if (bytes[value] === openBrace) return value;
  }
  return -1;
}

/** The object after the last `"usage":`. What follows isn't decoded either, as it may be the vectors. */
function usageWithin(bytes: Buffer): unknown {
  const open = usageAt(bytes);
  for (
    let close = open < 0 ? -1 : bytes.indexOf(closeBrace, open);
    close > 0 && close - open < 4096;
    close = bytes.indexOf(closeBrace, close + 1)
  ) {
    const value = jsonIn(bytes.toString("latin1", open, close + 1));
    if (value !== undefined) return value;
  }
  return undefined;
}

const isClosed = (bytes: Buffer): boolean =>
  bytes
    .toString("latin1", Math.max(0, bytes.length - 64))
    .trimEnd()
    .endsWith("}");

/** Items of a Responses answer that are charged separately. They precede the usage. */
const chargedItems = toolItems.map((type) => Buffer.from(`"${type}"`));

const hasChargedItems = (bytes: Buffer): boolean => chargedItems.some((item) => bytes.includes(item));

/**
 * `usageOf` reads the usage of an answer, or of an object that has only the member `usage`. `bytes`: the body as
 * `usualBytes` spells it.
 */
export function passedReply(
  body: Buffer,
  usageOf: (reply: JsonObject) => Usage | null,
  itemised = false,
  bytes = usualBytes(body),
): WholeReply | ProviderError {
  if ((itemised && hasChargedItems(bytes)) || mayNameTier(bytes)) {
    const whole = jsonIn(bytes.toString("utf8"));
    return isObject(whole) ? { body, usage: usageOf(whole) } : invalidReply();
  }
  if (bytes.length > parseWholeBytes)
    return isOpened(bytes) && isClosed(bytes)
      ? { body, usage: usageOf({ usage: usageWithin(bytes) }) }
      : invalidReply();
  const reply = lastMember(bytes) ?? jsonIn(bytes.toString("latin1"));
  return isObject(reply) ? { body, usage: usageOf(reply) } : invalidReply();
}
