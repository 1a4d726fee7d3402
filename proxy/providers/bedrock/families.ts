/** Members of `additionalModelRequestFields` by family of models, apart from Claude's own. */
import type { ChatRequest } from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";
import type { Reasoning, Sampling } from "../anthropic/reasoning.ts";
import { nearestEffort } from "../model-facts.ts";
import type { ProviderAccount, ProviderModel } from "../provider.ts";

export type Family = "Claude" | "Nova" | "OpenAI" | "Other";

/** Base models, inference profiles (`us.anthropic.…`) and their ARNs contain the family's name. */
export function familyOf({ config }: ProviderAccount, model: ProviderModel): Family {
  const family = config.options["modelFamily"];
  const { upstream } = model.config;
  if (family === "Claude" || (family !== "Other" && /(^|[./])anthropic\./.test(upstream))) return "Claude";
  if (/(^|[./])amazon\.nova-/.test(upstream)) return "Nova";
  return /(^|[./])openai\./.test(upstream) ? "OpenAI" : "Other";
}

const efforts = { efforts: ["low", "medium", "high"] };

export interface OwnFields {
  fields: JsonObject;
  dropped: string[];
}

/** `free`: neither sampling nor a limit is set, which Nova's largest effort requires. */
function effortFields(family: Family, upstream: string, effort: string, free: boolean): JsonObject | null {
  const own = nearestEffort(effort, efforts) ?? "low";
  // https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html
  if (family === "OpenAI") return { reasoning_effort: own };
  // https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
  if (family !== "Nova" || !/nova-2-/.test(upstream)) return null;
  return { reasoningConfig: { type: "enabled", maxReasoningEffort: own === "high" && !free ? "medium" : own } };
}

/** Claude's effort (https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html). */
const claudeFields = ({ effort }: Reasoning, { topK }: Sampling): JsonObject => ({
  ...(effort === null ? {} : { output_config: { effort } }),
  ...(topK === undefined ? {} : { top_k: topK }),
});

/** `limited`: the call has a limit of its own. */
export function ownFields(
  family: Family,
  upstream: string,
  request: ChatRequest,
  { thought, sampled, limited }: { thought: Reasoning; sampled: Sampling; limited: boolean },
): OwnFields {
  if (family === "Claude") return { fields: claudeFields(thought, sampled), dropped: [] };
  const { topK, temperature, topP } = sampled;
  const free = !limited && topK === undefined && temperature === undefined && topP === undefined;
  const effort = request.reasoning_effort ?? "none";
  const thinking = effort === "none" ? {} : effortFields(family, upstream, effort, free);
  // https://docs.aws.amazon.com/nova/latest/userguide/using-converse-api.html
  const limit = topK === undefined ? {} : family === "Nova" ? { inferenceConfig: { topK } } : null;
  return {
    fields: { ...thinking, ...limit },
    dropped: [...(thinking === null ? ["reasoning_effort"] : []), ...(limit === null ? ["top_k"] : [])],
  };
}

const maxLabelLength = 256;
const label = /^[a-zA-Z0-9\s:_@$#=/+,.-]*$/;
const fits = (text: string): boolean => text.length <= maxLabelLength && label.test(text);
const maxLabels = 16;

/**
 * Labels in AWS's logs of calls: `metadata`, and `user` as `user_id`
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
 */
export function labelsOf(request: ChatRequest): { labels: Record<string, string> | null; dropped: string[] } {
  const entries = Object.entries((request["metadata"] ?? {}) as JsonObject);
  const pairs = entries.filter(
    (pair): pair is [string, string] => pair[0] !== "" && fits(pair[0]) && typeof pair[1] === "string" && fits(pair[1]),
  );
  const kept = pairs.slice(0, maxLabels);
  const user = request["safety_identifier"] ?? request.user;
  const hasUser = typeof user === "string" && user !== "" && fits(user) && kept.length < maxLabels;
  const labels = Object.fromEntries(hasUser ? [...kept, ["user_id", user]] : kept);
  return {
    labels: Object.keys(labels).length > 0 ? labels : null,
    dropped: [
      ...(kept.length < entries.length ? ["metadata"] : []),
      ...(typeof user === "string" && user !== "" && !hasUser ? ["user"] : []),
    ],
  };
}
