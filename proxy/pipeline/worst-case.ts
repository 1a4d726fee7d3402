/** The most that a call can use, from what is known before it is made. */

import type { Shaped } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import type { Price } from "../config/price.ts";
import { type Failure, failure } from "../failure.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { JsonObject } from "../wire/json.ts";
import { roughPromptTokens } from "./plan.ts";
import { capMember } from "./shape.ts";

/** Members by which the formats limit an answer's length. */
const capMembers = ["max_completion_tokens", "max_tokens", "max_output_tokens"] as const;
/** Those that count in a format: the provider passes over the others, or takes offence. */
const ownCaps: Readonly<Record<WireFormat, readonly string[]>> = {
  "openai.chat": ["max_completion_tokens", "max_tokens"],
  "openai.completions": ["max_tokens"],
  "openai.embeddings": [],
  "openai.responses": ["max_output_tokens"],
  "anthropic.messages": ["max_tokens"],
};
/** Assumed where neither caller nor model says how long an answer can be, and then also asked for. */
const defaultOutputCap = 16_384;
/** What is counted against a limit on tokens where the caller sets no cap: limits are set right by settling. */
const ordinaryOutput = 1_024;
/** An image or file that the request only points to: what the largest common tilings come to. */
const linkedTokens = 4_000;
const links: ReadonlySet<string> = new Set([
  ...["image_url", "input_image", "file_id", "file_url", "url", "file_uri"],
  // Pictures and documents in base64 may be more tokens than bytes.
  ...["media_type", "file_data"],
]);

function wholeNumber(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** The caller's or the policy's cap on one answer; null where there is none that the provider would keep to. */
function askedCap({ edits, received, format }: Shaped): number | null {
  let cap: number | null = null;
  let kept = false;
  for (const name of capMembers) {
    const value = wholeNumber(name in edits ? edits[name] : received.json[name]);
    if (value === null) continue;
    cap = Math.max(cap ?? 0, value);
    kept ||= name in edits || ownCaps[format].includes(name);
  }
  return kept ? cap : null;
}

const counted = [...capMembers, "n", "best_of"] as const;

/** A number that one reader takes for what it isn't for another (a text, a fraction, one below zero), so that nothing can be reserved by it. */
function isInvalidCount(name: string, value: unknown, format: WireFormat): boolean {
  if ((value ?? null) === null) return false;
  // A completion of no tokens gives the probabilities of a prompt's.
  const least = name === "max_tokens" && format === "openai.completions" ? 0 : 1;
  const number = wholeNumber(value);
  return number === null || number < least;
}

/** Why nothing that holds for this call can be counted by what it says; null where it can. */
export function rejectUncountable({ received: { json }, edits, format }: Shaped): Failure | null {
  for (const name of counted) {
    if (isInvalidCount(name, name in edits ? edits[name] : json[name], format))
      return failure("invalid_value", `\`${name}\` must be a whole number above 0.`, { param: name });
  }
  if (format !== "openai.responses" || (json["background"] ?? false) === false) return null;
  const message =
    "`background` can't be used here: a budget or a limit counts the tokens of the answer. Ask without it.";
  return failure("invalid_value", message, { param: "background" });
}

/**
 * What a call is asked to be, at another price than the table's: OpenAI's priority processing, by either name
 * (https://openai.com/api-fast-mode/), and Anthropic's fast mode (https://platform.claude.com/docs/en/build-with-claude/fast-mode).
 */
const dearer: Readonly<Record<string, ReadonlySet<unknown>>> = {
  service_tier: new Set(["priority", "fast"]),
  speed: new Set(["fast"]),
};

/** Where a hard budget counts on the price; null where the caller asks for nothing dearer. What the policy sets, it may. */
export function rejectPricierTier({ received: { json }, edits }: Shaped): Failure | null {
  for (const name in dearer) {
    if (name in edits || dearer[name]?.has(json[name]) !== true) continue;
    const message = `\`${name}\` asks for another price than a budget of this call counts on. Leave it out, or ask the platform team to set it by the policy's request.overrides.`;
    return failure("invalid_value", message, { param: name });
  }
  return null;
}

function answers({ edits, received }: Shaped): number {
  const members = { n: edits["n"] ?? received.json["n"], best_of: edits["best_of"] ?? received.json["best_of"] };
  const prompts = received.json["prompt"];
  const times = Array.isArray(prompts) && typeof prompts[0] !== "number" ? Math.max(1, prompts.length) : 1;
  return times * Math.max(1, wholeNumber(members.n) ?? 1, wholeNumber(members.best_of) ?? 1);
}

/** Tokens that the caller lets all answers together have; null where it doesn't say. */
export function outputCap(shaped: Shaped): number | null {
  const cap = askedCap(shaped);
  return cap === null ? null : cap * answers(shaped);
}

/** About how many tokens a call will count for, for limits on tokens. */
export function expectedTokens(shaped: Shaped): number {
  const prompt = Math.ceil(roughPromptTokens(shaped.received) * 1.1);
  if (shaped.format === "openai.embeddings") return prompt;
  return prompt + (askedCap(shaped) ?? ordinaryOutput) * answers(shaped);
}

/** How often something is linked, as the parsed body has it: in its bytes a name may be written in many ways. */
function occurrences(value: unknown): number {
  if (typeof value === "string") return links.has(value) ? 1 : 0;
  if (value === null || typeof value !== "object") return 0;
  let count = 0;
  if (Array.isArray(value)) for (const one of value) count += occurrences(one);
  else
    for (const name of Object.keys(value))
      count += (links.has(name) ? 1 : 0) + occurrences((value as JsonObject)[name]);
  return count;
}

const ofTexts = (name: string): boolean => name === "role" || name === "content" || name === "name";

function onlyTexts(messages: unknown): boolean {
  if (!Array.isArray(messages)) return false;
  for (const message of messages as JsonObject[]) {
    for (const name in message) if (!ofTexts(name) || typeof message[name] !== "string") return false;
  }
  return true;
}

/** Texts and plain members only, as most calls have: there is nothing that could link, so the bytes needn't be searched. */
function linksNothing(json: JsonObject): boolean {
  for (const name in json) {
    const value = json[name];
    if (name === "messages" ? !onlyTexts(value) : typeof value === "object" || links.has(name)) return false;
  }
  return true;
}

/** No tokenizer makes more than one token of a byte; what is only linked is counted apart. */
function promptBound(shaped: Shaped): number {
  const { bytes, json } = shaped.received;
  const added = shaped.mustTranslate || "messages" in shaped.edits ? JSON.stringify(shaped.edits).length + 65_536 : 0;
  const linked = linksNothing(json) ? 0 : linkedTokens * occurrences(json);
  return bytes.length + added + linked;
}

/** nano-USD for a million tokens, of prompts and of answers, at the dearest. */
const dearestPrices = new WeakMap<Price, [prompt: number, answer: number]>();

function dearestPrice(price: Price): [number, number] {
  let known = dearestPrices.get(price);
  if (known === undefined) {
    const tiers = [price, ...price.tiers];
    known = [
      Math.max(...tiers.flatMap((one) => [one.input, one.cachedInput, one.cacheWrite])),
      Math.max(...tiers.flatMap((one) => [one.output, one.reasoning])),
    ];
    dearestPrices.set(price, known);
  }
  return known;
}

/** Tokens as they would be charged most dearly; a little more than exact rather than less. */
function dearest(prompt: number, completion: number, price: Price): number {
  const [forPrompt, forAnswer] = dearestPrice(price);
  return Math.ceil((prompt * forPrompt + completion * forAnswer) / 1_000_000) + 2;
}

export interface WorstCost {
  /** nano-USD at the dearest of the targets. */
  nanoUsd: number;
  /** A cap that has to be sent along, since nothing else limits the answer; null where something does. */
  cap: number | null;
}

/** null where one of the targets has no price. */
export function worstCost(shaped: Shaped, targets: readonly ResolvedTarget[]): WorstCost | null {
  const prompt = promptBound(shaped);
  const asked = shaped.format === "openai.embeddings" ? 0 : askedCap(shaped);
  let nanoUsd = 0;
  let cap: number | null = null;
  for (const { model } of targets) {
    const { price, maxOutputTokens } = model.config;
    if (price === null) return null;
    if (asked === null && maxOutputTokens === null) cap = defaultOutputCap;
    const most = asked === null ? (maxOutputTokens ?? defaultOutputCap) : Math.min(asked, maxOutputTokens ?? asked);
    nanoUsd = Math.max(nanoUsd, dearest(prompt, most * answers(shaped), price));
  }
  return { nanoUsd, cap };
}

/** Work that is begun here and paid for later, out of the gateway's sight: no price is known for it. The rest is free. */
export function worstCaseOfUpload(method: string, path: string): WorstCost | null {
  return method === "POST" && /\/(batches|fine_tuning\/jobs)$/.test(path) ? null : { nanoUsd: 0, cap: null };
}

/** Has the answer limited to what was reserved. */
export function sendCap(shaped: Shaped, cap: number | null): void {
  const member = capMember[shaped.format];
  if (cap === null || member === null) return;
  // Bytes that pass through get the edit; what is translated is read from the parsed body.
  shaped.edits[member] = cap;
  shaped.received.json[member] = cap;
}
