/** Canonical chat → generateContent (https://ai.google.dev/api/generate-content). */

import { type ChatRequest, claudeWish, isRefusal, type Refusal, refusal } from "../../dialects/canonical.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import { present } from "../anthropic/parameters.ts";
import { unreadParameters } from "../idle-values.ts";
import { cappedOutput, factsOf, type ModelFacts } from "../model-facts.ts";
import type { CallOptions, ChatCall, ProviderAccount, ProviderModel } from "../provider.ts";
import { type ContentForms, contentsOf } from "./messages.ts";
import { geminiFacts } from "./models.ts";
import { decodeGeminiReply } from "./reply.ts";
import { type SearchApi, searchTool } from "./search.ts";
import { type NewId, randomCallId } from "./signature.ts";
import { geminiChatDecoder } from "./stream.ts";
import { type Thinking, thinkingConfig, thinkingOf } from "./thinking.ts";
import { formatMembers, type SchemaForm, toolMembers } from "./tools.ts";

/** OpenAI's name → generationConfig's name, for values that stay the same. */
const renamed = {
  temperature: "temperature",
  top_p: "topP",
  top_k: "topK",
  n: "candidateCount",
  seed: "seed",
  presence_penalty: "presencePenalty",
  frequency_penalty: "frequencyPenalty",
} as const;

const read: ReadonlySet<string> = new Set([
  ...Object.keys(renamed),
  "model",
  "messages",
  "stream",
  "stream_options",
  "max_tokens",
  "max_completion_tokens",
  "stop",
  "logprobs",
  "top_logprobs",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "response_format",
  "reasoning_effort",
  "modalities",
  "image_config",
  "extra_body",
  "safety_settings",
]);

const maxStops = 5;

/** `models/x` and `tunedModels/x` are also names. The id stays one path segment. */
export function modelPath(upstream: string): string {
  const match = /^(models|tunedModels)\/(.+)$/s.exec(upstream);
  return `${match?.[1] ?? "models"}/${encodeURIComponent(match?.[2] ?? upstream)}`;
}

function sampling(request: ChatRequest, facts: ModelFacts): JsonObject | Refusal {
  const out: JsonObject = {};
  for (const [from, to] of Object.entries(renamed)) if (request[from] != null) out[to] = request[from];
  const limit = request.max_completion_tokens ?? request.max_tokens;
  if (limit != null) out["maxOutputTokens"] = cappedOutput(limit, facts);
  const stops = typeof request.stop === "string" ? [request.stop] : (request.stop ?? []);
  if (stops.length > maxStops)
    return refusal("stop", `Gemini accepts at most ${maxStops} sequences in \`stop\`.`, "invalid_value");
  if (stops.length > 0) out["stopSequences"] = stops;
  if (request.logprobs === true) {
    out["responseLogprobs"] = true;
    if (request.top_logprobs != null && request.top_logprobs > 0) out["logprobs"] = request.top_logprobs;
  }
  return out;
}

interface Target {
  facts: ModelFacts;
  model: string;
  thinking: Thinking;
  forms: ContentForms;
  schemas: SchemaForm;
}

function generationConfig(request: ChatRequest, target: Target, dropped: Set<string>): JsonObject | Refusal {
  const config = sampling(request, target.facts);
  if (isRefusal(config)) return config;
  const format = formatMembers(request, target.schemas);
  if (isRefusal(format)) return format;
  const effort = request.reasoning_effort;
  const budget = request[claudeWish]?.thinking?.["budget_tokens"];
  const requested = typeof budget === "number" ? budget : null;
  const thinking = effort == null ? null : thinkingConfig(target.model, target.thinking, effort, requested);
  if (thinking !== null && isRefusal(thinking)) return thinking;
  if (effort != null && thinking === null) dropped.add("reasoning_effort");
  return {
    ...config,
    ...format,
    ...pictureMembers(request),
    ...(thinking === null ? {} : { thinkingConfig: thinking }),
    ...googleMembers(request, dropped),
  };
}

/**
 * Answers with pictures, and their size (https://ai.google.dev/gemini-api/docs/image-generation) in the names of
 * https://openrouter.ai/docs/features/multimodal/image-generation.
 */
function pictureMembers({ modalities, image_config: size }: ChatRequest): JsonObject {
  const wanted = Array.isArray(modalities) ? modalities.map((modality) => String(modality).toUpperCase()) : [];
  const { aspect_ratio: aspectRatio, image_size: imageSize } = isObject(size) ? size : {};
  const config = present({ aspectRatio, imageSize });
  return {
    ...(wanted.includes("IMAGE") ? { responseModalities: wanted } : {}),
    ...(Object.keys(config).length > 0 ? { imageConfig: config } : {}),
  };
}

/** Google's own settings in an OpenAI client's `extra_body` (https://ai.google.dev/gemini-api/docs/openai). */
function googleMembers({ extra_body: extra }: ChatRequest, dropped: Set<string>): JsonObject {
  if (!isObject(extra)) return {};
  const google = isObject(extra["google"]) ? extra["google"] : {};
  const { thinking_config: thinking, ...rest } = google;
  for (const name of Object.keys(rest)) dropped.add(`extra_body.google.${name}`);
  for (const name of Object.keys(extra)) if (name !== "google") dropped.add(`extra_body.${name}`);
  if (!isObject(thinking)) return {};
  const {
    include_thoughts: includeThoughts,
    thinking_budget: thinkingBudget,
    thinking_level: thinkingLevel,
  } = thinking;
  return { thinkingConfig: present({ includeThoughts, thinkingBudget, thinkingLevel }) };
}

/** Which harms are blocked (https://ai.google.dev/gemini-api/docs/safety-settings). */
function safetyMembers(request: ChatRequest): JsonObject {
  const settings = objectsIn(request["safety_settings"]);
  return settings.length > 0 ? { safetySettings: settings } : {};
}

function generateBody(request: ChatRequest, target: Target, dropped: Set<string>): JsonObject | Refusal {
  for (const name of unreadParameters(request, read)) dropped.add(name);
  const conversation = contentsOf(request.messages, target.forms, dropped);
  if (isRefusal(conversation)) return conversation;
  const tools = toolMembers(request, target.schemas, dropped);
  if (isRefusal(tools)) return tools;
  const config = generationConfig(request, target, dropped);
  if (isRefusal(config)) return config;
  return {
    contents: conversation.contents,
    ...(conversation.systemInstruction === null ? {} : { systemInstruction: conversation.systemInstruction }),
    ...safetyMembers(request),
    ...searchTool(request, dropped),
    ...tools,
    ...(Object.keys(config).length === 0 ? {} : { generationConfig: config }),
  };
}

/** Models before 2.5 take only the older subset (https://ai.google.dev/gemini-api/docs/structured-output). */
function schemaForm(model: string, option: string | undefined): SchemaForm {
  if (option === "OpenApi" || option === "JsonSchema") return option;
  return /^gemini-(1|2\.0)/.test(model) ? "OpenApi" : "JsonSchema";
}

/** OpenAI's names of tiers → Google's (https://ai.google.dev/gemini-api/docs/flex-inference). */
const tierNames: Readonly<Record<string, string>> = { default: "standard", flex: "flex", priority: "priority" };

function tierMember({ service_tier: tier }: ChatRequest, dropped: Set<string>): JsonObject {
  if (typeof tier !== "string" || tier === "auto") return {};
  if (Object.hasOwn(tierNames, tier)) return { serviceTier: tierNames[tier] };
  dropped.add("service_tier");
  return {};
}

/** Differences between the APIs that serve Gemini. */
export interface GeminiApi extends SearchApi {
  /** Generates ids for tool calls. */
  newId?: NewId;
  /** Whether a request may choose how it is processed. */
  tiers?: boolean;
  callIds?: boolean;
}

export function geminiChat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
  { newId = randomCallId, tiers = false, callIds = true }: GeminiApi = {},
): ChatCall | Refusal {
  const path = modelPath(model.config.upstream);
  const name = model.config.upstream.replace(/^models\//, "");
  const { schemas, thinking } = account.config.options;
  const kind = thinkingOf(name, thinking);
  const target: Target = {
    facts: factsOf(model, geminiFacts),
    model: name,
    thinking: kind,
    forms: { isGemini3: kind === "Level", callIds },
    schemas: schemaForm(name, schemas),
  };
  const dropped = new Set<string>();
  const { service_tier: _tier, ...untiered } = request;
  const body = generateBody(tiers ? untiered : request, target, dropped);
  if (isRefusal(body)) return body;
  if (tiers) Object.assign(body, tierMember(request, dropped));
  return {
    // Without alt=sse, a stream is a single JSON array.
    path: `${account.basePath}/${path}:${options.stream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
    body: JSON.stringify(body),
    dropped: [...dropped],
    decodeReply: (reply) => decodeGeminiReply(reply, newId),
    decoder: (maxEventBytes) => geminiChatDecoder(newId, maxEventBytes),
  };
}
