/** Canonical chat request → a Messages body (https://platform.claude.com/docs/en/api/messages/create). */

import { type ChatRequest, isRefusal, type Refusal } from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";
import { cappedOutput, factsOf, type ModelFacts } from "../model-facts.ts";
import type { CallOptions, ProviderAccount, ProviderModel } from "../provider.ts";
import { anthropicBlocks } from "./blocks.ts";
import { claudeFacts } from "./models.ts";
import { judgeParameters, type ParameterRules, present, settleParameters, stopsOf } from "./parameters.ts";
import { dropsSampling, reasoningOf, samplingOf, thinks } from "./reasoning.ts";
import { isStructured, messagesWithFormat, schemaOf, toolsOf } from "./tools.ts";
import { turnsOf } from "./turns.ts";

/** `max_tokens` is required. This applies if the caller gives none and the model's own limit isn't known. */
const defaultMaxTokens = 4096;

const rules: ParameterRules = {
  known: new Set([
    "model",
    "messages",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "user",
    "safety_identifier",
  ]),
  refused: new Set([
    "n",
    "logprobs",
    "logit_bias",
    "audio",
    "modalities",
    "prediction",
    "functions",
    "function_call",
    "web_search_options",
  ]),
};

export interface EncodedRequest {
  body: JsonObject;
  dropped: string[];
}

/** `safety_identifier` is the successor of `user`. */
function endUser(request: ChatRequest): JsonObject | null {
  const user = request["safety_identifier"] ?? request.user;
  return typeof user === "string" && user !== "" ? { user_id: user } : null;
}

/** All parts of the body. */
function partsOf(request: ChatRequest, account: ProviderAccount, maxTokens: number, facts: ModelFacts) {
  const settings = account.config.options;
  const structured = isStructured(settings["structuredOutputs"], facts);
  const reasoning = reasoningOf(request, settings["thinking"], maxTokens, facts);
  return settleParameters({
    unknown: judgeParameters(request, rules),
    conversation: turnsOf(messagesWithFormat(request), anthropicBlocks),
    tools: toolsOf(request, structured),
    reasoning,
    sampling: isRefusal(reasoning)
      ? reasoning
      : samplingOf(request, thinks(reasoning), dropsSampling(settings["sampling"], facts)),
    stops: stopsOf(request, true),
    schema: schemaOf(request, structured),
  });
}

export function encodeRequest(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): EncodedRequest | Refusal {
  const facts = factsOf(model, claudeFacts);
  const requested = request.max_completion_tokens ?? request.max_tokens ?? facts.maxOutput ?? defaultMaxTokens;
  const maxTokens = cappedOutput(requested, facts);
  const parts = partsOf(request, account, maxTokens, facts);
  if (isRefusal(parts)) return parts;
  const { unknown, conversation, tools, reasoning, sampling, stops, schema } = parts;
  const output = present({
    effort: reasoning.effort,
    format: schema && { type: "json_schema", schema: schema.schema },
  });
  return {
    body: {
      model: model.config.upstream,
      max_tokens: maxTokens,
      ...(conversation.system.length > 0 ? { system: conversation.system } : {}),
      messages: conversation.turns,
      ...present({
        tools: tools.tools,
        tool_choice: tools.tool_choice,
        stop_sequences: stops.length > 0 ? stops : null,
        temperature: sampling.temperature,
        top_p: sampling.topP,
        top_k: sampling.topK,
        thinking: reasoning.thinking,
        output_config: Object.keys(output).length > 0 ? output : null,
        metadata: endUser(request),
        stream: options.stream || null,
      }),
    },
    dropped: [...unknown, ...conversation.dropped, ...tools.dropped, ...reasoning.dropped, ...sampling.dropped],
  };
}
