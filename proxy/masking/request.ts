/** Masks every text of a request, whatever its dialect. */
import { isUtf8 } from "node:buffer";
import { parseBody, type Received } from "../call/received.ts";
import { type Failure, failure } from "../failure.ts";
import { hasTokens } from "../guard/texts.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { applyEdits } from "../wire/json-edit.ts";
import type { Tally } from "./tally.ts";

/** Members that name or tell apart, or that hold bytes: nothing in them is text. */
const labels: ReadonlySet<string> = new Set([
  ...["type", "role", "id", "object", "model", "format", "media_type", "detail", "status", "effort"],
  ...[
    "tool_call_id",
    "tool_use_id",
    "call_id",
    "item_id",
    "file_id",
    "container_id",
    "previous_response_id",
    "response_id",
  ],
  ...["signature", "encrypted_content", "url", "image_url", "file_data", "prefer_provider"],
]);

/** What is below such a member is looked at all the same: a tool may have a parameter of that name. `data` is text where a document says so, and base64 elsewhere. */
const isLabel = (member: string, of: JsonObject, value: unknown): boolean =>
  (labels.has(member) || (member === "data" && of["type"] !== "text")) &&
  !isObject(value) &&
  !(Array.isArray(value) && value.some(isObject));

type Change = (text: string) => string;

/** A JSON text within a string stays one: only the strings in it are changed. */
function inJson(text: string, change: Change): string {
  const value = jsonIn(text);
  if (!isObject(value) && !Array.isArray(value)) return change(text);
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

/** Every string, number and name below, whatever its member's name: what a tool gets is the caller's own. */
function changedAll(value: unknown, change: Change): unknown {
  if (typeof value === "string")
    return value.startsWith("{") || value.startsWith("[") ? inJson(value, change) : change(value);
  if (typeof value === "number") return changedNumber(value, change);
  if (Array.isArray(value)) return changedList(value, (one) => changedAll(one, change));
  return isObject(value)
    ? changedNames(
        changedMembers(value, (_member, one) => changedAll(one, change)),
        change,
      )
    : value;
}

/** A number that is changed is a text from then on. */
function changedNumber(value: number, change: Change): unknown {
  const text = String(value);
  const changed = change(text);
  return changed === text ? value : changed;
}

function changedNames(value: JsonObject, change: Change): JsonObject {
  const names = Object.keys(value);
  const changed = names.map(change);
  if (names.every((name, at) => name === changed[at])) return value;
  const out: JsonObject = {};
  for (const [at, name] of names.entries()) {
    let free = changed[at] as string;
    // Two that are masked alike remain two.
    for (let count = 2; Object.hasOwn(out, free); count++) free = `${changed[at]} ${count}`;
    out[free] = value[name];
  }
  return out;
}

/** A tool's arguments as an object, and what a caller notes on a call. */
const isOwn = (member: string, { type }: JsonObject): boolean =>
  member === "metadata" || (member === "input" && typeof type === "string" && type.endsWith("tool_use"));

function changedMember(of: JsonObject, member: string, change: Change): unknown {
  const value = of[member];
  if (isLabel(member, of, value)) return value;
  return isOwn(member, of) ? changedAll(value, change) : changedTexts(value, member, change);
}

/** The same value where nothing in it is changed. */
export function changedTexts(value: unknown, name: string, change: Change): unknown {
  if (typeof value === "string") return name === "arguments" ? inJson(value, change) : change(value);
  if (Array.isArray(value)) return changedList(value, (one) => changedTexts(one, name, change));
  if (!isObject(value)) return value;
  return changedMembers(value, (member) => changedMember(value, member, change));
}

const unreadable = failure(
  "prompt_unreadable",
  "The policy of this model masks personal data, and a prompt of token numbers can't be read. Send it as text.",
);

/** The request with its texts masked; the same one where nothing was found. */
export function maskRequest(received: Received, tally: Tally): Received | Failure {
  const { json } = received;
  if (hasTokens(json)) return unreadable;
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
    const changed = changedMember(json, member, change);
    if (changed !== json[member]) edits[member] = changed;
  }
  if (Object.keys(edits).length === 0) return received;
  const bytes = applyEdits(received.bytes, received.outline, edits);
  return isUtf8(bytes) ? parseBody(bytes) : unreadable;
}
