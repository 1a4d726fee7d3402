/** Masks every text of a request, whatever its dialect. */
import { isUtf8 } from "node:buffer";
import type { JsonObject } from "../dialects/canonical.ts";
import { type Failure, failure } from "../failure.ts";
import type { Received } from "../pipeline/receive.ts";
import { parseBody } from "../pipeline/receive.ts";
import { parseJson } from "../wire/json.ts";
import { applyEdits } from "../wire/json-edit.ts";
import type { Tally } from "./tally.ts";

/** Members that name or tell apart, or that hold bytes: nothing in them is text. */
const labels: ReadonlySet<string> = new Set([
  ...["type", "role", "id", "object", "model", "format", "media_type", "detail", "status", "effort"],
  ...["tool_call_id", "tool_use_id", "call_id", "item_id", "file_id", "container_id", "previous_response_id", "response_id"],
  ...["signature", "encrypted_content", "url", "image_url", "file_data", "prefer_provider"],
]);

const isObject = (value: unknown): value is JsonObject => value !== null && typeof value === "object" && !Array.isArray(value);

/** `data` is text where a document says so, and base64 elsewhere. */
const isLabel = (member: string, of: JsonObject): boolean => labels.has(member) || (member === "data" && of["type"] !== "text");

type Change = (text: string) => string;

/** A JSON text within a string stays one: only the strings in it are changed. */
function inJson(text: string, change: Change): string {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return change(text);
  }
  if (typeof value === "string" || !(isObject(value) || Array.isArray(value))) return change(text);
  const changed = changedAll(value, change);
  return changed === value ? text : JSON.stringify(changed);
}

function changedList(list: readonly unknown[], change: (one: unknown) => unknown): readonly unknown[] {
  const changed = list.map(change);
  return changed.some((one, at) => one !== list[at]) ? changed : list;
}

function changedMembers(value: JsonObject, change: (member: string, one: unknown) => unknown): JsonObject {
  let out = value;
  for (const member of Object.keys(value)) {
    const changed = change(member, value[member]);
    if (changed === value[member]) continue;
    if (out === value) out = { ...value };
    out[member] = changed;
  }
  return out;
}

/** Every string below, whatever its member's name: what a tool gets is the caller's own. */
function changedAll(value: unknown, change: Change): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return changedList(value, (one) => changedAll(one, change));
  return isObject(value) ? changedMembers(value, (_member, one) => changedAll(one, change)) : value;
}

/** A tool's arguments as an object. */
const isToolInput = (member: string, { type }: JsonObject): boolean => member === "input" && typeof type === "string" && type.endsWith("tool_use");

/** The same value where nothing in it is changed. */
export function changedTexts(value: unknown, name: string, change: Change): unknown {
  if (typeof value === "string") return name === "arguments" ? inJson(value, change) : change(value);
  if (Array.isArray(value)) return changedList(value, (one) => changedTexts(one, name, change));
  if (!isObject(value)) return value;
  return changedMembers(value, (member, one) => {
    if (isLabel(member, value)) return one;
    return isToolInput(member, value) ? changedAll(one, change) : changedTexts(one, member, change);
  });
}

/** Prompts as numbers of tokens can't be read, and so can't be masked. */
function isTokens(value: unknown): boolean {
  return Array.isArray(value) && value.some((one) => typeof one === "number" || (Array.isArray(one) && one.some((inner) => typeof inner === "number")));
}

const unreadable = failure("prompt_unreadable", "The policy of this model masks personal data, and a prompt of token numbers can't be read. Send it as text.");

/** The request with its texts masked; the same one where nothing was found. */
export function maskRequest(received: Received, tally: Tally): Received | Failure {
  const { json } = received;
  if (isTokens(json["prompt"]) || isTokens(json["input"])) return unreadable;
  if (tally.reversible) {
    const texts: string[] = [];
    changedTexts(json, "", (text) => {
      texts.push(text);
      return text;
    });
    tally.avoid(texts);
  }
  const change: Change = (text) => tally.mask(text);
  const edits: JsonObject = {};
  for (const member of Object.keys(json)) {
    if (labels.has(member)) continue;
    const changed = changedTexts(json[member], member, change);
    if (changed !== json[member]) edits[member] = changed;
  }
  if (Object.keys(edits).length === 0) return received;
  const bytes = applyEdits(received.bytes, received.outline, edits);
  return isUtf8(bytes) ? parseBody(bytes) : unreadable;
}
