/** Whether reading a text on the event loop would delay other calls. */
import type { RE2JS } from "re2js";
import type { Masker } from "../masking/masker.ts";

/** Longest time, in nanoseconds, that one text may take on the event loop. A worker costs about a tenth of it. */
const maxNs = 5_000_000;
/** For each piece of a text, some hundred characters before it are read again. */
const minStride = 512;
/** Measured on the worst texts (test/proxy/linear.test.ts): for each character, and for each instruction of a pattern. */
const detectorsNs = 150;
const foldNs = 60;
const testNs = 25;
const findNs = 50;

export interface TextRules {
  guard: { deny: readonly RE2JS[]; allow: readonly RE2JS[] | null } | null;
  masker: Masker | null;
}

const sizeOf = (patterns: readonly RE2JS[]): number =>
  patterns.reduce((size, pattern) => size + pattern.programSize(), 0);

/** The most that masking costs for each character, in nanoseconds. */
const maskNs = (masker: Masker): number => detectorsNs + findNs * masker.customSize;

function readNs({ guard, masker }: TextRules): number {
  const patterns = guard === null ? [] : [...guard.deny, ...(guard.allow ?? [])];
  const guardNs = patterns.length === 0 ? 0 : foldNs + testNs * sizeOf(patterns);
  return guardNs + (masker === null ? 0 : maskNs(masker));
}

const requests = new WeakMap<TextRules, number>();
const answers = new WeakMap<Masker, number>();

function known<K extends WeakKey>(costs: WeakMap<K, number>, subject: K, measure: (subject: K) => number): number {
  let cost = costs.get(subject);
  if (cost === undefined) costs.set(subject, (cost = measure(subject)));
  return cost;
}

/** `rules`: of a policy, which is immutable. */
export const isLongRequest = (length: number, rules: TextRules): boolean =>
  length * known(requests, rules, readNs) > maxNs;

/** How much text of an answer may be read in one turn of the event loop, in characters. Not less than what is held anyway. */
export const answerStride = (masker: Masker): number =>
  Math.max(minStride, Math.floor(maxNs / known(answers, masker, maskNs)));

/** Whether a part of a stream is read in turns: not what one read brings, unless the policy's own patterns are costly. */
export const isLongPart = (length: number, masker: Masker): boolean =>
  length * known(answers, masker, maskNs) > 3 * maxNs;

export const isLongAnswer = (length: number, masker: Masker): boolean =>
  length * known(answers, masker, maskNs) > maxNs;
