/**
 * Reads a client's `response.create` event, and makes the body of a streamed `POST /responses` from it
 * (https://developers.openai.com/api/docs/guides/websocket-mode).
 */
import { Buffer } from "node:buffer";
import { isObject, type JsonObject, jsonIn, maxJsonDepth } from "../wire/json.ts";
import { applyEdits } from "../wire/json-edit.ts";
import { type Outline, outline } from "../wire/json-outline.ts";

export interface CreateEvent {
  bytes: Buffer;
  outline: Outline;
  json: JsonObject;
  /** The lane that the client names; "" for none. */
  lane: string;
  /** The response that this turn follows; "" for none. */
  previous: string;
}

export interface EventProblem {
  code: string;
  message: string;
  param: string | null;
}

const maxLaneLength = 64;

const problem = (code: string, message: string, param: string | null = null): EventProblem => ({
  code,
  message,
  param,
});

const unreadable = problem("invalid_json", "The event is not a JSON object. Send one JSON object in each message.");

/** Members of the event that are not members of the request. */
const ofEvent = {
  type: undefined,
  stream_id: undefined,
  generate: undefined,
  stream: undefined,
  stream_options: undefined,
};

export function readEvent(bytes: Buffer): CreateEvent | EventProblem {
  const members = outline(bytes, maxJsonDepth);
  const json = typeof members === "string" ? null : jsonIn(bytes.toString("utf8"));
  if (typeof members === "string" || !isObject(json)) return unreadable;
  const { type, stream_id: lane, previous_response_id: previous, background } = json;
  if (type !== "response.create")
    return problem("invalid_value", "Only events of type response.create are accepted here.", "type");
  if (lane !== undefined && (typeof lane !== "string" || lane === "" || lane.length > maxLaneLength))
    return problem("invalid_value", `stream_id must be a string of 1 to ${maxLaneLength} characters.`, "stream_id");
  if (background === true)
    return problem("unsupported_parameter", "background has no effect over a WebSocket. Leave it out.", "background");
  return { bytes, outline: members, json, lane: lane ?? "", previous: typeof previous === "string" ? previous : "" };
}

/** The event's own input, as members of a list; null if it is neither a text nor a list. */
export function inputItems({ bytes, outline: { members }, json }: CreateEvent): string | null {
  const { input } = json;
  const member = members.find(({ name }) => name === "input");
  if (member === undefined || input === null) return "";
  const raw = bytes.toString("utf8", member.valueStart, member.valueEnd);
  if (typeof input === "string") return `{"role":"user","content":${raw}}`;
  return Array.isArray(input) ? raw.slice(1, -1).trim() : null;
}

export const joinedItems = (...parts: readonly string[]): string => parts.filter((part) => part !== "").join(",");

/** The body as the client sent it. */
export const ownBody = ({ bytes, outline: members }: CreateEvent): Buffer =>
  withMembers(applyEdits(bytes, members, ofEvent), '"stream":true');

/** The body with the whole input in place of the response that it follows. */
export const wholeBody = ({ bytes, outline: members }: CreateEvent, items: string): Buffer =>
  withMembers(
    applyEdits(bytes, members, { ...ofEvent, previous_response_id: undefined, input: undefined }),
    `"stream":true,"input":[${items}]`,
  );

function withMembers(body: Buffer, members: string): Buffer {
  const rest = body.toString("utf8").trim().slice(1);
  return Buffer.from(`{${members}${rest.trimStart().startsWith("}") ? "" : ","}${rest}`);
}

/**
 * A response's output as the next input. Where the provider stores nothing, it doesn't know the ids of items, and
 * reasoning is of use only where it came encrypted.
 */
export function outputItems(output: unknown, isStored: boolean): string {
  if (!Array.isArray(output)) return "";
  const items = output.filter(isObject).flatMap((item) => {
    if (isStored) return [item];
    const { id: _, ...rest } = item;
    return item["type"] === "reasoning" && typeof item["encrypted_content"] !== "string" ? [] : [rest];
  });
  return JSON.stringify(items).slice(1, -1);
}

/** The events of a response without output, whose input is only remembered. */
export function warmedUp({ json }: CreateEvent, id: string, nowMs: number): string[] {
  const response = {
    ...{ id, object: "response", created_at: Math.floor(nowMs / 1_000), model: json["model"] ?? null },
    ...{ output: [], error: null, incomplete_details: null },
    usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 },
  };
  const event = (type: string, status: string, at: number): string =>
    JSON.stringify({ type, sequence_number: at, response: { ...response, status } });
  return [event("response.created", "in_progress", 0), event("response.completed", "completed", 1)];
}
