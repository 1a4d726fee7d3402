/** The most that a call can use, computed before it is made. */

import type { Shaped } from "../call/shaped.ts";
import type { TextWireFormat, WireFormat } from "../config/capabilities.ts";
import type { Price, UseUnit } from "../config/price.ts";
import type { ModelConfig } from "../config/provider.ts";
import { priceMembers } from "../config/steering.ts";
import type { Usage } from "../dialects/canonical.ts";
import { type Failure, failure } from "../failure.ts";
import { mediaFormat } from "../media/registry.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { costNanoUsd } from "../telemetry/cost.ts";
import type { JsonObject } from "../wire/json.ts";
import type { ExpectedTokens, WorstCost } from "./call-bounds.ts";
import { maxComputeCost } from "./compute-time.ts";
import { dearest, usesCost } from "./dearest-price.ts";
import { type Links, linksOf, linksState } from "./linked.ts";
import { expectedMedia, worstMedia } from "./media-worst.ts";
import { roughPromptTokens } from "./plan.ts";
import { noUses, type ServerUses, serverUses, usesAt } from "./server-tools.ts";
import { capMember } from "./shape.ts";

/** Members that limit an answer's length in the formats. */
const capMembers = ["max_completion_tokens", "max_tokens", "max_output_tokens"] as const;
/** Those that apply in each format: the provider ignores or rejects the others. */
const ownCaps: Readonly<Partial<Record<WireFormat, readonly string[]>>> = {
  "openai.chat": ["max_completion_tokens", "max_tokens"],
  "openai.completions": ["max_tokens"],
  "openai.embeddings": [],
  "openai.responses": ["max_output_tokens"],
  "anthropic.messages": ["max_tokens"],
};
/** Cap assumed, and sent, if neither caller nor model limits an answer's length. */
const defaultOutputCap = 16_384;
/** Counted against a token limit if the caller sets no cap. Settling corrects it. */
const ordinaryOutput = 1_024;
/** Tokens of an image or file that the request only refers to: the result of the largest common tilings. */
const linkedTokens = 4_000;
function wholeNumber(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** The caller's or the policy's cap on one answer; null if there is none that the provider would respect. */
function askedCap({ edits, received, format }: Shaped): number | null {
  let cap: number | null = null;
  let kept = false;
  for (let index = 0; index < capMembers.length; index++) {
    const name = capMembers[index] as string;
    const value = wholeNumber(name in edits ? edits[name] : received.json[name]);
    if (value === null) continue;
    cap = Math.max(cap ?? 0, value);
    kept ||= name in edits || ownCaps[format]?.includes(name) === true;
  }
  return kept ? cap : null;
}

const counted = [...capMembers, "n", "best_of"] as const;

/**
 * A number that parsers may read differently (a string, a fraction, a negative number), so nothing can be reserved by
 * it.
 */
function isInvalidCount(name: string, value: unknown, format: WireFormat): boolean {
  if ((value ?? null) === null) return false;
  // A completion of 0 tokens returns the probabilities of the prompt's tokens.
  const least = name === "max_tokens" && format === "openai.completions" ? 0 : 1;
  const number = wholeNumber(value);
  return number === null || number < least;
}

/** Why the call's own figures can't be used to reserve anything; null if they can. */
export function rejectUncountable({ received: { json }, edits, format }: Shaped): Failure | null {
  for (let index = 0; index < counted.length; index++) {
    const name = counted[index] as string;
    if (isInvalidCount(name, name in edits ? edits[name] : json[name], format))
      return failure("invalid_value", `\`${name}\` must be a whole number above 0.`, { param: name });
  }
  if (format !== "openai.responses" || (json["background"] ?? false) === false) return null;
  const message =
    "`background` can't be used here: a budget or a limit counts the tokens of the answer. Ask without it.";
  return failure("invalid_value", message, { param: "background" });
}

/**
 * Refuses requests that raise the price on which a hard budget relies; null if the caller makes none. The policy may
 * set them.
 */
export function rejectPricierTier(shaped: Shaped, targets: readonly ResolvedTarget[]): Failure | null {
  const { json } = shaped.received;
  for (let index = 0; index < priceMembers.length; index++) {
    const member = priceMembers[index] as (typeof priceMembers)[number];
    const name = member[0];
    if (!member[1].has(json[name])) continue;
    if (targets.every(({ config }) => name in shaped.forTarget(config).edits)) continue;
    const message = `\`${name}\` asks for another price than a budget of this call counts on. Leave it out, or ask the platform team to set it by the policy's request.overrides.`;
    return failure("invalid_value", message, { param: name });
  }
  return null;
}

/** How many answers are requested at once. */
export function answers({ edits, received }: Shaped): number {
  const choices = edits["n"] ?? received.json["n"];
  const best = edits["best_of"] ?? received.json["best_of"];
  const prompts = received.json["prompt"];
  const times = Array.isArray(prompts) && typeof prompts[0] !== "number" ? Math.max(1, prompts.length) : 1;
  return times * Math.max(1, wholeNumber(choices) ?? 1, wholeNumber(best) ?? 1);
}

/** The caller's token cap for all answers together; null if it sets none. */
export function outputCap(shaped: Shaped): number | null {
  const cap = askedCap(shaped);
  return cap === null ? null : cap * answers(shaped);
}

/** `usual`: the usual tokens of this model's answers; null if none has been seen. */
export function expectedTokens(
  shaped: Shaped,
  targets: readonly ResolvedTarget[],
  usual: number | null,
): ExpectedTokens {
  const media = mediaFormat(shaped.format);
  if (media !== null) return expectedMedia(shaped, targets, media);
  const prompt = Math.ceil(roughPromptTokens(shaped.received) * 1.1);
  if (shaped.format === "openai.embeddings") return { prompt, answer: 0 };
  const answer = largestCap(shaped, targets) ?? askedCap(shaped) ?? usual;
  return { prompt, answer: answer === null ? null : answer * answers(shaped) };
}

/** The largest cap at any of the targets; null if one of them has none. */
function largestCap(shaped: Shaped, targets: readonly ResolvedTarget[]): number | null {
  let largest: number | null = null;
  for (let index = 0; index < targets.length; index++) {
    const cap = askedCap(shaped.forTarget((targets[index] as ResolvedTarget).config));
    if (cap === null) return null;
    largest = Math.max(largest ?? 0, cap);
  }
  return largest;
}

/** If nothing is known about the answer, a limit lets at least this many calls begin before one has ended. */
const callsToBegin = 10;

/** What a call reserves of a limit until its usage is known. A call larger than the limit reserves all of it. */
export function tokensOfLimit({ prompt, answer }: ExpectedTokens, limit: number): number {
  const expected = prompt + (answer ?? Math.min(ordinaryOutput, Math.floor(limit / callsToBegin)));
  // Nothing passes a limit of 0.
  return Math.max(1, Math.min(limit, expected));
}

/** No tokenizer makes more than one token per byte. Linked content is counted separately. */
function promptBound(shaped: Shaped, links: Links): number {
  const { bytes } = shaped.received;
  const added =
    shaped.mustTranslate || shaped.compaction !== null || "messages" in shaped.edits
      ? JSON.stringify(shaped.edits).length + 65_536
      : 0;
  return bytes.length + added + linkedTokens * links.count;
}

/** The model's context size in tokens; null if unknown. */
const windowOf = ({ contextTokens, price }: ModelConfig): number | null => contextTokens ?? price?.windowTokens ?? null;

/** If `fills`, linked content may fill the context, and so may each turn that follows a tool. */
function promptOf(bound: number, model: ModelConfig, fills: boolean, turns: number): number {
  const window = windowOf(model) ?? 0;
  return Math.max(bound, fills || turns > 0 ? window : 0) + turns * window;
}

function outputMost(shaped: Shaped, { config, model }: ResolvedTarget): number {
  const { maxOutputTokens } = model.config;
  if (shaped.format === "openai.embeddings") return 0;
  const requested = askedCap(shaped.forTarget(config));
  return requested === null ? (maxOutputTokens ?? defaultOutputCap) : Math.min(requested, maxOutputTokens ?? requested);
}

/** Context size, in tokens, assumed for a model whose own is unknown. */
const largestContext = 2_000_000;

/** The most tokens that one attempt at a target can take. */
export function maxTokens(shaped: Shaped, target: ResolvedTarget): { prompt: number; completion: number } {
  const { model } = target;
  const links = linksOf(shaped.received.json);
  const fills = links.files || linksState(shaped);
  const { turns } = usesAt(serverUses(shaped), shaped, model.config.upstream);
  const bound = promptOf(promptBound(shaped, links), model.config, fills, turns);
  const isBounded = windowOf(model.config) !== null || !(fills || turns > 0);
  return {
    prompt: isBounded ? bound : Math.max(bound, largestContext),
    completion: outputMost(shaped, target) * answers(shaped),
  };
}

/** A provider's figure above this multiple of a call's maximum is an error. */
const implausibleTimes = 10;

/** Whether the provider reports more than the call can have used. */
export function isImplausible(usage: Usage, shaped: Shaped, target: ResolvedTarget): boolean {
  const tokens = usage.prompt + usage.completion;
  // A cheap test first: most calls are far below this, whatever their maximum.
  if (tokens <= shaped.received.bytes.length && usage.units === undefined) return false;
  const most = maxTokens(shaped, target);
  if (tokens <= most.prompt + most.completion) return false;
  const reserved = worstCost(shaped, [target])?.nanoUsd ?? 0;
  const cost = costNanoUsd(usage, target.model.config.price) ?? 0;
  return reserved === 0
    ? tokens > implausibleTimes * (most.prompt + most.completion)
    : cost > implausibleTimes * reserved;
}

/** null if one of the targets has no price. */
export function worstCost(shaped: Shaped, targets: readonly ResolvedTarget[]): WorstCost | null {
  const media = mediaFormat(shaped.format);
  if (media !== null) return worstMedia(shaped, targets, media);
  const links = linksOf(shaped.received.json);
  const bound = promptBound(shaped, links);
  const fills = links.files || linksState(shaped);
  const all = serverUses(shaped);
  const units = { media: links.media, hourOfCache: links.hourOfCache, audioAnswer: all.audio };
  const times = answers(shaped);
  let nanoUsd = 0;
  let cap: number | null = null;
  for (let index = 0; index < targets.length; index++) {
    const target = targets[index] as ResolvedTarget;
    const { model } = target;
    const { price, maxOutputTokens } = model.config;
    if (price === null) return null;
    const uses = usesAt(all, shaped, model.config.upstream);
    const most = outputMost(shaped, target);
    if (most > 0 && maxOutputTokens === null && askedCap(shaped.forTarget(target.config)) === null)
      cap = defaultOutputCap;
    const tokens = dearest(promptOf(bound, model.config, fills, uses.turns), most * times, price, units);
    const time = maxComputeCost(price, target.entry.account.config);
    nanoUsd = Math.max(nanoUsd, tokens + usesCost(uses, price, times) + time);
  }
  return { nanoUsd, cap };
}

const bySettingIt = "ask the platform team to set it by the policy's request.overrides";

function unpricedUse({ either, uses }: ServerUses, price: Price | null): UseUnit | undefined {
  return [...either, ...(Object.keys(uses) as UseUnit[])].find((unit) => price?.uses?.[unit] === undefined);
}

/** Why a hard budget can't reserve enough for a call; null if it can. The policy's own settings are allowed. */
export function rejectUnreservable(shaped: Shaped, targets: readonly ResolvedTarget[]): Failure | null {
  const all = serverUses(shaped);
  if (all.unknown !== null && !("tools" in shaped.edits && all.unknown !== "max_tool_calls")) {
    const message = `A budget of this call can't count what ${JSON.stringify(all.unknown)} costs. Leave it out, or ${bySettingIt}.`;
    return failure("invalid_value", message, { param: "tools" });
  }
  for (let index = 0; index < targets.length; index++) {
    const { model, entry } = targets[index] as ResolvedTarget;
    const { price } = model.config;
    const uses = usesAt(all, shaped, model.config.upstream);
    const missing = uses === noUses ? undefined : unpricedUse(uses, price);
    const place = `the model ${model.name} of the LLMProvider ${entry.account.config.id}`;
    if (missing !== undefined) {
      const message = `A budget of this call can't count what the tool costs: ${place} has no price.${missing}PerThousand. Leave the tool out, or ask the platform team to set that price.`;
      return failure("invalid_value", message, { param: "tools" });
    }
    if (uses.audio && price?.units?.["outputAudio"] === undefined) {
      const message = `A budget of this call can't count what audio in the answer costs: ${place} has no price.outputAudioPerMillion. Ask for text, or ask the platform team to set that price.`;
      return failure("invalid_value", message, { param: "modalities" });
    }
    if ((uses.turns > 0 || linksState(shaped)) && windowOf(model.config) === null) {
      const message = `A budget of this call has to reserve the whole context window, and ${place} has no contextTokens. Send the whole conversation without the provider's tools, or ask the platform team to set contextTokens.`;
      return failure("invalid_value", message);
    }
  }
  return null;
}

/**
 * Work that starts here but is charged later, out of the gateway's sight, at an unknown price. Everything else is free.
 */
export function worstCaseOfUpload(method: string, path: string): WorstCost | null {
  return method === "POST" && /\/(batches|fine_tuning\/jobs)$/.test(path) ? null : { nanoUsd: 0, cap: null };
}

/** Makes the provider stay within what was reserved. `cap`: on the answer's tokens, if nothing else limits them. */
export function sendCap(shaped: Shaped, cap: number | null, priced: boolean): void {
  if (mediaFormat(shaped.format) !== null) return;
  const member = capMember[shaped.format as TextWireFormat];
  if (priced) setMembers(shaped, serverUses(shaped).caps);
  if (cap !== null && member !== null) setMember(shaped, member, cap);
}

function setMembers(shaped: Shaped, members: JsonObject): void {
  for (const name in members) setMember(shaped, name, members[name]);
}

/** Passed-through bytes get the edit; translation reads the parsed body. */
function setMember(shaped: Shaped, name: string, value: unknown): void {
  shaped.edits[name] = value;
  shaped.received.json[name] = value;
}
