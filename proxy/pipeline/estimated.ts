/** Usage where the provider reports none: counted by the gateway and marked as estimated, so that no call costs nothing. */
import { Buffer } from "node:buffer";
import type { Shaped } from "../call/shaped.ts";
import { isRefusal, type Usage } from "../dialects/canonical.ts";
import { estimatePromptTokens } from "../dialects/estimate.ts";
import { type JsonObject, jsonIn } from "../wire/json.ts";
import { roughPromptTokens } from "./plan.ts";
import { ModelHabits } from "./usage-habits.ts";
import { answers, outputCap } from "./worst-case.ts";

const noHabits = new ModelHabits();
/** Tokens of an answer that never came, where nothing is known of the model's answers. */
const ordinaryOutput = 1_024;

/** Tokens of the prompt by the gateway's own count. */
export function countedPrompt(shaped: Shaped): number {
  const request = shaped.format === "openai.embeddings" ? null : shaped.chat();
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

/** `contentLength`: characters of a stream's content, as far as it came; `body`: a whole answer. */
export function estimatedUsage(
  shaped: Shaped,
  contentLength: number,
  body: Uint8Array | string | null,
  habits: ModelHabits = noHabits,
): Usage {
  const characters = contentLength + (body === null ? 0 : contentLengthOf(parsed(body)));
  return estimated(shaped, habits.received(characters), habits);
}

/** Of an answer that never came, though the provider may have made it. */
export function expectedUsage(shaped: Shaped, habits: ModelHabits): Usage {
  if (shaped.format === "openai.embeddings") return estimated(shaped, 0, habits);
  return estimated(shaped, (habits.expectedOutput ?? ordinaryOutput) * answers(shaped), habits);
}

export interface Reported {
  /** What the provider says; null where it says nothing. */
  usage: Usage | null;
  /** Characters of a stream's content, as far as it came. */
  contentLength: number;
  /** A whole answer. */
  body: Uint8Array | string | null;
  /** The stream did not come to its end: what was said of it may be the count at its beginning. */
  cutShort: boolean;
}

/** What an answer counts for. No prompt has no tokens, so that a report of none is none; and nobody has more for less by leaving early. */
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

/** Members that hold an answer's words, in whichever format. */
const wordMembers: ReadonlySet<string> = new Set([
  "content",
  "text",
  "arguments",
  "reasoning_content",
  "refusal",
  "thinking",
  "partial_json",
]);

/** Characters of a whole answer's content. */
function contentLengthOf(body: unknown): number {
  if (Array.isArray(body)) return body.reduce<number>((sum, one) => sum + contentLengthOf(one), 0);
  if (body === null || typeof body !== "object") return 0;
  return Object.entries(body as JsonObject).reduce(
    (sum, [name, value]) =>
      sum + (typeof value === "string" ? (wordMembers.has(name) ? value.length : 0) : contentLengthOf(value)),
    0,
  );
}
