import { requiredMember, type Shaped } from "../call/shaped.ts";
import { isChat } from "../config/capabilities.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import { type CacheLookup, cacheKey } from "./key.ts";

export interface Question {
  text: string;
  /** Digest of everything but the question. Questions are compared only within the same partition. */
  partition: string;
}

/** Longest text to compare, in characters: a vector says too little about longer ones. */
const longest = 8_192;

/** The text of a message's content, and the content without it; null if it isn't only text. */
function apart(content: unknown): { text: string; rest: unknown } | null {
  if (typeof content === "string") return { text: content, rest: null };
  if (!Array.isArray(content) || content.length === 0) return null;
  const texts: string[] = [];
  for (const part of content as unknown[]) {
    if (
      !isObject(part) ||
      (part["type"] !== "text" && part["type"] !== "input_text") ||
      typeof part["text"] !== "string"
    )
      return null;
    texts.push(part["text"]);
  }
  return { text: texts.join("\n"), rest: (content as JsonObject[]).map((part) => ({ ...part, text: null })) };
}

interface Turn {
  text: string;
  /** Replaces the member that holds the conversation in the body to send; a form that isn't understood stays as it is. */
  without(member: unknown): unknown;
}

/** `said`: the caller's own messages, before the policy adds its prompts. */
function lastTurn(said: unknown): Turn | null {
  if (typeof said === "string")
    return { text: said, without: (member) => (typeof member === "string" ? null : member) };
  const last: unknown = Array.isArray(said) ? said.at(-1) : null;
  if (!isObject(last) || last["role"] !== "user") return null;
  const content = apart(last["content"]);
  if (content === null) return null;
  const hollow = { ...last, content: content.rest };
  return {
    text: content.text,
    without: (member) =>
      Array.isArray(member) ? member.map((element: unknown) => (element === last ? hollow : element)) : member,
  };
}

const word = /[!-~\p{N}\p{Sc}]+/gu;
const figure = /[\p{N}@]|:\/\//u;
const opening = new Set("([\"'");
const closing = new Set(".,;:!?)]\"'");

/** Without surrounding punctuation. */
function bare(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && opening.has(text[from] as string)) from++;
  while (to > from && closing.has(text[to - 1] as string)) to--;
  return text.slice(from, to);
}

/** Words that contain a digit, an address or a placeholder, also in scripts that don't separate words by spaces. */
export function literals(text: string): string[] {
  return (text.match(word) ?? []).filter((text) => figure.test(text)).map(bare);
}

/** With tools the answer can be an action, and its object is taken from the words. */
function hasTools({ received, edits }: Shaped): boolean {
  return ["tools", "functions"].some((name) => {
    const tools = name in edits ? edits[name] : received.json[name];
    return Array.isArray(tools) && tools.length > 0;
  });
}

/** null if there is nothing to compare by meaning. */
export function question(call: CacheLookup): Question | null {
  const { shaped, digester } = call;
  if (!isChat(shaped.format) || hasTools(shaped)) return null;
  const member = requiredMember[shaped.format];
  const turn = lastTurn(shaped.received.json[member]);
  if (turn === null || turn.text.trim() === "" || turn.text.length > longest) return null;
  const hollow = (body: JsonObject): JsonObject => ({ ...body, [member]: turn.without(body[member]) });
  const rest = cacheKey(call, hollow);
  return rest === null
    ? null
    : { text: turn.text, partition: digester.digest(JSON.stringify([rest, literals(turn.text)])) };
}
