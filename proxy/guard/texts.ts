/** Every text that a request carries, whatever its dialect. Pure. */
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";

/** Top-level members that hold words which a model gets to see, in all client formats. */
const carriers = [
  ...["messages", "input", "prompt", "system", "instructions", "suffix"],
  ...["tools", "functions", "response_format", "text", "output_config", "output_format", "prediction", "documents"],
] as const;
/** Those of them whose members' names are the caller's own words. */
const schemas: ReadonlySet<string> = new Set([
  "tools",
  "functions",
  "response_format",
  "text",
  "output_config",
  "output_format",
]);
/** Members that name or tell apart, and hold no words. */
const labels: ReadonlySet<string> = new Set([
  "type",
  "role",
  "id",
  "tool_call_id",
  "tool_use_id",
  "call_id",
  "media_type",
  "format",
  "signature",
  "encrypted_content",
  "url",
  "file_data",
]);

/** A text of a request. `again`: its words stand in others as well, and are not counted once more. */
export interface Carried {
  text: string;
  again: boolean;
}

const once = (text: string): Carried => ({ text, again: false });
const again = (text: string): Carried => ({ text, again: true });

function* walk(value: unknown, name: string): Generator<Carried> {
  if (typeof value === "string") yield* ofString(value, name);
  else if (Array.isArray(value)) yield* ofList(value, name);
  else if (isObject(value)) yield* ofObject(value);
}

function* ofString(value: string, name: string): Generator<Carried> {
  if (value === "" || labels.has(name)) return;
  yield once(value);
  // A tool's arguments: what they say once their escapes are read.
  if (name === "arguments" && value.includes("\\")) for (const { text } of walkAll(jsonIn(value))) yield again(text);
}

function* ofList(list: readonly unknown[], name: string): Generator<Carried> {
  for (const one of list) yield* walk(one, name);
  // Parts of one message are read one behind the other.
  const parts = list.filter(
    (one): one is JsonObject & { text: string } => isObject(one) && typeof one["text"] === "string",
  );
  if (parts.length > 1) yield again(parts.map(({ text }) => text).join(""));
}

function* ofObject(value: JsonObject): Generator<Carried> {
  for (const [member, inner] of Object.entries(value)) {
    // Text where a document says so, and base64 elsewhere.
    if (member === "data" && value["type"] !== "text") continue;
    if (member === "input" && isObject(inner)) yield* walkAll(inner);
    else yield* walk(inner, member);
  }
}

/** Every string and name below: what a tool gets is the caller's own. */
function* walkAll(value: unknown): Generator<Carried> {
  if (typeof value === "string") yield once(value);
  else if (Array.isArray(value)) for (const one of value) yield* walkAll(one);
  else if (isObject(value)) {
    yield again(Object.keys(value).join("\n"));
    for (const inner of Object.values(value)) yield* walkAll(inner);
  }
}

function* namesIn(value: unknown): Generator<Carried> {
  for (const one of walkAll(value)) if (one.again) yield one;
}

export function* textsOf(body: JsonObject): Generator<Carried> {
  for (const carrier of carriers) {
    if (!Object.hasOwn(body, carrier)) continue;
    yield* walk(body[carrier], carrier);
    if (schemas.has(carrier)) yield* namesIn(body[carrier]);
  }
}

/** Prompts as numbers of tokens, which can't be read. */
export function hasTokens(body: JsonObject): boolean {
  return [body["prompt"], body["input"]].some(
    (value) =>
      Array.isArray(value) &&
      value.some(
        (one) => typeof one === "number" || (Array.isArray(one) && one.some((inner) => typeof inner === "number")),
      ),
  );
}

const others: ReadonlySet<unknown> = new Set(["assistant", "system", "developer", "tool", "function", "model"]);

/** Also by a role that nobody knows: some providers take it for the user's. */
const isUsers = (turn: unknown): turn is JsonObject =>
  isObject(turn) &&
  turn["content"] !== undefined &&
  !others.has(turn["role"]) &&
  (turn["type"] === undefined || turn["type"] === "message");

/** What the user said last: the texts that an allow-list is about. `member`: the one that the request's format reads. */
export function lastUserTexts(body: JsonObject, member: string): string[] {
  const turns = body[member];
  if (typeof turns === "string") return [turns];
  if (!Array.isArray(turns)) return [""];
  // Several prompts are answered each.
  const prompts = turns.filter((turn) => typeof turn === "string");
  if (prompts.length > 0) return prompts;
  const content = turns.findLast(isUsers)?.["content"];
  return [[...walk(content, "content")].flatMap(({ text, again: repeated }) => (repeated ? [] : [text])).join("\n")];
}
