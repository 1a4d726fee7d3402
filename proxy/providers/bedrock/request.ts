/**
 * Canonical chat request → a Converse body
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
 */

import { type ChatRequest, isRefusal, type Refusal } from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";
import { betasFor, converseBetas } from "../anthropic/betas.ts";
import { claudeFacts } from "../anthropic/models.ts";
import { judgeParameters, type ParameterRules, present, settleParameters, stopsOf } from "../anthropic/parameters.ts";
import { dropsSampling, type Reasoning, reasoningOf, samplingOf, thinks } from "../anthropic/reasoning.ts";
import { isStructured, messagesWithFormat, schemaOf } from "../anthropic/tools.ts";
import { turnsOf } from "../anthropic/turns.ts";
import { cappedOutput, factsOf, type ModelFacts } from "../model-facts.ts";
import type { ProviderAccount, ProviderModel } from "../provider.ts";
import { converseBlocks } from "./blocks.ts";
import { type Family, familyOf, labelsOf, ownFields } from "./families.ts";
import { toolsOf } from "./tools.ts";

/** Claude's thinking needs a limit to stay below. Without thinking, the model's own limit applies. */
const maxTokensBesideBudget = 4096;

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
    "service_tier",
    "user",
    "safety_identifier",
    "metadata",
  ]),
  refused: new Set(["n", "logprobs", "audio", "modalities", "functions", "function_call", "web_search_options"]),
};

export interface EncodedRequest {
  body: JsonObject;
  dropped: string[];
}

/**
 * https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html. OpenAI's tiers that Bedrock also
 * has.
 */
const tiers: ReadonlySet<unknown> = new Set(["default", "flex", "priority"]);

function tierOf(request: ChatRequest): { tier: JsonObject | null; dropped: string[] } {
  const requested = request["service_tier"] ?? "auto";
  if (requested === "auto") return { tier: null, dropped: [] };
  return tiers.has(requested) ? { tier: { type: requested }, dropped: [] } : { tier: null, dropped: ["service_tier"] };
}

interface Limits {
  maxTokens: number;
  facts: ModelFacts;
}

/** Other families have reasoning of their own. */
function reasoning(
  request: ChatRequest,
  account: ProviderAccount,
  claude: boolean,
  { maxTokens, facts }: Limits,
): Reasoning | Refusal {
  const reasoning = reasoningOf(request, account.config.options["thinking"], maxTokens, facts);
  return claude || isRefusal(reasoning) ? reasoning : { thinking: null, effort: null, dropped: [] };
}

/**
 * The schema is sent as text
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_JsonSchemaDefinition.html).
 */
function textFormat(schema: { name: string; description?: string; schema: JsonObject } | null): JsonObject | null {
  return (
    schema && { type: "json_schema", structure: { jsonSchema: { ...schema, schema: JSON.stringify(schema.schema) } } }
  );
}

const filled = (object: JsonObject): JsonObject | null => (Object.keys(object).length > 0 ? object : null);

function partsOf(request: ChatRequest, account: ProviderAccount, model: ProviderModel, limits: Limits) {
  const settings = account.config.options;
  const structured = isStructured(settings["structuredOutputs"], limits.facts);
  const family = familyOf(account, model);
  const claude = family === "Claude";
  const thought = reasoning(request, account, claude, limits);
  return settleParameters({
    unknown: judgeParameters(request, rules),
    conversation: turnsOf(messagesWithFormat(request), converseBlocks(claude)),
    tools: toolsOf(request, family, structured),
    thought,
    sampled: isRefusal(thought)
      ? thought
      : samplingOf(request, thinks(thought), dropsSampling(settings["sampling"], limits.facts)),
    stops: stopsOf(request, claude),
    schema: schemaOf(request, structured),
  });
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html */
function betasIn(header: string | undefined, family: Family, { config }: ProviderModel): string[] | null {
  const own = family === "Claude" ? betasFor(header, converseBetas, config.upstream) : [];
  return own.length > 0 ? own : null;
}

export function encodeRequest(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  betas?: string,
): EncodedRequest | Refusal {
  const facts = factsOf(model, claudeFacts);
  const limit = request.max_completion_tokens ?? request.max_tokens ?? model.config.maxOutputTokens;
  const wanted = limit === null ? null : cappedOutput(limit, facts);
  const maxTokens = wanted ?? facts.maxOutput ?? maxTokensBesideBudget;
  const parts = partsOf(request, account, model, { maxTokens, facts });
  if (isRefusal(parts)) return parts;
  const { unknown, conversation, tools, thought, sampled, stops, schema } = parts;
  const tier = tierOf(request);
  const { labels, dropped: unfit } = labelsOf(request);
  const limited = wanted !== null;
  const family = familyOf(account, model);
  const own = ownFields(family, model.config.upstream, request, { thought, sampled, limited });
  const budgeted = thought.thinking?.["type"] === "enabled";
  const inference = present({
    maxTokens: budgeted ? maxTokens : wanted,
    temperature: sampled.temperature,
    topP: sampled.topP,
    stopSequences: stops.length > 0 ? stops : null,
  });
  const additional = present({
    thinking: thought.thinking,
    ...own.fields,
    ...tools.additional,
    anthropic_beta: betasIn(betas, family, model),
  });
  return {
    body: {
      messages: conversation.turns,
      ...present({
        system: conversation.system.length > 0 ? conversation.system : null,
        inferenceConfig: filled(inference),
        toolConfig: tools.toolConfig,
        additionalModelRequestFields: filled(additional),
        // Which of them ended the answer.
        additionalModelResponseFieldPaths: family === "Claude" && stops.length > 0 ? ["/stop_sequence"] : null,
        outputConfig: filled(present({ textFormat: textFormat(schema) })),
        requestMetadata: labels,
        serviceTier: tier.tier,
      }),
    },
    dropped: [
      ...unknown,
      ...conversation.dropped,
      ...tools.dropped,
      ...thought.dropped,
      ...sampled.dropped,
      ...own.dropped,
      ...tier.dropped,
      ...unfit,
    ],
  };
}
