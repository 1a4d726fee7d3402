/** OpenAI's chat stream → events. Tolerates what compatible servers do: no ids, tool fragments without index, usage in odd places. */
import type { ChatDelta, FinishReason, JsonObject, ToolCallDelta } from "../../dialects/canonical.ts";
import { type Emit, isObject, sseChatDecoder, streamFailure } from "../classify.ts";
import type { ChatStreamDecoder } from "../provider.ts";
import { finishReason, usageOf } from "./reply.ts";

interface ChoiceState {
  /** Tool call id → index, for servers that leave the index out. */
  tools: Map<string, number>;
  finished: boolean;
}

function toolDeltas(raw: unknown, state: ChoiceState): ToolCallDelta[] {
  if (!Array.isArray(raw)) return [];
  return raw.filter(isObject).map((call) => {
    const id = typeof call["id"] === "string" && call["id"] !== "" ? call["id"] : undefined;
    const index = toolIndex(call["index"], id, state);
    const fn = isObject(call["function"]) ? call["function"] : {};
    const name = typeof fn["name"] === "string" && fn["name"] !== "" ? fn["name"] : undefined;
    const args = typeof fn["arguments"] === "string" ? fn["arguments"] : undefined;
    return {
      index,
      ...(id === undefined ? {} : { id, type: "function" as const }),
      function: { ...(name === undefined ? {} : { name }), ...(args === undefined ? {} : { arguments: args }) },
    };
  });
}

function toolIndex(given: unknown, id: string | undefined, state: ChoiceState): number {
  const known = id === undefined ? undefined : state.tools.get(id);
  const index = typeof given === "number" ? given : (known ?? (id === undefined ? Math.max(0, state.tools.size - 1) : state.tools.size));
  if (id !== undefined) state.tools.set(id, index);
  else if (state.tools.size === 0) state.tools.set(`#${index}`, index);
  return index;
}

function deltaOf(raw: JsonObject, state: ChoiceState): ChatDelta {
  const delta: ChatDelta = {};
  const reasoning = raw["reasoning_content"] ?? raw["reasoning"];
  if (typeof raw["content"] === "string") delta.content = raw["content"];
  if (typeof raw["refusal"] === "string") delta.refusal = raw["refusal"];
  if (typeof reasoning === "string") delta.reasoning_content = reasoning;
  const tools = toolDeltas(raw["tool_calls"], state);
  if (tools.length > 0) delta.tool_calls = tools;
  return delta;
}

export function openAiChatDecoder(): ChatStreamDecoder {
  const choices = new Map<number, ChoiceState>();
  let started = false;
  const choiceState = (index: number): ChoiceState => {
    let state = choices.get(index);
    if (!state) choices.set(index, (state = { tools: new Map(), finished: false }));
    return state;
  };
  const choice = (raw: JsonObject, emit: Emit): void => {
    const index = typeof raw["index"] === "number" ? raw["index"] : 0;
    const state = choiceState(index);
    const delta = deltaOf(isObject(raw["delta"]) ? raw["delta"] : {}, state);
    const logprobs = raw["logprobs"] ?? undefined;
    if (Object.keys(delta).length > 0 || logprobs !== undefined) emit({ kind: "delta", choice: index, delta, ...(logprobs === undefined ? {} : { logprobs }) });
    const native = raw["finish_reason"];
    if (typeof native !== "string" || native === "" || state.finished) return;
    state.finished = true;
    if (native === "error" || native === "cancelled") return emit(streamFailure("upstream_error", "The provider broke the answer off."));
    const reason: FinishReason = finishReason(native, state.tools.size > 0);
    emit({ kind: "finish", choice: index, reason, ...(reason === native ? {} : { native }) });
  };
  return sseChatDecoder((frame, emit) => {
    if (frame.data === "[DONE]") return emit({ kind: "end" });
    if (frame.data.trim() === "") return;
    const body: unknown = JSON.parse(frame.data);
    if (!isObject(body)) return emit(streamFailure("upstream_invalid_response", "The provider's stream could not be read."));
    if (body["error"] || frame.event === "error" || body["object"] === "error") return emit(streamFailure("upstream_error", errorText(body)));
    const raw = Array.isArray(body["choices"]) ? body["choices"].filter(isObject) : [];
    if (!started && raw.length > 0) {
      started = true;
      emit({
        kind: "start",
        id: typeof body["id"] === "string" && body["id"] !== "" ? body["id"] : null,
        model: typeof body["model"] === "string" ? body["model"] : null,
      });
    }
    for (const one of raw) choice(one, emit);
    const usage = usageOf(body["usage"]);
    if (usage !== null) emit({ kind: "usage", usage });
  });
}

function errorText(body: JsonObject): string {
  const error = isObject(body["error"]) ? body["error"] : body;
  return typeof error["message"] === "string" ? error["message"] : "The provider broke the answer off.";
}
