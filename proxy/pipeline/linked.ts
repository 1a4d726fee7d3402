/** What a request only refers to: state that the provider keeps, files, and images. Its bytes don't show their size. */
import { arePlain } from "../call/plain-messages.ts";
import type { Shaped } from "../call/shaped.ts";
import { isObject, isSet, type JsonObject } from "../wire/json.ts";

const links: ReadonlySet<string> = new Set([
  ...["image_url", "input_image", "file_id", "file_url", "url", "file_uri"],
  // Images and documents in base64 may be more tokens than bytes.
  ...["media_type", "file_data"],
]);
const files: ReadonlySet<string> = new Set(["file_id", "file_url", "file_uri", "file_ids", "vector_store_ids"]);
const media: ReadonlySet<string> = new Set([...links, "input_audio", "video_url"]);
const hourOfCache: ReadonlySet<string> = new Set(["1h"]);

/**
 * How often one of the words occurs in the parsed body, as a name or a string. Its bytes may spell the word in many
 * ways.
 */
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

/**
 * Whether the body has only text and plain members, as most do: nothing can refer elsewhere, so no search is needed.
 */
function linksNothing(json: JsonObject): boolean {
  for (const name in json) {
    const value = json[name];
    if (name === "messages" ? !arePlain(value) : typeof value === "object" || links.has(name)) return false;
  }
  return true;
}

export interface Links {
  /** Images and files. */
  count: number;
  /** Files that the provider holds or fetches. */
  files: boolean;
  /** Anything but text, whose tokens may have separate rates. */
  media: boolean;
  /** Whether the prompt is written to the provider's cache for an hour. */
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

/** Items of the Responses API that are sent whole, with an id or without. */
const wholeItem = /^(message|function_call|custom_tool_call|.*_output|mcp_approval_response)$/;

/**
 * Whether the request has only the item's id: https://platform.openai.com/docs/api-reference/responses/create (input).
 */
function isStored(item: unknown): boolean {
  if (!isObject(item) || !isSet(item["id"]) || isSet(item["encrypted_content"])) return false;
  const type = item["type"] ?? (isSet(item["role"]) ? "message" : "item_reference");
  return typeof type !== "string" || !wholeItem.test(type);
}

/** Whether the call continues from state that the provider keeps, whose size is unknown here. */
export function linksState({ received: { json }, edits, format }: Shaped): boolean {
  if (format === "anthropic.messages") return isSet(json["container"]);
  if (format !== "openai.responses") return isSet(json["audio"]) && linksAudio(json["messages"]);
  const prompt = "prompt" in edits ? edits["prompt"] : json["prompt"];
  const input = json["input"];
  return (
    isSet(json["previous_response_id"]) ||
    isSet(json["conversation"]) ||
    isSet(prompt) ||
    (Array.isArray(input) && input.some(isStored))
  );
}

/** An earlier answer's audio, by its id. */
const linksAudio = (messages: unknown): boolean =>
  Array.isArray(messages) && messages.some((message) => isObject(message) && isSet(message["audio"]));
