/** Canonical answer → a Response. Echoes the client's parameters from the canonical request. */
import type { JsonObject } from "../../wire/json.ts";
import type { ChatReply, ChatRequest, FinishReason, Usage } from "../canonical.ts";
import type { ReplyContext } from "../dialect.ts";
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

function echoed(context: ReplyContext): JsonObject {
  const { request } = context;
  return {
    instructions: null,
    max_output_tokens: request.max_completion_tokens ?? null,
    metadata: request["metadata"] ?? {},
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: request.reasoning_effort ?? null, summary: null },
    store: false,
    temperature: request.temperature ?? null,
    text: { format: formatOf(request) },
    tool_choice: context.body?.["tool_choice"] ?? toolChoiceOf(request),
    tools: toolsOf(context),
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
