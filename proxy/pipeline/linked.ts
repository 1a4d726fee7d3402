/** What a request only points to: state that the provider keeps, files, and pictures. Their size is not in its bytes. */
import type { Shaped } from "../call/shaped.ts";
import { isObject, type JsonObject } from "../wire/json.ts";

const links: ReadonlySet<string> = new Set([
  ...["image_url", "input_image", "file_id", "file_url", "url", "file_uri"],
  // Pictures and documents in base64 may be more tokens than bytes.
  ...["media_type", "file_data"],
]);
const files: ReadonlySet<string> = new Set(["file_id", "file_url", "file_uri", "file_ids", "vector_store_ids"]);
const media: ReadonlySet<string> = new Set([...links, "input_audio", "video_url"]);
const hourOfCache: ReadonlySet<string> = new Set(["1h"]);

/** How often one of the words stands in the parsed body, as a name or as a text: in its bytes it may be written in many ways. */
function occurrencesOf(value: unknown, words: ReadonlySet<string>): number {
  if (typeof value === "string") return words.has(value) ? 1 : 0;
  if (value === null || typeof value !== "object") return 0;
  let count = 0;
  if (Array.isArray(value)) for (const member of value) count += occurrencesOf(member, words);
  else
    for (const name of Object.keys(value))
      count += (words.has(name) ? 1 : 0) + occurrencesOf((value as JsonObject)[name], words);
  return count;
}

const ofTexts = (name: string): boolean => name === "role" || name === "content" || name === "name";

function onlyTexts(messages: unknown): boolean {
  if (!Array.isArray(messages)) return false;
  for (const message of messages as JsonObject[]) {
    for (const name in message) if (!ofTexts(name) || typeof message[name] !== "string") return false;
  }
  return true;
}

/** Texts and plain members only, as most calls have: there is nothing that could link, so the bytes needn't be searched. */
function linksNothing(json: JsonObject): boolean {
  for (const name in json) {
    const value = json[name];
    if (name === "messages" ? !onlyTexts(value) : typeof value === "object" || links.has(name)) return false;
  }
  return true;
}

export interface Links {
  /** Pictures and files. */
  count: number;
  /** Files that the provider holds or fetches. */
  files: boolean;
  /** Anything but text, whose tokens may have rates of their own. */
  media: boolean;
  /** The prompt is written to the provider's cache for an hour. */
  hourOfCache: boolean;
}

const noLinks: Links = { count: 0, files: false, media: false, hourOfCache: false };

export function linksOf(json: JsonObject): Links {
  if (linksNothing(json)) return noLinks;
  return {
    count: occurrencesOf(json, links),
    files: occurrencesOf(json, files) > 0,
    media: occurrencesOf(json, media) > 0,
    hourOfCache: occurrencesOf(json, hourOfCache) > 0,
  };
}

const isGiven = (value: unknown): boolean => (value ?? null) !== null;

/** Items of the Responses API that are sent whole, with an id or without. */
const wholeItem = /^(message|function_call|custom_tool_call|.*_output|mcp_approval_response)$/;

/** An item of which the request has only the id: https://platform.openai.com/docs/api-reference/responses/create (input). */
function isStored(item: unknown): boolean {
  if (!isObject(item) || !isGiven(item["id"]) || isGiven(item["encrypted_content"])) return false;
  const type = item["type"] ?? (isGiven(item["role"]) ? "message" : "item_reference");
  return typeof type !== "string" || !wholeItem.test(type);
}

/** The call goes on with what the provider keeps, whose size nobody here knows. */
export function linksState({ received: { json }, edits, format }: Shaped): boolean {
  if (format === "anthropic.messages") return isGiven(json["container"]);
  if (format !== "openai.responses") return isGiven(json["audio"]) && linksAudio(json["messages"]);
  const prompt = "prompt" in edits ? edits["prompt"] : json["prompt"];
  const input = json["input"];
  return (
    isGiven(json["previous_response_id"]) ||
    isGiven(json["conversation"]) ||
    isGiven(prompt) ||
    (Array.isArray(input) && input.some(isStored))
  );
}

/** An earlier answer's audio, by its id. */
const linksAudio = (messages: unknown): boolean =>
  Array.isArray(messages) && messages.some((message) => isObject(message) && isGiven(message["audio"]));
