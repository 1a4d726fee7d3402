/** Canonical answer → a Response. Echoes the client's parameters from the canonical request. */
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { ChatReply, ChatRequest, FinishReason, Usage } from "../canonical.ts";
import type { ReplyContext } from "../dialect.ts";
import { tierOf } from "../usage-counts.ts";
import { itemsOf } from "./items.ts";
import { clientTools } from "./tools.ts";
import { encodeUsage } from "./usage.ts";

/** Why an answer is incomplete; null if it is complete. */
export function incompleteReason(reason: FinishReason): string | null {
  if (reason === "length") return "max_output_tokens";
  return reason === "content_filter" ? "content_filter" : null;
}

function toolChoiceOf(request: ChatRequest): unknown {
  const choice = request.tool_choice ?? "auto";
  return typeof choice === "string" ? choice : { type: "function", name: choice.function.name };
}

function formatOf(request: ChatRequest): JsonObject {
  const format = request.response_format ?? { type: "text" };
  return format.type === "json_schema" ? { type: "json_schema", ...format.json_schema } : { type: format.type };
}

/** As the client sent them. */
function toolsOf({ request, body }: ReplyContext): unknown[] {
  if (Array.isArray(body?.["tools"])) return body["tools"];
  return (request.tools ?? []).map((tool) => ({
    type: "function",
    description: null,
    parameters: null,
    strict: null,
    ...tool.function,
  }));
}

const given = (body: JsonObject | undefined, name: string, usual: unknown = null): unknown => body?.[name] ?? usual;

/** The client's own parameters, and what applies to those that it left out. */
function echoed(context: ReplyContext): JsonObject {
  const { request, body } = context;
  const text = isObject(body?.["text"]) ? body["text"] : {};
  const reasoning = isObject(body?.["reasoning"]) ? body["reasoning"] : {};
  return {
    instructions: given(body, "instructions"),
    max_output_tokens: request.max_completion_tokens ?? null,
    max_tool_calls: given(body, "max_tool_calls"),
    metadata: request["metadata"] ?? {},
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: null,
    prompt_cache_key: given(body, "prompt_cache_key"),
    reasoning: { effort: request.reasoning_effort ?? null, summary: reasoning["summary"] ?? null },
    safety_identifier: given(body, "safety_identifier"),
    store: false,
    temperature: request.temperature ?? null,
    text: { format: formatOf(request), ...(text["verbosity"] == null ? {} : { verbosity: text["verbosity"] }) },
    tool_choice: context.body?.["tool_choice"] ?? toolChoiceOf(request),
    tools: toolsOf(context),
    top_logprobs: given(body, "top_logprobs", 0),
    top_p: request.top_p ?? null,
    truncation: "disabled",
    user: request.user ?? null,
  };
}

export interface ResponseOutcome {
  status: "in_progress" | "completed" | "incomplete";
  reason: string | null;
  output: JsonObject[];
  usage: Usage | null;
}

export function responseObject(
  id: string,
  createdSeconds: number,
  context: ReplyContext,
  outcome: ResponseOutcome,
): JsonObject {
  return {
    id,
    object: "response",
    created_at: createdSeconds,
    status: outcome.status,
    background: false,
    error: null,
    incomplete_details: outcome.reason === null ? null : { reason: outcome.reason },
    model: context.model,
    output: outcome.output,
    ...echoed(context),
    service_tier: tierOf(outcome.usage) ?? "default",
    usage: outcome.usage === null ? null : encodeUsage(outcome.usage),
  };
}

/** A Response has one answer, so only the first choice is used. */
export function encodeReply(reply: ChatReply, context: ReplyContext): JsonObject {
  const [choice] = reply.choices;
  const reason = choice === undefined ? null : incompleteReason(choice.finish_reason);
  const status = reason === null ? "completed" : "incomplete";
  const id = reply.id || context.fallbackId;
  const output = choice === undefined ? [] : itemsOf(choice, id, status, clientTools(context.body ?? {}));
  context.keepItems?.(output);
  return responseObject(id, reply.created || context.createdSeconds, context, {
    status,
    reason,
    output,
    usage: reply.usage,
  });
}
