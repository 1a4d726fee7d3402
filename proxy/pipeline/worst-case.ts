/** The most that a call can use, from what is known before it is made. */

import type { Shaped } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import type { UseUnit } from "../config/price.ts";
import type { ModelConfig } from "../config/provider.ts";
import { priceMembers } from "../config/steering.ts";
import type { Usage } from "../dialects/canonical.ts";
import { type Failure, failure } from "../failure.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { costNanoUsd } from "../telemetry/cost.ts";
import type { JsonObject } from "../wire/json.ts";
import { dearest, usesCost } from "./dearest-price.ts";
import { type Links, linksOf, linksState } from "./linked.ts";
import { roughPromptTokens } from "./plan.ts";
import { serverUses } from "./server-tools.ts";
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

/** Where a hard budget counts on the price; null where the caller asks for nothing dearer. What the policy sets, it may. */
export function rejectPricierTier({ received: { json }, edits }: Shaped): Failure | null {
  for (const [name, values] of priceMembers) {
    if (name in edits || !values.has(json[name])) continue;
    const message = `\`${name}\` asks for another price than a budget of this call counts on. Leave it out, or ask the platform team to set it by the policy's request.overrides.`;
    return failure("invalid_value", message, { param: name });
  }
  return null;
}

/** How many answers are asked for at once. */
export function answers({ edits, received }: Shaped): number {
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
export interface ExpectedTokens {
  prompt: number;
  /** As the caller caps it, or as long as this model's answers usually are; null where neither is known. */
  answer: number | null;
}

/** `usual`: tokens of an answer of this model; null where none has been seen. */
export function expectedTokens(shaped: Shaped, usual: number | null): ExpectedTokens {
  const prompt = Math.ceil(roughPromptTokens(shaped.received) * 1.1);
  if (shaped.format === "openai.embeddings") return { prompt, answer: 0 };
  const answer = askedCap(shaped) ?? usual;
  return { prompt, answer: answer === null ? null : answer * answers(shaped) };
}

/** Where nothing is known of the answer, a limit lets this many calls begin, at least, before one has ended. */
const callsToBegin = 10;

/** What a call takes of a limit until its answer tells; a call larger than the limit takes all there is. */
export function tokensOfLimit({ prompt, answer }: ExpectedTokens, limit: number): number {
  const expected = prompt + (answer ?? Math.min(ordinaryOutput, Math.floor(limit / callsToBegin)));
  // Nothing passes a limit of 0.
  return Math.max(1, Math.min(limit, expected));
}

/** No tokenizer makes more than one token of a byte; what is only linked is counted apart. */
function promptBound(shaped: Shaped, links: Links): number {
  const { bytes } = shaped.received;
  const added = shaped.mustTranslate || "messages" in shaped.edits ? JSON.stringify(shaped.edits).length + 65_536 : 0;
  return bytes.length + added + linkedTokens * links.count;
}

export interface WorstCost {
  /** nano-USD at the dearest of the targets. */
  nanoUsd: number;
  /** A cap that has to be sent along, since nothing else limits the answer; null where something does. */
  cap: number | null;
}

/** Tokens that the model can take in at once; null where nobody says. */
const windowOf = ({ contextTokens, price }: ModelConfig): number | null => contextTokens ?? price?.windowTokens ?? null;

/** Where `fills`, what is linked may fill the context, and so may each turn that follows a tool. */
function promptOf(bound: number, model: ModelConfig, fills: boolean, turns: number): number {
  const window = windowOf(model) ?? 0;
  return Math.max(bound, fills || turns > 0 ? window : 0) + turns * window;
}

function outputMost(shaped: Shaped, { maxOutputTokens }: ModelConfig): number {
  if (shaped.format === "openai.embeddings") return 0;
  const asked = askedCap(shaped);
  return asked === null ? (maxOutputTokens ?? defaultOutputCap) : Math.min(asked, maxOutputTokens ?? asked);
}

/** A prompt of a model whose context is not known. */
const largestContext = 2_000_000;

/** The most tokens that one attempt at a target can take. */
export function mostTokens(shaped: Shaped, { model }: ResolvedTarget): { prompt: number; completion: number } {
  const links = linksOf(shaped.received.json);
  const fills = links.files || linksState(shaped);
  const { turns } = serverUses(shaped);
  const bound = promptOf(promptBound(shaped, links), model.config, fills, turns);
  const known = windowOf(model.config) !== null || !(fills || turns > 0);
  return {
    prompt: known ? bound : Math.max(bound, largestContext),
    completion: outputMost(shaped, model.config) * answers(shaped),
  };
}

/** Beyond this many times what a call can take at most, a provider's figure is an error. */
const implausibleTimes = 10;

/** The provider reports what no such call can have used. */
export function isImplausible(usage: Usage, shaped: Shaped, target: ResolvedTarget): boolean {
  const tokens = usage.prompt + usage.completion;
  // Most calls are far below it, whatever their most.
  if (tokens <= shaped.received.bytes.length && usage.units === undefined) return false;
  const most = mostTokens(shaped, target);
  if (tokens <= most.prompt + most.completion) return false;
  const reserved = worstCost(shaped, [target])?.nanoUsd ?? 0;
  const cost = costNanoUsd(usage, target.model.config.price) ?? 0;
  return reserved === 0
    ? tokens > implausibleTimes * (most.prompt + most.completion)
    : cost > implausibleTimes * reserved;
}

/** null where one of the targets has no price. */
export function worstCost(shaped: Shaped, targets: readonly ResolvedTarget[]): WorstCost | null {
  const links = linksOf(shaped.received.json);
  const bound = promptBound(shaped, links);
  const fills = links.files || linksState(shaped);
  const asked = shaped.format === "openai.embeddings" ? 0 : askedCap(shaped);
  const uses = serverUses(shaped);
  const units = { media: links.media, hourOfCache: links.hourOfCache, audioAnswer: uses.audio };
  const times = answers(shaped);
  let nanoUsd = 0;
  let cap: number | null = null;
  for (const { model } of targets) {
    const { price, maxOutputTokens } = model.config;
    if (price === null) return null;
    if (asked === null && maxOutputTokens === null) cap = defaultOutputCap;
    const most = outputMost(shaped, model.config);
    const tokens = dearest(promptOf(bound, model.config, fills, uses.turns), most * times, price, units);
    nanoUsd = Math.max(nanoUsd, tokens + usesCost(uses, price, times));
  }
  return { nanoUsd, cap };
}

const bySettingIt = "ask the platform team to set it by the policy's request.overrides";

/** Why a hard budget can't reserve enough for a call; null where it can. What the policy sets, it may. */
export function rejectUnreservable(shaped: Shaped, targets: readonly ResolvedTarget[]): Failure | null {
  const uses = serverUses(shaped);
  if (uses.unknown !== null && !("tools" in shaped.edits && uses.unknown !== "max_tool_calls")) {
    const message = `A budget of this call can't count what ${JSON.stringify(uses.unknown)} costs. Leave it out, or ${bySettingIt}.`;
    return failure("invalid_value", message, { param: "tools" });
  }
  for (const { model, entry } of targets) {
    const { price } = model.config;
    const missing = [...uses.either, ...(Object.keys(uses.uses) as UseUnit[])].find(
      (unit) => price?.uses?.[unit] === undefined,
    );
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

/** Work that is begun here and paid for later, out of the gateway's sight: no price is known for it. The rest is free. */
export function worstCaseOfUpload(method: string, path: string): WorstCost | null {
  return method === "POST" && /\/(batches|fine_tuning\/jobs)$/.test(path) ? null : { nanoUsd: 0, cap: null };
}

/** Has the provider limited to what was reserved. `cap`: of the answer's tokens, where nothing else limits them. */
export function sendCap(shaped: Shaped, cap: number | null, priced: boolean): void {
  const caps: JsonObject = priced ? { ...serverUses(shaped).caps } : {};
  const member = capMember[shaped.format];
  if (cap !== null && member !== null) caps[member] = cap;
  for (const name in caps) {
    // Bytes that pass through get the edit; what is translated is read from the parsed body.
    shaped.edits[name] = caps[name];
    shaped.received.json[name] = caps[name];
  }
}
