import { requiredMember, type Shaped } from "../call/shaped.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import { type CacheLookup, cacheKey } from "./key.ts";

export interface Question {
  text: string;
  /** Digest of all the rest: a question is compared with those of the same partition only. */
  partition: string;
}

/** Of longer texts a vector tells too little, in characters. */
const longest = 8_192;

/** The text of a message's content, and what of the content is left without it; null where it is not all text. */
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
  /** In place of the member that holds the conversation, as the body that goes on has it; what isn't understood stays as it is. */
  without(member: unknown): unknown;
}

/** `said`: the caller's own member, before the policy put prompts before and behind it. */
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
    without: (member) => (Array.isArray(member) ? member.map((one: unknown) => (one === last ? hollow : one)) : member),
  };
}

const word = /[!-~\p{N}\p{Sc}]+/gu;
const figure = /[\p{N}@]|:\/\//u;
const opening = new Set("([\"'");
const closing = new Set(".,;:!?)]\"'");

/** Without the punctuation around it. */
function bare(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && opening.has(text[from] as string)) from++;
  while (to > from && closing.has(text[to - 1] as string)) to--;
  return text.slice(from, to);
}

/** Words with a figure, an address or a placeholder in them; also out of scripts that put no spaces between words. */
export function literals(text: string): string[] {
  return (text.match(word) ?? []).filter((one) => figure.test(one)).map(bare);
}

/** An answer may then be an action, with what it is to act upon taken from the words. */
function hasTools({ received, edits }: Shaped): boolean {
  return ["tools", "functions"].some((name) => {
    const tools = name in edits ? edits[name] : received.json[name];
    return Array.isArray(tools) && tools.length > 0;
  });
}

/** null where there is nothing to compare by meaning. */
export function question(call: CacheLookup): Question | null {
  const { shaped, digest } = call;
  if (shaped.format === "openai.embeddings" || hasTools(shaped)) return null;
  const member = requiredMember[shaped.format];
  const turn = lastTurn(shaped.received.json[member]);
  if (turn === null || turn.text.trim() === "" || turn.text.length > longest) return null;
  const hollow = (body: JsonObject): JsonObject => ({ ...body, [member]: turn.without(body[member]) });
  const rest = cacheKey(call, hollow);
  return rest === null ? null : { text: turn.text, partition: digest(JSON.stringify([rest, literals(turn.text)])) };
}
