/**
 * A generateContent answer → canonical answer
 * (https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse).
 */

import type {
  ChatChoice,
  ChatReply,
  FinishReason,
  MessageImage,
  ProviderError,
  ToolCall,
  Usage,
} from "../../dialects/canonical.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { Counts, tierMode, withHidden } from "../../dialects/usage-counts.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import { annotationsOf, TextPositions } from "./grounding.ts";
import { chargedSearches, searchesIn, searchesOf } from "./search.ts";
import { callId, type NewId, withSignature } from "./signature.ts";

export const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** Deeper JSON can be parsed but not serialised: `JSON.stringify` overflows the stack at a few thousand levels. */
export function isShallow(value: unknown, levels = 256): boolean {
  if (value === null || typeof value !== "object") return true;
  return levels > 0 && Object.values(value).every((member) => isShallow(member, levels - 1));
}

/** Tokens of one modality in a list of counts by modality. */
function ofModality(details: unknown, modality: string, counts: Counts): number {
  return objectsIn(details)
    .filter((detail) => detail["modality"] === modality)
    .reduce((sum, detail) => sum + counts.of(detail["tokenCount"]), 0);
}

/**
 * `promptTokenCount` includes cached tokens; `candidatesTokenCount` excludes thoughts. Modalities have separate prices:
 * https://ai.google.dev/api/generate-content#UsageMetadata.
 */
export function usageOf(usage: unknown, webSearch = 0): Usage | null {
  if (!isObject(usage)) return null;
  const counts = new Counts();
  const { promptTokensDetails, toolUsePromptTokensDetails, cacheTokensDetails, candidatesTokensDetails } = usage;
  const input = [...objectsIn(promptTokensDetails), ...objectsIn(toolUsePromptTokensDetails)];
  const thoughts = counts.of(usage["thoughtsTokenCount"]);
  const prompt = counts.of(usage["promptTokenCount"]) + counts.of(usage["toolUsePromptTokenCount"]);
  const completion = counts.of(usage["candidatesTokenCount"]) + thoughts;
  return counts.usage(
    {
      prompt,
      cachedPrompt: counts.of(usage["cachedContentTokenCount"]),
      cacheWrite: 0,
      ...withHidden({ prompt, completion, reasoning: thoughts }, counts.of(usage["totalTokenCount"])),
    },
    {
      units: {
        webSearch,
        inputAudio: ofModality(input, "AUDIO", counts),
        inputImage: ofModality(input, "IMAGE", counts),
        inputVideo: ofModality(input, "VIDEO", counts),
        cachedAudio: ofModality(cacheTokensDetails, "AUDIO", counts),
        cachedImage: ofModality(cacheTokensDetails, "IMAGE", counts),
        outputAudio: ofModality(candidatesTokensDetails, "AUDIO", counts),
        outputImage: ofModality(candidatesTokensDetails, "IMAGE", counts),
        outputVideo: ofModality(candidatesTokensDetails, "VIDEO", counts),
      },
      modes: [tierMode(usage["serviceTier"])],
    },
  );
}

const finishReasons: Readonly<Record<string, FinishReason>> = {
  STOP: "stop",
  MAX_TOKENS: "length",
  SAFETY: "content_filter",
  RECITATION: "content_filter",
  BLOCKLIST: "content_filter",
  PROHIBITED_CONTENT: "content_filter",
  SPII: "content_filter",
  LANGUAGE: "content_filter",
  MODEL_ARMOR: "content_filter",
  IMAGE_SAFETY: "content_filter",
  IMAGE_PROHIBITED_CONTENT: "content_filter",
  IMAGE_RECITATION: "content_filter",
};

/** The model stopped with an error: there is no answer to show. */
const failedReasons: ReadonlySet<string> = new Set([
  "MALFORMED_FUNCTION_CALL",
  "UNEXPECTED_TOOL_CALL",
  "TOO_MANY_TOOL_CALLS",
  "MALFORMED_RESPONSE",
  "MISSING_THOUGHT_SIGNATURE",
]);

/** null if the reason doesn't mean failure. */
export function finishFailure(native: unknown): string | null {
  return typeof native === "string" && failedReasons.has(native)
    ? `The model's answer could not be used (${native}). Try again.`
    : null;
}

export function finishReason(native: string, calledTools: boolean): FinishReason {
  const mapped = Object.hasOwn(finishReasons, native) ? finishReasons[native] : undefined;
  return calledTools && (mapped ?? "stop") === "stop" ? "tool_calls" : (mapped ?? "stop");
}

/** The provider's own reason, if it says more than the canonical one. */
export function nativeWord<Name extends string>(
  native: string,
  reason: FinishReason,
  name: Name,
): { [N in Name]?: string } {
  return native.toLowerCase() === reason ? {} : ({ [name]: native } as { [N in Name]?: string });
}

/** Function calls arrive whole. */
export function toolCall(call: JsonObject, signature: unknown, seen: Set<string>, newId: NewId): ToolCall {
  const id = withSignature(callId(call["id"], seen, newId), signature);
  return {
    id,
    type: "function",
    function: { name: text(call["name"]) ?? "", arguments: JSON.stringify(call["args"] ?? {}) },
  };
}

interface LogprobToken {
  token: string;
  logprob: number;
  bytes: null;
}

function logprobToken(raw: unknown): LogprobToken {
  const candidate = isObject(raw) ? raw : {};
  return {
    token: text(candidate["token"]) ?? "",
    logprob: typeof candidate["logProbability"] === "number" ? candidate["logProbability"] : 0,
    bytes: null,
  };
}

/** `logprobsResult` → OpenAI's `logprobs`: the chosen tokens and the alternatives at each step. */
export function logprobsOf(result: unknown): JsonObject | undefined {
  if (!isObject(result) || !Array.isArray(result["chosenCandidates"])) return undefined;
  const steps = Array.isArray(result["topCandidates"]) ? (result["topCandidates"] as unknown[]) : [];
  const content = (result["chosenCandidates"] as unknown[]).map((chosen, index) => {
    const step = steps[index];
    return {
      ...logprobToken(chosen),
      top_logprobs: objectsIn(isObject(step) ? step["candidates"] : []).map(logprobToken),
    };
  });
  return { content, refusal: null };
}

export function candidateParts(candidate: JsonObject): readonly JsonObject[] {
  return isObject(candidate["content"]) ? objectsIn(candidate["content"]["parts"]) : [];
}

export function indexOf(candidate: JsonObject): number {
  // The first one has no index, since the API omits zeros.
  return Number.isSafeInteger(candidate["index"]) && (candidate["index"] as number) >= 0
    ? (candidate["index"] as number)
    : 0;
}

/**
 * A picture in the answer, as OpenRouter's chat has it in `images`
 * (https://openrouter.ai/docs/features/multimodal/image-generation). Drafts made while thinking are not the answer.
 */
export function imageOf({ inlineData, thought }: JsonObject): MessageImage | null {
  if (thought === true || !isObject(inlineData)) return null;
  const { mimeType, data } = inlineData;
  if (typeof mimeType !== "string" || !mimeType.startsWith("image/") || text(data) === null) return null;
  return { type: "image_url", image_url: { url: `data:${mimeType};base64,${data as string}` } };
}

/** How safe Google thinks the answer is (https://ai.google.dev/api/generate-content#SafetyRating). */
export const ratingsOf = ({ safetyRatings }: JsonObject): { safety_ratings?: readonly JsonObject[] } => {
  const ratings = objectsIn(safetyRatings);
  return ratings.length > 0 ? { safety_ratings: ratings } : {};
};

/** Positions are in a part, and thoughts have none. */
function annotationsIn(candidate: JsonObject, parts: readonly JsonObject[]): JsonObject[] {
  const positions = new TextPositions();
  const starts = parts.map((part) => {
    const { bytes } = positions;
    if (part["thought"] !== true) positions.add(text(part["text"]) ?? "");
    return bytes;
  });
  return annotationsOf(candidate, positions, (part) => starts[part] ?? 0);
}

function decodeCandidate(candidate: JsonObject, index: number, seen: Set<string>, newId: NewId): ChatChoice {
  const parts = candidateParts(candidate);
  const texts = (thought: boolean): string =>
    parts
      .filter((part) => (part["thought"] === true) === thought)
      .map((part) => text(part["text"]) ?? "")
      .join("");
  const calls = parts.flatMap((part) =>
    isObject(part["functionCall"]) ? [toolCall(part["functionCall"], part["thoughtSignature"], seen, newId)] : [],
  );
  const native = text(candidate["finishReason"]) ?? "STOP";
  const reason = finishReason(native, calls.length > 0);
  const content = texts(false);
  const reasoning = texts(true);
  const images = parts.map(imageOf).filter((image) => image !== null);
  const logprobs = logprobsOf(candidate["logprobsResult"]);
  const annotations = annotationsIn(candidate, parts);
  return {
    index,
    message: {
      role: "assistant",
      content: content === "" && (calls.length > 0 || reason === "content_filter") ? null : content,
      ...(images.length > 0 ? { images } : {}),
      ...(annotations.length > 0 ? { annotations } : {}),
      ...searchesOf(candidate),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
      ...ratingsOf(candidate),
    },
    ...(logprobs === undefined ? {} : { logprobs }),
    finish_reason: reason,
    ...nativeWord(native, reason, "native_finish_reason"),
  };
}

/** The prompt was refused: there are no candidates, only the reason. */
export function blockReason(body: JsonObject): string | null {
  return isObject(body["promptFeedback"]) ? text(body["promptFeedback"]["blockReason"]) : null;
}

function blocked(native: string, feedback: unknown): ChatChoice {
  return {
    index: 0,
    message: { role: "assistant", content: null, ...(isObject(feedback) ? ratingsOf(feedback) : {}) },
    finish_reason: "content_filter",
    native_finish_reason: native,
  };
}

export function decodeGeminiReply(body: unknown, newId: NewId): ChatReply | ProviderError {
  if (!isObject(body) || !isShallow(body)) return invalidReply();
  const candidates = objectsIn(body["candidates"]);
  const reason = blockReason(body);
  if (candidates.length === 0 && reason === null) return invalidReply("The provider's answer has no content.");
  const failure = candidates
    .map((candidate) => finishFailure(candidate["finishReason"]))
    .find((entry) => entry !== null);
  if (failure != null) return { ...invalidReply(failure), code: "upstream_error" };
  const seen = new Set<string>();
  const model = text(body["modelVersion"]) ?? "";
  const searches = candidates.reduce((sum, candidate) => sum + searchesIn(candidate).length, 0);
  return {
    id: text(body["responseId"]) ?? "",
    created: 0,
    model,
    choices:
      candidates.length === 0
        ? [blocked(reason ?? "", body["promptFeedback"])]
        : candidates.map((candidate, index) => decodeCandidate(candidate, index, seen, newId)),
    usage: usageOf(body["usageMetadata"], chargedSearches(searches, model)),
  };
}
