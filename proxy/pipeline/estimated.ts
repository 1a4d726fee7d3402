/**
 * Estimates usage that the provider did not report. It is marked as estimated, and ensures that every call is charged.
 */

import { Buffer } from "node:buffer";
import type { Shaped } from "../call/shaped.ts";
import { isChat } from "../config/capabilities.ts";
import { isRefusal, type Usage } from "../dialects/canonical.ts";
import { estimatePromptTokens } from "../dialects/estimate.ts";
import { type JsonObject, jsonIn } from "../wire/json.ts";
import { roughPromptTokens } from "./plan.ts";
import { ModelHabits } from "./usage-habits.ts";
import { answers, outputCap } from "./worst-case.ts";

const noHabits = new ModelHabits();
/** Tokens assumed for an answer that never arrived, if nothing is known about the model's answers. */
const ordinaryOutput = 1_024;

/** Tokens of the prompt, counted by the gateway. */
export function countedPrompt(shaped: Shaped): number {
  const request = !isChat(shaped.format) ? null : shaped.chat();
  return request === null || isRefusal(request) ? roughPromptTokens(shaped.received) : estimatePromptTokens(request);
}

function estimated(shaped: Shaped, completion: number, habits: ModelHabits): Usage {
  return {
    prompt: habits.prompt(countedPrompt(shaped)),
    cachedPrompt: 0,
    cacheWrite: 0,
    completion: Math.min(completion, outputCap(shaped) ?? Number.MAX_SAFE_INTEGER),
    reasoning: 0,
    estimated: true,
  };
}

/** `contentLength`: characters received of a stream's content. `body`: a whole answer. */
export function estimatedUsage(
  shaped: Shaped,
  contentLength: number,
  body: Uint8Array | string | null,
  habits: ModelHabits = noHabits,
): Usage {
  const characters = contentLength + (body === null ? 0 : contentLengthOf(parsed(body)));
  return estimated(shaped, habits.received(characters), habits);
}

/** Usage for an answer that never arrived, though the provider may have generated it. */
export function expectedUsage(shaped: Shaped, habits: ModelHabits): Usage {
  if (!isChat(shaped.format)) return estimated(shaped, 0, habits);
  return estimated(shaped, (habits.expectedOutput ?? ordinaryOutput) * answers(shaped), habits);
}

export interface Reported {
  /** The usage that the provider reported; null if none. */
  usage: Usage | null;
  /** Characters received of a stream's content. */
  contentLength: number;
  /** A whole answer. */
  body: Uint8Array | string | null;
  /** Whether the stream ended early, so that its reported usage may be the count from its beginning. */
  cutShort: boolean;
}

/**
 * The usage that an answer is charged. Every prompt has tokens, so a report of 0 counts as no report. Disconnecting
 * early never makes received content cheaper.
 */
export function countedUsage(
  shaped: Shaped,
  { usage, contentLength, body, cutShort }: Reported,
  habits: ModelHabits = noHabits,
): Usage {
  if (usage === null || usage.implausible || usage.prompt + usage.completion === 0)
    return estimatedUsage(shaped, contentLength, body, habits);
  const seen = cutShort ? Math.min(habits.received(contentLength), outputCap(shaped) ?? Number.MAX_SAFE_INTEGER) : 0;
  return seen > usage.completion ? { ...usage, completion: seen, estimated: true } : usage;
}

const parsed = (body: Uint8Array | string): unknown =>
  jsonIn(typeof body === "string" ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));

/** Members that hold an answer's text, in any of the formats. */
const wordMembers: ReadonlySet<string> = new Set([
  "content",
  "text",
  "arguments",
  "reasoning_content",
  "refusal",
  "thinking",
  "partial_json",
]);

/** Length of a whole answer's content, in characters. */
function contentLengthOf(body: unknown): number {
  if (Array.isArray(body)) return body.reduce<number>((sum, element) => sum + contentLengthOf(element), 0);
  if (body === null || typeof body !== "object") return 0;
  return Object.entries(body as JsonObject).reduce(
    (sum, [name, value]) =>
      sum + (typeof value === "string" ? (wordMembers.has(name) ? value.length : 0) : contentLengthOf(value)),
    0,
  );
}
