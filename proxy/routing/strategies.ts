/** Orders of targets, best first. What varies between calls is an argument, so each function is pure. */
import { ratesFor } from "../config/price.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PlanRequest } from "./routing.ts";

export const byPriority = (targets: readonly ResolvedTarget[]): ResolvedTarget[] =>
  [...targets].sort((a, b) => a.config.priority - b.config.priority);

/** `turn` increases by one with each call. */
export function roundRobin(targets: readonly ResolvedTarget[], turn: number): ResolvedTarget[] {
  const first = targets.length === 0 ? 0 : turn % targets.length;
  return [...targets.slice(first), ...targets.slice(0, first)];
}

/** Draws one target after another by weight; a target with weight 0 comes after all others. `random` returns 0 to 1. */
export function weighted(targets: readonly ResolvedTarget[], random: () => number): ResolvedTarget[] {
  const rest = [...targets];
  const order: ResolvedTarget[] = [];
  while (rest.length > 0) {
    const total = rest.reduce((sum, target) => sum + target.config.weight, 0);
    let point = random() * total;
    const index = total === 0 ? 0 : rest.findIndex((target) => (point -= target.config.weight) < 0);
    order.push(...rest.splice(Math.max(0, index), 1));
  }
  return order;
}

/** Ascending by a value that is computed once for each target; equal ones keep their order. */
function ascending(targets: readonly ResolvedTarget[], rankOf: (target: ResolvedTarget) => number): ResolvedTarget[] {
  if (targets.length < 2) return [...targets];
  const valued = targets.map((target) => ({ target, value: rankOf(target) }));
  // The difference of two infinite values is NaN: treat them as equal.
  valued.sort((a, b) => a.value - b.value || 0);
  return valued.map(({ target }) => target);
}

/** `latency` returns milliseconds. A target without enough samples comes first, so that it gets them. */
export function leastLatency(
  targets: readonly ResolvedTarget[],
  latency: (target: ResolvedTarget) => number | null,
): ResolvedTarget[] {
  return ascending(targets, (target) => latency(target) ?? -1);
}

/** The estimated size of a call. */
export interface CallSize {
  promptTokens: number;
  outputTokens: number;
  /** Tokens of the prompt that the target is expected to read from its cache. */
  cachedTokens(target: ResolvedTarget): number;
}

/** `cachedTokens`: absent if no cache is known to have any. */
export const sizeOf = (
  request: Pick<PlanRequest, "promptTokens" | "outputTokens">,
  cachedTokens: CallSize["cachedTokens"] = () => 0,
): CallSize => ({ promptTokens: request.promptTokens(), outputTokens: request.outputTokens(), cachedTokens });

/** nano-USD for a million such calls; null if the price is unknown. */
function costOf(target: ResolvedTarget, { promptTokens, outputTokens, cachedTokens }: CallSize): number | null {
  const { price } = target.model.config;
  if (price === null) return null;
  const rates = ratesFor(price, promptTokens);
  const cached = Math.min(promptTokens, cachedTokens(target));
  return rates.input * (promptTokens - cached) + rates.cachedInput * cached + rates.output * outputTokens;
}

/** What such a call costs at a target, in nano-USD; null if the price is unknown. */
export function estimatedCost(target: ResolvedTarget, size: CallSize): number | null {
  const cost = costOf(target, size);
  return cost === null ? null : Math.round(cost / 1_000_000);
}

/** Cheapest first for these estimated tokens; unknown prices last. */
export const leastCost = (targets: readonly ResolvedTarget[], size: CallSize): ResolvedTarget[] =>
  ascending(targets, (target) => costOf(target, size) ?? Number.POSITIVE_INFINITY);

/** 32-bit FNV-1a: spreads callers well enough among a handful of targets. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** Maps a subject to 0 to 1, always the same, so that a caller stays on one side. */
export const drawnBy = (subject: string, salt: string): number => fnv1a(`${salt}\n${subject}\n${salt}`) / 4_294_967_296;

/**
 * Rendezvous hashing: a caller keeps its target as long as it exists, and if a target is removed, only its callers
 * move.
 */
export function affine(targets: readonly ResolvedTarget[], subject: string): ResolvedTarget[] {
  return ascending(targets, ({ config }) => -fnv1a(`${config.name}\n${subject}\n${config.name}`));
}

/** Like `random`, but always the same sequence for a subject, so that all proxies draw alike. */
export function drawsOf(subject: string): () => number {
  let draws = 0;
  return () => drawnBy(subject, String(draws++));
}

/** Moves a target to the front, if it is among the targets. */
export function startingWith(targets: readonly ResolvedTarget[], name: string): ResolvedTarget[] {
  const first = targets.filter((target) => target.config.name === name);
  return [...first, ...targets.filter((target) => target.config.name !== name)];
}

/** Moves the preferred target or provider to the front, if it is among the targets. */
export function prefer(targets: readonly ResolvedTarget[], wish: string): readonly ResolvedTarget[] {
  const wished = (target: ResolvedTarget): boolean =>
    target.config.name === wish ||
    target.entry.account.config.id === wish ||
    target.entry.account.config.id.endsWith(`/${wish}`);
  return [...targets.filter(wished), ...targets.filter((target) => !wished(target))];
}
