/**
 * OpenAI's chat stream → events. Tolerates deviations of compatible servers: no ids, tool fragments without an index,
 * usage in unusual places.
 */

import type { ChatDelta, ToolCallDelta } from "../../dialects/canonical.ts";
import { decodeUsage } from "../../dialects/openai-chat/usage.ts";
import { choiceError, errorEnvelope, isFailedReason } from "../../dialects/verdict/answer.ts";
import { isObject, type JsonObject, objectsIn, parseJson } from "../../wire/json.ts";
import { errorInAnswer, streamFailure } from "../errors.ts";
import type { ChatStreamDecoder } from "../provider.ts";
import { type Emit, sseChatDecoder } from "../sse-decoder.ts";
import { decodeOpenAiError } from "./failure.ts";
import { callsIn, finishReason, ownReason } from "./reply.ts";

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
const filled = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** The state of one choice of the answer. */
class Choice {
  /** Tool call id → index of the call in the emitted events. */
  readonly #tools = new Map<string, number>();
  readonly #used = new Set<number>();
  /** The provider's index → index of the last call begun there. */
  readonly #latest = new Map<number, number>();
  #nextIndex = 0;
  finished = false;

  get calledTools(): boolean {
    return this.#tools.size > 0;
  }

  delta(raw: JsonObject): ChatDelta {
    const delta: ChatDelta = {};
    const content = text(raw["content"]);
    const refusal = text(raw["refusal"]);
    const reasoning = text(raw["reasoning_content"] ?? raw["reasoning"]);
    if (content !== undefined) delta.content = content;
    if (refusal !== undefined) delta.refusal = refusal;
    if (reasoning !== undefined) delta.reasoning_content = reasoning;
    if (Array.isArray(raw["annotations"])) delta.annotations = raw["annotations"].filter(isObject);
    const given = callsIn(raw);
    const calls = objectsIn(given);
    if (calls.length > 0) delta.tool_calls = calls.map((call) => this.#tool(call));
    return delta;
  }

  #tool(call: JsonObject): ToolCallDelta {
    const id = filled(call["id"]);
    const fn = isObject(call["function"]) ? call["function"] : {};
    const name = filled(fn["name"]);
    const args = text(fn["arguments"]);
    const delta: ToolCallDelta = { index: this.#index(call["index"], id), function: {} };
    if (id !== undefined) Object.assign(delta, { id, type: "function" });
    delta.function = { ...(name === undefined ? {} : { name }), ...(args === undefined ? {} : { arguments: args }) };
    return delta;
  }

  /** Servers omit the index, or give several calls the same one. A new id begins a new call. */
  #index(given: unknown, id: string | undefined): number {
    const stated = typeof given === "number" ? given : null;
    if (id === undefined) return this.#continued(stated);
    const same = this.#tools.get(id);
    if (same !== undefined) return same;
    const index = stated === null || this.#used.has(stated) ? this.#nextIndex : stated;
    this.#tools.set(id, index);
    this.#used.add(index);
    this.#nextIndex = Math.max(this.#nextIndex, index + 1);
    if (stated !== null) this.#latest.set(stated, index);
    return index;
  }

  /** A fragment without an id continues the last call begun at its index, or else the last call of all. */
  #continued(stated: number | null): number {
    const index = stated === null ? Math.max(0, this.#nextIndex - 1) : (this.#latest.get(stated) ?? stated);
    if (!this.#used.has(index)) {
      this.#used.add(index);
      this.#tools.set(`#${index}`, index);
      this.#nextIndex = Math.max(this.#nextIndex, index + 1);
    }
    return index;
  }
}

/** Corrects what a provider sends in another form before it is read. */
export type Mend = (body: unknown) => unknown;

/** Chunks in OpenAI's form, whatever the framing. */
export class ChatChunks {
  readonly #choices = new Map<number, Choice>();
  #started = false;

  body(body: unknown, event: string, emit: Emit): void {
    if (!isObject(body)) {
      emit(streamFailure("upstream_invalid_response", "The provider's stream could not be read."));
      return;
    }
    if (event === "error" || errorEnvelope(body) !== null) {
      emit({ kind: "error", error: errorInAnswer(body, decodeOpenAiError) });
      return;
    }
    const choices = objectsIn(body["choices"]);
    // Azure's first chunk has no choice and an empty id: the answer doesn't start there.
    if (choices.length > 0) this.#start(body, emit);
    for (const choice of choices) this.#choice(choice, emit);
    const failed = choiceError(choices);
    if (failed !== null) emit({ kind: "error", error: errorInAnswer(failed, decodeOpenAiError) });
    const usage = decodeUsage(body["usage"], body["service_tier"]);
    if (usage !== null) emit({ kind: "usage", usage });
  }

  /** Whether every choice that has begun has finished. */
  get areFinished(): boolean {
    return this.#choices.size > 0 && [...this.#choices.values()].every((choice) => choice.finished);
  }

  #start(body: JsonObject, emit: Emit): void {
    if (this.#started) return;
    this.#started = true;
    const fingerprint = filled(body["system_fingerprint"]);
    emit({
      kind: "start",
      id: filled(body["id"]) ?? null,
      model: filled(body["model"]) ?? null,
      ...(fingerprint === undefined ? {} : { fingerprint }),
    });
  }

  #choice(raw: JsonObject, emit: Emit): void {
    const index = typeof raw["index"] === "number" ? raw["index"] : 0;
    const choice = this.#choices.get(index) ?? new Choice();
    this.#choices.set(index, choice);
    const delta = choice.delta(isObject(raw["delta"]) ? raw["delta"] : {});
    const logprobs = raw["logprobs"] ?? undefined;
    if (logprobs !== undefined) emit({ kind: "delta", choice: index, delta, logprobs });
    else if (Object.keys(delta).length > 0) emit({ kind: "delta", choice: index, delta });
    // The sequence that ended the answer, from vLLM: https://docs.vllm.ai/en/latest/api/vllm/outputs/
    const stop = text(raw["stop_reason"]);
    const more = stop === undefined ? {} : { stopSequence: stop };
    this.#finish({ choice, index, more }, filled(raw["finish_reason"]), emit);
  }

  #finish(
    { choice, index, more }: { choice: Choice; index: number; more: { stopSequence?: string } },
    native: string | undefined,
    emit: Emit,
  ): void {
    if (native === undefined || choice.finished || isFailedReason(native)) return;
    choice.finished = true;
    const reason = finishReason(native, choice.calledTools);
    const own = ownReason(native, reason);
    emit({ kind: "finish", choice: index, reason, ...(own === null ? {} : { native: own }), ...more });
  }
}

/** `mend`: corrects what a provider sends in another form. */
export function openAiChatDecoder(maxEventBytes?: number, mend: Mend = (body) => body): ChatStreamDecoder {
  const chunks = new ChatChunks();
  return sseChatDecoder(
    (frame, emit) => {
      if (frame.data === "[DONE]") emit({ kind: "end" });
      else if (frame.data.trim() !== "") chunks.body(mend(parseJson(frame.data)), frame.event, emit);
    },
    // Some servers close the stream after the last finish, without the marker.
    (emit) => {
      if (chunks.areFinished) emit({ kind: "end" });
    },
    maxEventBytes,
  );
}
