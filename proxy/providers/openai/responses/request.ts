/** Canonical request → a Responses body (https://platform.openai.com/docs/api-reference/responses/create). */
import type { ChatRequest, FunctionTool, ToolChoice } from "../../../dialects/canonical.ts";
import { lostDetails, type WebSearchWish, webSearch } from "../../../dialects/web-search.ts";
import type { JsonObject } from "../../../wire/json.ts";
import { present } from "../../anthropic/parameters.ts";
import { unreadParameters } from "../../idle-values.ts";
import { factsOf } from "../../model-facts.ts";
import type { CallOptions, ChatCall, ProviderAccount, ProviderModel } from "../../provider.ts";
import { adapted } from "../adapt.ts";
import { openAiFacts } from "../models.ts";
import { inputOf } from "./input.ts";
import { signatureStart } from "./reasoning.ts";
import { decodeResponse } from "./reply.ts";
import { responsesDecoder } from "./stream.ts";

/** The API's smallest limit. */
const minOutput = 16;

const sameName = [
  ...["temperature", "top_p", "parallel_tool_calls", "metadata", "user", "safety_identifier"],
  ...["service_tier", "prompt_cache_key", "prompt_cache_retention"],
] as const;

const read: ReadonlySet<string> = new Set([
  ...sameName,
  ...["model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "tools", "tool_choice"],
  ...["response_format", "reasoning_effort", "verbosity", "logprobs", "top_logprobs"],
]);

function toolOf({ function: { name, description, parameters, strict } }: FunctionTool): JsonObject {
  return {
    type: "function",
    name,
    ...present({ description }),
    parameters: parameters ?? { type: "object", properties: {} },
    // The API's own default is strict, which changes schemas.
    strict: strict ?? false,
  };
}

const searchTool = ({ contextSize, location, allowedDomains }: WebSearchWish): JsonObject => ({
  type: "web_search",
  ...present({
    search_context_size: contextSize,
    user_location: location && { type: "approximate", ...location },
    filters: allowedDomains && { allowed_domains: allowedDomains },
  }),
});

const choiceOf = (choice: ToolChoice): unknown =>
  typeof choice === "string" ? choice : { type: "function", name: choice.function.name };

function formatOf({ response_format: format }: ChatRequest): JsonObject | null {
  if (format?.type !== "json_schema") return format == null ? null : { type: format.type };
  return { type: "json_schema", ...format.json_schema };
}

function limitOf({ max_completion_tokens: own, max_tokens: older }: ChatRequest): number | null {
  const limit = own ?? older ?? null;
  return limit === null ? null : Math.max(minOutput, limit);
}

function includes(request: ChatRequest, reasons: boolean): string[] {
  return [
    ...(reasons ? ["reasoning.encrypted_content"] : []),
    ...(request.logprobs === true ? ["message.output_text.logprobs"] : []),
    ...(request[webSearch] === undefined ? [] : ["web_search_call.action.sources"]),
  ];
}

function toolMembers(request: ChatRequest): JsonObject {
  const { [webSearch]: wish, tool_choice: choice } = request;
  const tools = [...(request.tools ?? []).map(toolOf), ...(wish === undefined ? [] : [searchTool(wish)])];
  if (tools.length === 0) return {};
  return {
    tools,
    ...present({ tool_choice: choice == null ? null : choiceOf(choice), max_tool_calls: wish?.maxUses }),
  };
}

export function responsesBody(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  { stream }: Pick<CallOptions, "stream">,
): { body: JsonObject; dropped: string[] } {
  const { efforts = [] } = factsOf(model, openAiFacts);
  const include = includes(request, efforts.length > 0);
  const text = present({ format: formatOf(request), verbosity: request["verbosity"] });
  const others = unreadParameters(request, read);
  const named = request.messages.some(({ name, role }) => name !== undefined && role !== "tool");
  const wish = request[webSearch];
  return {
    body: {
      model: model.config.upstream,
      input: inputOf(request.messages, signatureStart(account, model)),
      // Nothing is kept: the whole conversation is sent with each turn.
      store: false,
      ...present(Object.fromEntries(sameName.map((name) => [name, request[name]]))),
      ...toolMembers(request),
      ...present({
        max_output_tokens: limitOf(request),
        reasoning: request.reasoning_effort == null ? null : { effort: request.reasoning_effort },
        text: Object.keys(text).length > 0 ? text : null,
        include: include.length > 0 ? include : null,
        top_logprobs: request.logprobs === true ? request.top_logprobs : null,
        stream: stream || null,
      }),
    },
    dropped: [
      ...others,
      ...(named ? ["messages.name"] : []),
      ...(wish === undefined ? [] : lostDetails(wish, "blocked_domains")),
    ],
  };
}

/** `path`: of the API's responses. */
export function responsesChat(
  given: ChatRequest,
  { account, model, path }: { account: ProviderAccount; model: ProviderModel; path: string },
  options: CallOptions,
): ChatCall {
  const { request, dropped } = adapted(given, factsOf(model, openAiFacts), true);
  const { body, dropped: lost } = responsesBody(request, account, model, options);
  const start = signatureStart(account, model);
  return {
    path,
    body: JSON.stringify(body),
    dropped: [...dropped, ...lost],
    decodeReply: (reply) => decodeResponse(reply, start),
    decoder: (maxEventBytes) => responsesDecoder(start, maxEventBytes),
  };
}
