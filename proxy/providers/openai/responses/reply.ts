/** A Response → canonical answer (https://platform.openai.com/docs/api-reference/responses/object). */
import { type OrderedBlock, orderIn } from "../../../dialects/block-order.ts";
import type { ChatReply, FinishReason, ProviderError, ToolCall } from "../../../dialects/canonical.ts";
import { chatAnnotation, webAddress } from "../../../dialects/citations.ts";
import { invalidReply } from "../../../dialects/invalid-reply.ts";
import { usageOf } from "../../../dialects/openai-responses/usage.ts";
import { judgeReply } from "../../../dialects/verdict/answer.ts";
import { searchMember, type WebSearch } from "../../../dialects/web-search.ts";
import { isObject, type JsonObject, objectsIn } from "../../../wire/json.ts";
import { errorInAnswer } from "../../errors.ts";
import { decodeOpenAiError } from "../failure.ts";
import { summaryIn, thinkingOf } from "./reasoning.ts";

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const position = (value: unknown): number => (Number.isSafeInteger(value) ? (value as number) : 0);

/** Text of a message's parts of one kind. */
function textsOf(item: JsonObject, type: "output_text" | "refusal"): string {
  const member = type === "refusal" ? "refusal" : "text";
  const parts = objectsIn(item["content"]).filter((part) => part["type"] === type);
  return parts.map((part) => text(part[member])).join("");
}

/** A citation as a chat has it; `from`: length of the answer's text before its part. */
export function annotationOf(annotation: JsonObject, from: number): JsonObject[] {
  const url = annotation["type"] === "url_citation" ? webAddress(annotation["url"]) : null;
  if (url === null) return [];
  const start = from + position(annotation["start_index"]);
  return [
    chatAnnotation({ url, title: text(annotation["title"]), start, end: from + position(annotation["end_index"]) }),
  ];
}

function annotationsIn(messages: readonly JsonObject[]): JsonObject[] {
  let from = 0;
  return messages
    .flatMap((item) => objectsIn(item["content"]))
    .flatMap((part) => {
      const before = from;
      from += part["type"] === "output_text" ? text(part["text"]).length : 0;
      return objectsIn(part["annotations"]).flatMap((annotation) => annotationOf(annotation, before));
    });
}

/** A search that the model made; null if the item is something else, such as a page that it opened. */
export function searchIn(item: JsonObject): WebSearch | null {
  const action = isObject(item["action"]) ? item["action"] : {};
  if (item["type"] !== "web_search_call" || (action["type"] ?? "search") !== "search") return null;
  const queries = Array.isArray(action["queries"]) ? action["queries"].map(text).join("; ") : "";
  const pages = objectsIn(action["sources"]).flatMap((source) => {
    const url = webAddress(source["url"]);
    return url === null ? [] : [{ url, title: text(source["title"]) || url }];
  });
  return { query: text(action["query"]) || queries, pages };
}

const callOf = (item: JsonObject): ToolCall => ({
  id: text(item["call_id"]),
  type: "function",
  function: { name: text(item["name"]), arguments: text(item["arguments"]) },
});

/** Why the answer ended, and the API's own word for it if it says more. */
export function endOf(response: JsonObject, called: boolean): { reason: FinishReason; native: string | null } {
  const details = isObject(response["incomplete_details"]) ? response["incomplete_details"] : {};
  if (response["status"] !== "incomplete") return { reason: called ? "tool_calls" : "stop", native: null };
  const native = text(details["reason"]);
  if (native === "content_filter") return { reason: "content_filter", native: null };
  return { reason: "length", native: native === "max_output_tokens" ? null : native || null };
}

/** Members of the message for what the model reasoned. */
function reasoningMembers(output: readonly JsonObject[], start: string): JsonObject {
  const items = output.filter((item) => item["type"] === "reasoning");
  const blocks = items.flatMap((item) => thinkingOf(item, start) ?? []);
  const summary = items
    .map(summaryIn)
    .filter((words) => words !== "")
    .join("\n\n");
  return {
    ...(summary === "" ? {} : { reasoning_content: summary }),
    ...(blocks.length > 0 ? { thinking_blocks: blocks } : {}),
  };
}

function kindIn(start: string) {
  return (item: JsonObject): OrderedBlock["kind"] | null => {
    if (item["type"] === "reasoning") return thinkingOf(item, start) === null ? null : "thinking";
    return item["type"] === "message" ? "text" : item["type"] === "function_call" ? "call" : null;
  };
}

function logprobsIn(messages: readonly JsonObject[]): unknown[] {
  return messages.flatMap((item) => objectsIn(item["content"])).flatMap((part) => objectsIn(part["logprobs"]));
}

export function decodeResponse(body: unknown, start: string): ChatReply | ProviderError {
  const verdict = judgeReply("openai.responses", body);
  if (isObject(body) && isObject(body["error"])) return errorInAnswer({ error: body["error"] }, decodeOpenAiError);
  if (verdict.kind === "error") return errorInAnswer(verdict.body, decodeOpenAiError);
  if (verdict.kind === "empty" || !isObject(body) || !Array.isArray(body["output"])) return invalidReply();
  const output = objectsIn(body["output"]);
  const messages = output.filter((item) => item["type"] === "message");
  const calls = output.filter((item) => item["type"] === "function_call").map(callOf);
  const content = messages.map((item) => textsOf(item, "output_text")).join("");
  const refusal = messages.map((item) => textsOf(item, "refusal")).join("");
  const annotations = annotationsIn(messages);
  const logprobs = logprobsIn(messages);
  const { reason, native } = endOf(body, calls.length > 0);
  return {
    id: text(body["id"]),
    created: position(body["created_at"]),
    model: text(body["model"]),
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: content === "" ? null : content,
          ...(refusal === "" ? {} : { refusal }),
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
          ...(annotations.length > 0 ? { annotations } : {}),
          ...reasoningMembers(output, start),
          ...searchMember(output.flatMap((item) => searchIn(item) ?? [])),
          ...orderIn(output, kindIn(start), (item) => textsOf(item, "output_text")),
        },
        ...(logprobs.length > 0 ? { logprobs: { content: logprobs, refusal: null } } : {}),
        finish_reason: reason,
        ...(native === null ? {} : { native_finish_reason: native }),
      },
    ],
    usage: usageOf(body),
    ...(typeof body["service_tier"] === "string" ? { extra: { service_tier: body["service_tier"] } } : {}),
  };
}
