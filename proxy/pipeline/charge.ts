/**
 * What one attempt is charged: the usage that the provider reports, else an estimate.
 *
 *   never sent, or answered with an error          nothing: providers charge for answers
 *   a whole answer                                 its usage, else the prompt and what the answer holds
 *   a stream, as far as it came                    its usage, else the prompt and what was received
 *   a whole answer that never came                 the prompt, and an answer as long as this model's usually are
 */
import { Buffer } from "node:buffer";
import type { AttemptRecord } from "../call/record.ts";
import type { Shaped } from "../call/shaped.ts";
import type { Usage } from "../dialects/canonical.ts";
import { mediaFormat } from "../media/registry.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { costNanoUsd, unpriced } from "../telemetry/cost.ts";
import { isObject, jsonIn } from "../wire/json.ts";
import type { AttemptResult } from "./attempt-result.ts";
import { withComputeTime } from "./compute-time.ts";
import { countedPrompt, countedUsage, estimatedUsage, expectedUsage } from "./estimated.ts";
import { mediaChargeOf } from "./media-charge.ts";
import { withOwnSearch } from "./server-tools.ts";
import type { Tried } from "./try-target.ts";
import type { ModelHabits, UsageHabits } from "./usage-habits.ts";
import { isImplausible, maxTokens } from "./worst-case.ts";

export type AttemptCharge = Pick<AttemptRecord, "usage" | "costNanoUsd" | "implausible" | "unpriced">;

type Failed = Extract<AttemptResult, { kind: "failed" }>;

/** Whether the body of a 2xx response is an error rather than an answer: errors cost nothing. */
function isErrorBody(bytes: Uint8Array): boolean {
  const body = jsonIn(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  return isObject(body) && body["error"] != null;
}

/** How much a provider generates before it notices the disconnect, in milliseconds at the stream's own pace. */
const unseenMs = 50;
/** At most this share of what was received. */
const maxUnseen = 0.25;

/** Characters of a stream whose caller disconnected: received, and still in flight. */
function producedLength(received: number, { firstByteMs, durationMs }: Timing): number {
  const streamedMs = durationMs - (firstByteMs ?? durationMs);
  return streamedMs <= 0 ? received : Math.ceil(received * (1 + Math.min(maxUnseen, unseenMs / streamedMs)));
}

interface Timing {
  firstByteMs: number | null;
  durationMs: number;
}

function usageOfFailed(failed: Failed, shaped: Shaped, habits: ModelHabits): Usage | null {
  const { sent, status, usage, contentLength, usageIsFinal } = failed;
  if (failed.refused && usage === null) return null;
  if (!sent || (status !== null && (status < 200 || status >= 300))) return null;
  if (shaped.received.stream)
    return countedUsage(shaped, { usage, contentLength, body: null, cutShort: !usageIsFinal }, habits);
  return expectedUsage(shaped, habits);
}

function cutShort(
  result: Extract<AttemptResult, { kind: "abandoned" | "broken" }>,
  durationMs: number,
  shaped: Shaped,
  habits: ModelHabits,
): Usage {
  const { usage, usageIsFinal, firstByteMs } = result;
  const contentLength =
    result.kind === "abandoned"
      ? producedLength(result.contentLength, { firstByteMs, durationMs })
      : result.contentLength;
  return countedUsage(shaped, { usage, contentLength, body: null, cutShort: !usageIsFinal }, habits);
}

/** The charge before implausible figures are replaced; null if nothing is charged. */
function usageOf({ result, whole }: Tried, durationMs: number, shaped: Shaped, habits: ModelHabits): Usage | null {
  switch (result.kind) {
    case "failed":
      return usageOfFailed(result, shaped, habits);
    case "whole":
      if (whole === null && isErrorBody(result.bytes)) return null;
      return countedUsage(
        shaped,
        { usage: whole?.usage ?? null, contentLength: 0, body: whole?.body ?? result.bytes, cutShort: false },
        habits,
      );
    case "abandoned":
      if (!result.sent) return null;
      if (!shaped.received.stream) return expectedUsage(shaped, habits);
      return cutShort(result, durationMs, shaped, habits);
    case "broken":
      return result.reported
        ? countedUsage(shaped, { ...result, body: null, cutShort: false }, habits)
        : cutShort(result, durationMs, shaped, habits);
    case "streamed":
      return countedUsage(shaped, { ...result, body: null, cutShort: false }, habits);
  }
}

/** Caps an estimate at what was reserved. */
function withinMost(usage: Usage, shaped: Shaped, target: ResolvedTarget): Usage {
  const most = maxTokens(shaped, target);
  return {
    ...usage,
    prompt: Math.max(Math.min(usage.prompt, most.prompt), usage.cachedPrompt + usage.cacheWrite),
    completion: Math.max(Math.min(usage.completion, most.completion), usage.reasoning),
  };
}

/** The usage that the provider reported, if any. */
const reportedIn = ({ result, whole }: Tried): Usage | null =>
  result.kind === "whole" ? (whole?.usage ?? null) : result.usage;

export function chargeOf(
  target: ResolvedTarget,
  tried: Tried,
  durationMs: number,
  shaped: Shaped,
  all: UsageHabits,
): AttemptCharge {
  const media = mediaFormat(shaped.format);
  if (media !== null) return mediaChargeOf(target, tried, durationMs, shaped, media);
  const habits = all.of(target.entry.account.config.id, target.model.name);
  const { price } = target.model.config;
  const counted = usageOf(tried, durationMs, shaped, habits);
  if (counted === null) return {};
  const usage = counted.estimated ? withinMost(counted, shaped, target) : counted;
  const odd = reportedIn(tried)?.implausible === true || isImplausible(usage, shaped, target);
  const contentLength = tried.result.kind === "whole" ? 0 : tried.result.contentLength;
  if (odd) {
    const guess = estimatedUsage(shaped, contentLength, tried.whole?.body ?? null, habits);
    const instead = withComputeTime(withinMost(guess, shaped, target), durationMs, price);
    return { usage: instead, costNanoUsd: costNanoUsd(instead, price), implausible: true };
  }
  if (tried.error === null && !usage.estimated && tried.result.kind !== "abandoned")
    habits.note(usage, contentLength, () => countedPrompt(shaped));
  const searched = withOwnSearch(usage, shaped, target.model.config.upstream);
  const timed = withComputeTime(searched, durationMs, price);
  const lacking = unpriced(timed, price);
  const charge: AttemptCharge = { usage: timed, costNanoUsd: costNanoUsd(timed, price) };
  if (lacking.length > 0) charge.unpriced = lacking;
  return charge;
}
