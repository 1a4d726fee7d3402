/**
 * streamGenerateContent with alt=sse → events. Each frame is a partial answer. There is no end marker, usage is
 * cumulative and may be on any frame, and STOP may come several frames after the call it belongs to. So finishes, usage
 * and end are emitted when the upstream closes.
 */

import type { ChatDelta } from "../../dialects/canonical.ts";
import { searchMember } from "../../dialects/web-search.ts";
import { isObject, type JsonObject, objectsIn, parseJson } from "../../wire/json.ts";
import type { SseFrame } from "../../wire/sse.ts";
import { streamFailure } from "../errors.ts";
import type { ChatStreamDecoder } from "../provider.ts";
import { type Emit, sseChatDecoder } from "../sse-decoder.ts";
import { decodeStreamError } from "./failure.ts";
import { annotationsOf, TextPositions } from "./grounding.ts";
import {
  blockReason,
  candidateParts,
  finishFailure,
  finishReason,
  imageOf,
  indexOf,
  isShallow,
  logprobsOf,
  nativeWord,
  ratingsOf,
  text,
  toolCall,
  usageOf,
} from "./reply.ts";
import { chargedSearches, searchesIn } from "./search.ts";
import type { NewId } from "./signature.ts";

interface Candidate {
  calls: number;
  native: string | null;
  text: TextPositions;
  /** Of the last frame that has any. */
  ratings: ReturnType<typeof ratingsOf>;
}

const newCandidate = (): Candidate => ({ calls: 0, native: null, text: new TextPositions(), ratings: {} });

class GeminiStream {
  readonly #newId: NewId;
  readonly #candidates = new Map<number, Candidate>();
  readonly #seen = new Set<string>();
  #started = false;
  #usage: unknown = null;
  #model = "";
  readonly #queries = new Set<string>();
  #blocked: string | null = null;

  constructor(newId: NewId) {
    this.#newId = newId;
  }

  frame(frame: SseFrame, emit: Emit): void {
    if (frame.data.trim() === "") return;
    const body: unknown = parseJson(frame.data);
    const first: unknown = Array.isArray(body) ? body[0] : body;
    if (!isObject(first) || !isShallow(first))
      emit(streamFailure("upstream_invalid_response", "The provider's stream could not be read."));
    else if (first["error"] !== undefined)
      this.#fail(() => emit({ kind: "error", error: decodeStreamError(first) }), emit);
    else this.#body(first, emit);
  }

  #body(body: JsonObject, emit: Emit): void {
    if (isObject(body["usageMetadata"])) this.#usage = body["usageMetadata"];
    this.#blocked ??= blockReason(body);
    this.#model ||= text(body["modelVersion"]) ?? "";
    if (!this.#started) emit({ kind: "start", id: text(body["responseId"]), model: text(body["modelVersion"]) });
    this.#started = true;
    for (const candidate of objectsIn(body["candidates"])) this.#candidate(candidate, emit);
  }

  #candidate(raw: JsonObject, emit: Emit): void {
    const choice = indexOf(raw);
    const candidate = this.#candidates.get(choice) ?? newCandidate();
    this.#candidates.set(choice, candidate);
    const logprobs = logprobsOf(raw["logprobsResult"]);
    const deltas = candidateParts(raw).flatMap((part) => this.#delta(part, candidate));
    // Log probabilities belong to the frame, not to one of its parts.
    if (logprobs !== undefined) emit({ kind: "delta", choice, delta: deltas.shift() ?? {}, logprobs });
    for (const delta of deltas) emit({ kind: "delta", choice, delta });
    const annotations = annotationsOf(raw, candidate.text);
    if (annotations.length > 0) emit({ kind: "delta", choice, delta: { annotations } });
    this.#search(raw, choice, emit);
    const failure = finishFailure(raw["finishReason"]);
    if (failure !== null) this.#fail(() => emit(streamFailure("upstream_error", failure)), emit);
    candidate.native = text(raw["finishReason"]) ?? candidate.native;
    if (raw["safetyRatings"] !== undefined) candidate.ratings = ratingsOf(raw);
  }

  /** What was found comes with the last frames, after the text. */
  #search(raw: JsonObject, choice: number, emit: Emit): void {
    const searches = searchesIn(raw).filter(({ query }) => !this.#queries.has(query));
    if (searches.length === 0) return;
    for (const { query } of searches) this.#queries.add(query);
    emit({ kind: "delta", choice, delta: searchMember(searches) });
  }

  #delta(part: JsonObject, candidate: Candidate): ChatDelta[] {
    if (isObject(part["functionCall"])) {
      const call = toolCall(part["functionCall"], part["thoughtSignature"], this.#seen, this.#newId);
      return [{ tool_calls: [{ index: candidate.calls++, ...call }] }];
    }
    const image = imageOf(part);
    if (image !== null) return [{ images: [image] }];
    const words = text(part["text"]);
    if (words === null) return [];
    if (part["thought"] === true) return [{ reasoning_content: words }];
    candidate.text.add(words);
    return [{ content: words }];
  }

  /** Usage is billed even if the answer fails. */
  #fail(tell: () => void, emit: Emit): void {
    this.#tellUsage(emit);
    tell();
  }

  #tellUsage(emit: Emit): void {
    const usage = usageOf(this.#usage, chargedSearches(this.#queries.size, this.#model));
    this.#usage = null;
    if (usage !== null) emit({ kind: "usage", usage });
  }

  close(emit: Emit): void {
    if (this.#blocked !== null && this.#candidates.size === 0) this.#candidates.set(0, newCandidate());
    const whole =
      this.#candidates.size > 0 &&
      [...this.#candidates.values()].every((candidate) => (candidate.native ?? this.#blocked) !== null);
    if (whole) for (const [choice, candidate] of this.#candidates) this.#finish(choice, candidate, emit);
    this.#tellUsage(emit);
    if (whole) emit({ kind: "end" });
  }

  #finish(choice: number, { calls, native, ratings }: Candidate, emit: Emit): void {
    if (ratings.safety_ratings !== undefined) emit({ kind: "delta", choice, delta: ratings });
    const reason = native === null ? "content_filter" : finishReason(native, calls > 0);
    emit({ kind: "finish", choice, reason, ...nativeWord(native ?? this.#blocked ?? "", reason, "native") });
  }
}

export function geminiChatDecoder(newId: NewId, maxEventBytes?: number): ChatStreamDecoder {
  const stream = new GeminiStream(newId);
  return sseChatDecoder(
    (frame, emit) => stream.frame(frame, emit),
    (emit) => stream.close(emit),
    maxEventBytes,
  );
}
