/** Usage where the provider reports none: counted by the gateway and marked as estimated, so that no call costs nothing. */
import { Buffer } from "node:buffer";
import type { Shaped } from "../call/shaped.ts";
import { isRefusal, type Usage } from "../dialects/canonical.ts";
import { estimatePromptTokens } from "../dialects/estimate.ts";
import { type JsonObject, jsonIn } from "../wire/json.ts";
import { roughPromptTokens } from "./plan.ts";
import { outputCap } from "./worst-case.ts";

const charactersPerToken = 4;

/** `contentLength`: characters of a stream's content, as far as it came; `body`: a whole answer. */
export function estimatedUsage(shaped: Shaped, contentLength: number, body: Uint8Array | string | null): Usage {
  const request = shaped.format === "openai.embeddings" ? null : shaped.chat();
  const prompt =
    request === null || isRefusal(request) ? roughPromptTokens(shaped.received) : estimatePromptTokens(request);
  return {
    prompt,
    cachedPrompt: 0,
    cacheWrite: 0,
    completion: Math.ceil((contentLength + (body === null ? 0 : contentLengthOf(parsed(body)))) / charactersPerToken),
    reasoning: 0,
    estimated: true,
  };
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

/** What a call counts for. No prompt has no tokens, so that a report of none is none; and nobody has more for less by leaving early. */
export function countedUsage(shaped: Shaped, { usage, contentLength, body, cutShort }: Reported): Usage {
  if (usage === null || usage.prompt + usage.completion === 0) return estimatedUsage(shaped, contentLength, body);
  const seen = cutShort
    ? Math.min(Math.ceil(contentLength / charactersPerToken), outputCap(shaped) ?? Number.MAX_SAFE_INTEGER)
    : 0;
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
