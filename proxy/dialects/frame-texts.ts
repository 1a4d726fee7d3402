/**
 * Locates the texts in the stream frames of each client format, for code that changes them: which piece belongs to
 * which text, and when a text is complete.
 */

import type { WireFormat } from "../config/capabilities.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import type { SseFrame } from "../wire/sse.ts";

/** json: a piece of JSON text, so inserted text must be escaped. */
export type TextKind = "text" | "json";

/** Builds a frame with a text, like the last frame of its channel. */
export type Template = (text: string) => SseFrame;

/** What a dialect reports to the rewriter about a frame. */
export interface FrameMarks {
  piece(channel: string, holder: JsonObject, member: string, kind: TextKind, template: Template): void;
  /** Texts of channels with this prefix are complete. */
  over(prefix: string): void;
  /** The texts in the value are complete. */
  whole(json: JsonObject): JsonObject;
}

export type TextReader = (json: JsonObject, event: string, marks: FrameMarks) => JsonObject;

const chatTexts = ["content", "refusal", "reasoning_content", "reasoning"] as const;

type Like = (delta: JsonObject) => SseFrame;

function toolPieces(delta: JsonObject, place: string, like: Like, marks: FrameMarks): void {
  for (const call of Array.isArray(delta["tool_calls"]) ? (delta["tool_calls"] as JsonObject[]) : []) {
    const called = call["function"];
    if (!isObject(called) || typeof called["arguments"] !== "string") continue;
    const index = call["index"] ?? 0;
    marks.piece(`${place}/tool ${String(index)}`, called, "arguments", "json", (text) =>
      like({ tool_calls: [{ index, function: { arguments: text } }] }),
    );
  }
}

/** Function calls, the predecessor of tool calls. */
function functionPiece(delta: JsonObject, place: string, like: Like, marks: FrameMarks): void {
  const called = delta["function_call"];
  if (!isObject(called) || typeof called["arguments"] !== "string") return;
  marks.piece(`${place}/function`, called, "arguments", "json", (text) => like({ function_call: { arguments: text } }));
}

/** Members of a delta that arrive in pieces or hold no text. Others are complete. */
const inPieces: ReadonlySet<string> = new Set([...chatTexts, "role", "tool_calls", "function_call"]);

function chatDelta(json: JsonObject, choice: JsonObject, event: string, marks: FrameMarks): void {
  const place = String(choice["index"] ?? 0);
  const { usage: _usage, ...frame } = json;
  const like: Like = (delta) => ({
    event,
    data: JSON.stringify({ ...frame, choices: [{ index: choice["index"] ?? 0, delta, finish_reason: null }] }),
  });
  const delta = choice["delta"];
  if (isObject(delta)) {
    for (const member of chatTexts)
      if (typeof delta[member] === "string")
        marks.piece(`${place}/${member}`, delta, member, "text", (text) => like({ [member]: text }));
    toolPieces(delta, place, like, marks);
    functionPiece(delta, place, like, marks);
    for (const member of Object.keys(delta))
      if (!inPieces.has(member)) delta[member] = marks.whole({ [member]: delta[member] })[member];
  }
  if ((choice["finish_reason"] ?? null) !== null) marks.over(`${place}/`);
}

const chat: TextReader = (json, event, marks) => {
  for (const choice of Array.isArray(json["choices"]) ? (json["choices"] as JsonObject[]) : [])
    if (isObject(choice)) chatDelta(json, choice, event, marks);
  return json;
};

const completions: TextReader = (json, event, marks) => {
  const { usage: _usage, ...frame } = json;
  for (const choice of Array.isArray(json["choices"]) ? (json["choices"] as JsonObject[]) : []) {
    const index = choice["index"] ?? 0;
    const like = (text: string): SseFrame => ({
      event,
      data: JSON.stringify({ ...frame, choices: [{ index, text, logprobs: null, finish_reason: null }] }),
    });
    if (typeof choice["text"] === "string") marks.piece(`${String(index)}/text`, choice, "text", "text", like);
    if ((choice["finish_reason"] ?? null) !== null) marks.over(`${String(index)}/`);
  }
  return json;
};

const anthropicTexts: Readonly<Record<string, TextKind>> = { text: "text", thinking: "text", partial_json: "json" };

const anthropic: TextReader = (json, event, marks) => {
  const { type, index, delta } = json;
  if (type === "content_block_stop") marks.over(`${String(index)}/`);
  if (type !== "content_block_delta" || !isObject(delta))
    return type === "content_block_start" ? marks.whole(json) : json;
  // Complete texts, such as citations.
  if (!Object.keys(anthropicTexts).some((member) => typeof delta[member] === "string")) return marks.whole(json);
  for (const [member, kind] of Object.entries(anthropicTexts)) {
    if (typeof delta[member] !== "string") continue;
    const like = (text: string): SseFrame => ({
      event,
      data: JSON.stringify({ type, index, delta: { type: delta["type"], [member]: text } }),
    });
    marks.piece(`${String(index)}/${member}`, delta, member, kind, like);
  }
  return json;
};

const responses: TextReader = (json, event, marks) => {
  const type = String(json["type"] ?? "");
  const pathOf = (name: string): string =>
    `${String(json["item_id"] ?? json["output_index"] ?? "")}/${String(json["content_index"] ?? json["summary_index"] ?? "")}/${name}/`;
  if (type.endsWith(".delta") && typeof json["delta"] === "string") {
    const like = (text: string): SseFrame => ({ event, data: JSON.stringify({ ...json, delta: text }) });
    marks.piece(pathOf(type.slice(0, -6)), json, "delta", type.includes("arguments") ? "json" : "text", like);
    return json;
  }
  if (type.endsWith(".done")) marks.over(pathOf(type.slice(0, -5)));
  return marks.whole(json);
};

/** https://platform.openai.com/docs/api-reference/audio/transcript-text-delta-event */
const transcript: TextReader = (json, event, marks) => {
  const type = String(json["type"] ?? event);
  if (type === "transcript.text.delta" && typeof json["delta"] === "string") {
    const like = (text: string): SseFrame => ({ event, data: JSON.stringify({ type, delta: text }) });
    marks.piece("text/", json, "delta", "text", like);
    return json;
  }
  marks.over("text/");
  return marks.whole(json);
};

export const textReaders: Partial<Record<WireFormat, TextReader>> = {
  "openai.chat": chat,
  "openai.completions": completions,
  "openai.responses": responses,
  "anthropic.messages": anthropic,
  "openai.transcriptions": transcript,
  "openai.translations": transcript,
};
