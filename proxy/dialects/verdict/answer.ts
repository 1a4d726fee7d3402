/**
 * Classifies an answer with status 200 by its content: an answer, an error, or empty. Whole answers and streams, passed
 * through or translated, get the same verdict, so that retry, fallback, breaker, cache and billing agree. Pure.
 */
import type { MediaWireFormat, TextWireFormat, WireFormat } from "../../config/capabilities.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import type { ChatDelta, ChatReply, StreamEvent } from "../canonical.ts";

export type ReplyVerdict =
  | { kind: "answer" }
  /** `body`: in the form of a provider's non-2xx answer. */
  | { kind: "error"; body: unknown }
  /** Neither an answer nor an error that says what went wrong. */
  | { kind: "empty" };

/**
 * How far a stream has come. "waiting": only life-cycle frames, empty deltas and comments, so another provider may
 * still answer. "finished": it ended without content. "begun": it has content of the answer.
 */
export type StreamProgress = "waiting" | "finished" | "begun";

const answer: ReplyVerdict = { kind: "answer" };
const empty: ReplyVerdict = { kind: "empty" };

const filled = (value: unknown): boolean => typeof value === "string" && value !== "";

/** Members in which servers put an error without an envelope. */
const messageNames = ["message", "detail", "msg", "error_msg", "error_message", "errorMessage", "Message"];

/** An error in the envelope of any API; null if there is none. `"error": null` isn't an error. */
export function errorEnvelope(body: unknown): unknown {
  const outer = Array.isArray(body) ? body[0] : body;
  if (!isObject(outer)) return null;
  const { error, errors } = outer;
  if (isObject(error) || filled(error) || error === true) return body;
  if (outer["object"] === "error" || outer["type"] === "error") return body;
  return Array.isArray(errors) && errors.length > 0 ? body : null;
}

/** A stream chunk that is an error without an envelope, as FastAPI and others send it. */
export function flatError(body: unknown): JsonObject | null {
  if (!isObject(body) || body["choices"] !== undefined) return null;
  const verdict = errorWithout(body);
  return verdict.kind === "error" ? body : null;
}

function errorWithout(body: JsonObject): ReplyVerdict {
  return messageNames.some((name) => filled(body[name]) || (name === "detail" && Array.isArray(body[name])))
    ? { kind: "error", body }
    : empty;
}

/**
 * `"error"` is OpenRouter's and Mistral's value, `"cancelled"` watsonx's, `"abort"` vLLM's and SGLang's, the next
 * DeepSeek's for an answer that its servers had no room to finish, and the last Z.ai's.
 */
const failedReasons: ReadonlySet<unknown> = new Set([
  ...["error", "cancelled", "abort", "insufficient_system_resource", "network_error"],
]);
export const isFailedReason = (reason: unknown): boolean => failedReasons.has(reason);
const brokenOff = { error: { message: "The provider broke off the answer." } };

/** The error of a failed choice; null if no choice failed. */
export function choiceError(choices: readonly JsonObject[]): JsonObject | null {
  for (const choice of choices) {
    if (isObject(choice["error"])) return { error: choice["error"] };
    if (failedReasons.has(choice["finish_reason"])) return brokenOff;
  }
  return null;
}

/** Whether a chat message or delta has content, including tool calls. */
function says(message: unknown): boolean {
  if (!isObject(message)) return false;
  for (const [name, value] of Object.entries(message)) {
    if (name === "role" || value === null) continue;
    if (typeof value === "string" ? value !== "" : !Array.isArray(value) || value.length > 0) return true;
  }
  return false;
}

const choiceSays = (choice: JsonObject): boolean =>
  filled(choice["text"]) || says(choice["message"]) || says(choice["delta"]) || isObject(choice["audio"]);

/** A billed answer is passed on even if it is empty. */
const isBilled = (body: JsonObject, list: string): boolean => Array.isArray(body[list]) && isObject(body["usage"]);

function judgeChoices(body: JsonObject): ReplyVerdict {
  const choices = objectsIn(body["choices"]);
  if (choices.length === 0) return isBilled(body, "choices") ? answer : errorWithout(body);
  const failed = choiceError(choices);
  if (failed !== null) return { kind: "error", body: failed };
  return choices.some((choice) => choiceSays(choice) || filled(choice["finish_reason"])) ? answer : empty;
}

function judgeMessage(body: JsonObject): ReplyVerdict {
  if (!Array.isArray(body["content"])) return errorWithout(body);
  return body["content"].length > 0 || filled(body["stop_reason"]) || isBilled(body, "content") ? answer : empty;
}

/** https://platform.openai.com/docs/api-reference/responses/object: states in which there may be no output yet. */
const underWay: ReadonlySet<unknown> = new Set(["queued", "in_progress", "incomplete"]);

function judgeResponse(body: JsonObject): ReplyVerdict {
  const { status, output } = body;
  if (status === "failed" || status === "cancelled") return { kind: "error", body: brokenOff };
  if (!Array.isArray(output)) return errorWithout(body);
  return output.length > 0 || underWay.has(status) || isObject(body["usage"]) ? answer : empty;
}

const judges: Readonly<Record<TextWireFormat, (body: JsonObject) => ReplyVerdict>> = {
  "openai.chat": judgeChoices,
  "openai.completions": judgeChoices,
  "openai.embeddings": (body) => (objectsIn(body["data"]).length > 0 ? answer : errorWithout(body)),
  "openai.responses": judgeResponse,
  "anthropic.messages": judgeMessage,
};

const hasList =
  (name: string) =>
  (body: JsonObject): ReplyVerdict =>
    objectsIn(body[name]).length > 0 ? answer : errorWithout(body);
/** Silence has an empty text. */
const judgeTranscript = (body: JsonObject): ReplyVerdict =>
  typeof body["text"] === "string" ? answer : errorWithout(body);

const mediaJudges: Readonly<Record<MediaWireFormat, (body: JsonObject) => ReplyVerdict>> = {
  "openai.images": hasList("data"),
  "openai.image_edits": hasList("data"),
  "openai.image_variations": hasList("data"),
  "openai.speech": errorWithout,
  "openai.transcriptions": judgeTranscript,
  "openai.translations": judgeTranscript,
  "openai.moderations": hasList("results"),
  "cohere.rerank": hasList("results"),
};
const allJudges: Readonly<Record<WireFormat, (body: JsonObject) => ReplyVerdict>> = { ...judges, ...mediaJudges };

/**
 * Judges a whole answer in `format`. Compatible servers may answer in another format than the requested one: content in
 * any API's format counts as an answer, and the client decides what it is worth.
 */
export function judgeReply(format: WireFormat, body: unknown): ReplyVerdict {
  const failed = errorEnvelope(body);
  if (failed !== null) return { kind: "error", body: failed };
  if (!isObject(body)) return empty;
  const verdict = allJudges[format](body);
  if (verdict === answer || failedAsAsked(verdict, body)) return verdict;
  return Object.values(judges).some((judge) => judge(body) === answer) ? answer : verdict;
}

/** An error inside an answer in the requested format. */
const failedAsAsked = (verdict: ReplyVerdict, body: JsonObject): boolean =>
  verdict.kind === "error" && verdict.body !== body;

/** Judges a whole answer that a provider's decoder has read. */
export const isAnswer = ({ choices, usage }: ChatReply): boolean => choices.length > 0 || usage !== null;

function deltaSays(delta: ChatDelta): boolean {
  const { content, reasoning_content, refusal, tool_calls, thinking_blocks, images } = delta;
  return (
    filled(content) ||
    filled(reasoning_content) ||
    filled(refusal) ||
    (tool_calls?.length ?? 0) > 0 ||
    (thinking_blocks?.length ?? 0) > 0 ||
    (images?.length ?? 0) > 0
  );
}

/** What an event of a translated stream adds. */
export function progressOfEvent(event: StreamEvent): StreamProgress {
  if (event.kind === "finish") return "finished";
  return event.kind === "delta" && (deltaSays(event.delta) || event.logprobs !== undefined) ? "begun" : "waiting";
}

/** What a chunk of a chat or completions stream adds. Handling an error in it is up to the caller. */
export function progressOfChunk(body: unknown): StreamProgress {
  const choices = isObject(body) ? objectsIn(body["choices"]) : [];
  if (choices.some(choiceSays)) return "begun";
  if (isObject(body) && choices.length === 0 && isObject(body["usage"]))
    return Number(body["usage"]["completion_tokens"]) > 0 ? "finished" : "waiting";
  return choices.some((choice) => filled(choice["finish_reason"])) ? "finished" : "waiting";
}

/** Blocks that begin empty and are filled by deltas. */
const openedEmpty: ReadonlySet<unknown> = new Set(["text", "thinking"]);

function blockSays(block: unknown): boolean {
  if (!isObject(block)) return false;
  return !openedEmpty.has(block["type"]) || filled(block["text"]) || filled(block["thinking"]);
}

/** What an event of Anthropic's Messages stream adds. */
export function progressOfMessageEvent(name: string, body: unknown): StreamProgress {
  if (!isObject(body)) return "waiting";
  if (name === "content_block_start") return blockSays(body["content_block"]) ? "begun" : "waiting";
  if (name === "content_block_delta") {
    const { type: _type, ...rest } = isObject(body["delta"]) ? body["delta"] : {};
    return says(rest) ? "begun" : "waiting";
  }
  if (name === "") return progressOfChunk(body);
  const stopped = name === "message_delta" && isObject(body["delta"]) && filled(body["delta"]["stop_reason"]);
  return stopped ? "finished" : "waiting";
}

/** Responses events that come before any content. */
export const lifeCycleEvents: ReadonlySet<string> = new Set([
  "response.queued",
  "response.created",
  "response.in_progress",
  "keepalive",
  "ping",
]);

const partSays = (part: unknown): boolean => isObject(part) && (filled(part["text"]) || filled(part["refusal"]));

/** Events that add content only if their data has some. All others, except life-cycle events, add content. */
const responseEvents: Readonly<Record<string, (body: JsonObject) => StreamProgress>> = {
  "response.completed": (body) =>
    judgeReply("openai.responses", body["response"]).kind === "answer" ? "finished" : "waiting",
  "response.incomplete": () => "finished",
  "response.failed": () => "waiting",
  error: () => "waiting",
  // A reasoning or tool item shows that the model is working; a message begins empty.
  "response.output_item.added": ({ item }) => (isObject(item) && item["type"] === "message" ? "waiting" : "begun"),
  "response.content_part.added": ({ part }) => (partSays(part) ? "begun" : "waiting"),
};

/** What an event of OpenAI's Responses stream adds. */
export function progressOfResponseEvent(name: string, body: unknown): StreamProgress {
  if (lifeCycleEvents.has(name) || !isObject(body)) return "waiting";
  if (name === "") return progressOfChunk(body);
  if (Object.hasOwn(responseEvents, name)) return responseEvents[name]?.(body) ?? "begun";
  return name.endsWith(".delta") && !filled(body["delta"]) && !isObject(body["delta"]) ? "waiting" : "begun";
}
