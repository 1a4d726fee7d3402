/** Canonical chat → Cohere's v2 chat (https://docs.cohere.com/reference/chat). */

import { type ChatRequest, isRefusal, type Refusal, refusal } from "../../dialects/canonical.ts";
import { isSet, type JsonObject } from "../../wire/json.ts";
import { unreadParameters } from "../idle-values.ts";
import type { CallOptions, ChatCall, ProviderAccount, ProviderModel } from "../provider.ts";
import { messagesOf } from "./messages.ts";
import { decodeCohereReply } from "./reply.ts";
import { cohereChatDecoder } from "./stream.ts";
import { formatMember, toolMembers } from "./tools.ts";

/** Cohere's own parameters for answers from documents (https://docs.cohere.com/docs/retrieval-augmented-generation-rag). */
const own = ["documents", "citation_options", "safety_mode"] as const;

const read: ReadonlySet<string> = new Set([
  ...own,
  "model",
  "messages",
  "stream",
  "stream_options",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "top_k",
  "n",
  "stop",
  "seed",
  "presence_penalty",
  "frequency_penalty",
  "logprobs",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "response_format",
  "reasoning_effort",
  "modalities",
]);

const maxStops = 5;
/** Cohere's range of `p`. OpenAI's 1, which clients send as "no limit", is outside it. */
const topK = 500;
const topP = { least: 0.01, most: 0.99 };

/** Tokens. The higher efforts have no limit. */
const thinkingBudgets: Readonly<Record<string, number | null>> = {
  minimal: 512,
  low: 1_024,
  medium: 8_192,
  high: null,
  xhigh: null,
  max: null,
};

/** Values outside Cohere's ranges. Changing them would change the answer. */
function outOfRange(request: ChatRequest): Refusal | null {
  for (const name of ["temperature", "presence_penalty", "frequency_penalty"] as const) {
    const value = request[name];
    if (value != null && (value < 0 || value > 1))
      return refusal(name, `Cohere accepts a \`${name}\` from 0 to 1.`, "invalid_value");
  }
  if (request.n != null && request.n > 1) return refusal("n", "Cohere gives one answer per request. Leave `n` out.");
  if (Array.isArray(request.stop) && request.stop.length > maxStops) {
    return refusal("stop", `Cohere accepts at most ${maxStops} sequences in \`stop\`.`, "invalid_value");
  }
  return null;
}

function sampling(request: ChatRequest): JsonObject {
  const out: JsonObject = {};
  const limit = request.max_completion_tokens ?? request.max_tokens;
  if (limit != null) out["max_tokens"] = limit;
  if (request.temperature != null) out["temperature"] = request.temperature;
  if (typeof request["top_k"] === "number") out["k"] = Math.min(topK, Math.max(0, request["top_k"]));
  if (request.top_p != null) out["p"] = Math.min(topP.most, Math.max(topP.least, request.top_p));
  if (request.seed != null) out["seed"] = request.seed;
  // Zero is the default, and some models refuse requests with both penalties.
  if (request.presence_penalty) out["presence_penalty"] = request.presence_penalty;
  if (request.frequency_penalty) out["frequency_penalty"] = request.frequency_penalty;
  if (request.logprobs === true) out["logprobs"] = true;
  const stops = typeof request.stop === "string" ? [request.stop] : (request.stop ?? []);
  if (stops.length > 0) out["stop_sequences"] = stops;
  return out;
}

/** https://docs.cohere.com/docs/reasoning */
function thinkingMember(effort: string | null | undefined): JsonObject | Refusal {
  if (effort == null) return {};
  if (effort === "none") return { thinking: { type: "disabled" } };
  if (!Object.hasOwn(thinkingBudgets, effort)) {
    return refusal(
      "reasoning_effort",
      `\`reasoning_effort\` must be one of none, ${Object.keys(thinkingBudgets).join(", ")}.`,
      "invalid_value",
    );
  }
  const budget = thinkingBudgets[effort] ?? null;
  return { thinking: { type: "enabled", ...(budget === null ? {} : { token_budget: budget }) } };
}

export function chatBody(
  request: ChatRequest,
  model: ProviderModel,
  stream: boolean,
  dropped: Set<string>,
): JsonObject | Refusal {
  for (const name of unreadParameters(request, read)) dropped.add(name);
  const refusal = outOfRange(request);
  if (refusal) return refusal;
  const messages = messagesOf(request.messages, dropped);
  if (isRefusal(messages)) return messages;
  const members: JsonObject = {};
  for (const name of own) if (isSet(request[name])) members[name] = request[name];
  for (const made of [toolMembers(request, dropped), formatMember(request), thinkingMember(request.reasoning_effort)]) {
    if (isRefusal(made)) return made;
    Object.assign(members, made);
  }
  return { model: model.config.upstream, messages, stream, ...sampling(request), ...members };
}

export function cohereChat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  const dropped = new Set<string>();
  const body = chatBody(request, model, options.stream, dropped);
  if (isRefusal(body)) return body;
  return {
    path: `${account.basePath}/chat`,
    body: JSON.stringify(body),
    dropped: [...dropped],
    decodeReply: decodeCohereReply,
    decoder: cohereChatDecoder,
  };
}
