/**
 * Recognises from the bytes that a body is certainly an answer, or has nothing that changes its price, so that most
 * answers that pass through need no parsing.
 */
import { Buffer } from "node:buffer";
import type { WireFormat } from "../../config/capabilities.ts";
import { skipBlanks } from "../../wire/json-outline.ts";
import { tierMode } from "../usage-counts.ts";
import { isFailedReason } from "./answer.ts";

const quote = 0x22;
const colon = 0x3a;
const openBracket = 0x5b;
const openBrace = 0x7b;
const LETTER_N = 0x6e;
const LETTER_S = 0x73;

/**
 * Offset of the value after the first member named `name`, -1 if there is none. A quote inside a string is escaped by a
 * backslash.
 */
function memberValue(bytes: Buffer, name: Buffer, from = 0): number {
  for (let offset = bytes.indexOf(name, from); offset >= 0; offset = bytes.indexOf(name, offset + name.length)) {
    const next = skipBlanks(bytes, offset + name.length);
    if (bytes[next] === colon) return skipBlanks(bytes, next + 1);
  }
  return -1;
}

const errorStart = Buffer.from('"error');
const cancelledWord = Buffer.from('"cancelled"');

/** Whether `"error"` occurs as a name or a value, other than `"error": null`; or `"errors"`. */
function mentionsError(bytes: Buffer): boolean {
  for (
    let offset = bytes.indexOf(errorStart);
    offset >= 0;
    offset = bytes.indexOf(errorStart, offset + errorStart.length)
  ) {
    const behind = offset + errorStart.length;
    if (bytes[behind] === LETTER_S && bytes[behind + 1] === quote) return true;
    if (bytes[behind] === quote && !isNullMember(bytes, behind + 1)) return true;
  }
  return false;
}

/** Whether a colon and null follow. */
function isNullMember(bytes: Buffer, from: number): boolean {
  const next = skipBlanks(bytes, from);
  return bytes[next] === colon && bytes[skipBlanks(bytes, next + 1)] === LETTER_N;
}

/** The member that holds the answer, a list of objects, and a member whose text shows that it is complete. */
const members: Readonly<Partial<Record<WireFormat, readonly [list: Buffer, end: Buffer | null]>>> = {
  "openai.chat": [Buffer.from('"choices"'), Buffer.from('"finish_reason"')],
  "openai.completions": [Buffer.from('"choices"'), Buffer.from('"finish_reason"')],
  "openai.embeddings": [Buffer.from('"data"'), null],
  "openai.responses": [Buffer.from('"output"'), null],
  "anthropic.messages": [Buffer.from('"content"'), Buffer.from('"stop_reason"')],
};
const failedWord = Buffer.from('"failed"');

/** Longest reason for which an answer ended, in bytes. */
const maxReasonBytes = 64;

/** The text that begins at a quote, if it is short; "" if it isn't or there is none. */
function shortText(bytes: Buffer, open: number): string {
  if (bytes[open] !== quote) return "";
  const text = bytes.toString("latin1", open + 1, open + 1 + maxReasonBytes);
  return text.slice(0, Math.max(0, text.indexOf('"')));
}

/** Whether all members `end` are texts, and none of them says that the answer failed. */
function endedWell(bytes: Buffer, end: Buffer): boolean {
  let value = memberValue(bytes, end);
  if (value < 0) return false;
  for (; value >= 0; value = memberValue(bytes, end, value)) {
    const reason = shortText(bytes, value);
    if (reason === "" || isFailedReason(reason)) return false;
  }
  return true;
}

/** Returns false if only parsing can tell. `bytes`: as `usualBytes` spells them. */
export function surelyAnswer(format: WireFormat, bytes: Buffer): boolean {
  const known = members[format];
  if (known === undefined) return false;
  // By index, as every answer comes here: taking a list apart makes an iterator.
  const list = known[0];
  const end = known[1];
  const open = memberValue(bytes, list);
  if (open < 0 || bytes[open] !== openBracket || bytes[skipBlanks(bytes, open + 1)] !== openBrace) return false;
  if (mentionsError(bytes)) return false;
  if (format === "openai.responses") return !bytes.includes(failedWord) && !bytes.includes(cancelledWord);
  return end === null || endedWell(bytes, end);
}

const inChoices = /"choices":\[\{/;
const errorWord = /"error/;
const wholeObject = /\}\s*$/;
const firstText = /"delta":\{(?:"role":"assistant",)?"content":"[^"]/;
const onlyRole = /"delta":\{"role":"assistant","content":(?:""|null)(?:,"refusal":null)?\}/;
/** What a first frame has besides: a second delta, a reason, words or a usage say more than these patterns see. */
const notFirst = /"delta".*"delta"|"finish_reason":"|"text"|"message"|"audio"|"usage":\{/s;

/**
 * How far a chunk of a chat's stream brings the answer, by its bytes; null if only parsing can tell. A quote within a
 * text is escaped, so that these names are names.
 */
export function progressFromText(chunk: string): "begun" | "waiting" | null {
  if (!inChoices.test(chunk) || errorWord.test(chunk) || !wholeObject.test(chunk)) return null;
  if (firstText.test(chunk)) return "begun";
  return onlyRole.test(chunk) && !notFirst.test(chunk) ? "waiting" : null;
}

const tierName = Buffer.from('"service_tier"');
/** Longest name of a tier, in bytes. */
const maxTierBytes = 64;

/** Whether a text follows that names a tier of another price. */
function isOtherTier(bytes: Buffer, from: number): boolean {
  const next = skipBlanks(bytes, from);
  if (bytes[next] !== colon) return false;
  const open = skipBlanks(bytes, next + 1);
  if (bytes[open] !== quote) return false;
  const text = bytes.toString("latin1", open + 1, open + 1 + maxTierBytes);
  const close = text.indexOf('"');
  return close < 0 || tierMode(text.slice(0, close)) !== null;
}

/**
 * Whether a tier that changes the price may be named anywhere: an answer of the Responses API names it before the usage.
 * Most name the usual one, or none.
 */
export function mayNameTier(bytes: Buffer): boolean {
  for (let offset = bytes.indexOf(tierName); offset >= 0; offset = bytes.indexOf(tierName, offset + tierName.length))
    if (isOtherTier(bytes, offset + tierName.length)) return true;
  return false;
}
