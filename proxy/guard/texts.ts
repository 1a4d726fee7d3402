/**
 * Every text of a request that a model may see, whatever its dialect: the whole body except what is known to hold no
 * words (labels.ts). Unknown members are read as well, since some server may put them into the prompt. Pure.
 */
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { isLabel, isSetting, isUnseen, isWord } from "./labels.ts";

/** Members whose members' names are the caller's own words: parameters of tools, schemas of answers. */
const schemas: ReadonlySet<string> = new Set([
  ...["tools", "functions", "response_format", "text", "output_config", "output_format"],
  ...["chat_template_kwargs", "guided_json", "extra_body"],
]);

/** A text of a request. `again`: its words also occur in other texts and are not counted again. */
export interface Carried {
  text: string;
  again: boolean;
}

/** Whether a text is JSON, as tool arguments and results are, with escapes that may hide words. */
const hidesWords = (text: string): boolean => text.includes("\\") && /^\s*[[{"]/.test(text);

class Texts {
  readonly carried: Carried[] = [];

  add(text: string, again = false): void {
    if (text !== "") this.carried.push({ text, again });
  }

  /** Reads what is below the member `name` of `holder`. */
  walk(value: unknown, name: string, holder: JsonObject | null): void {
    if (typeof value === "string") this.#string(value, name, holder);
    else if (Array.isArray(value)) this.#list(value, name, holder);
    else if (isObject(value)) this.#object(value);
  }

  #string(value: string, name: string, holder: JsonObject | null): void {
    if (isLabel(name, value, holder)) return;
    this.add(value);
    if (hidesWords(value)) this.#strings(jsonIn(value), true);
  }

  #list(list: readonly unknown[], name: string, holder: JsonObject | null): void {
    for (const entry of list) this.walk(entry, name, holder);
    // Parts of one message are read one after the other.
    const parts = list.filter(hasText);
    if (parts.length > 1) this.add(parts.map(({ text }) => text).join(""), true);
  }

  #object(value: JsonObject): void {
    for (const member of Object.keys(value)) {
      const inner = value[member];
      // A tool's arguments are the caller's own words: every name and string in them.
      if (member === "input" && isObject(inner)) this.strings(inner);
      else this.walk(inner, member, value);
    }
  }

  /** Reads every name and string below. */
  strings(value: unknown): void {
    this.#strings(value, false);
  }

  #strings(value: unknown, again: boolean): void {
    if (typeof value === "string") this.add(value, again);
    else if (Array.isArray(value)) for (const entry of value) this.#strings(entry, again);
    else if (isObject(value)) {
      const names = Object.keys(value);
      this.add(names.join("\n"), true);
      for (const name of names) this.#strings(value[name], again);
    }
  }

  /** Reads every name below. */
  names(value: unknown): void {
    if (Array.isArray(value)) for (const entry of value) this.names(entry);
    else if (isObject(value)) {
      const names = Object.keys(value);
      this.add(names.join("\n"), true);
      for (const name of names) this.names(value[name]);
    }
  }

  /** A setting that is a single word is not part of the prompt. */
  setting(value: unknown, name: string, holder: JsonObject): void {
    const before = this.carried.length;
    this.walk(value, name, holder);
    const words = this.carried.splice(before).filter(({ text }) => !isWord(text));
    this.carried.push(...words);
  }
}

/** Whether a value is a text part of a message, in any dialect. */
export const hasText = (entry: unknown): entry is JsonObject & { text: string } =>
  isObject(entry) && typeof entry["text"] === "string";

export function textsOf(body: JsonObject): readonly Carried[] {
  const texts = new Texts();
  for (const member of Object.keys(body)) {
    if (isUnseen(member)) continue;
    if (isSetting(member)) texts.setting(body[member], member, body);
    else texts.walk(body[member], member, body);
    if (schemas.has(member)) texts.names(body[member]);
  }
  return texts.carried;
}

function textsIn(value: unknown): readonly Carried[] {
  const texts = new Texts();
  texts.walk(value, "content", null);
  return texts.carried;
}

/** Whether a prompt consists of token numbers, which can't be read. */
export function hasTokens(body: JsonObject): boolean {
  return [body["prompt"], body["input"]].some(
    (value) =>
      Array.isArray(value) &&
      value.some(
        (entry) =>
          typeof entry === "number" || (Array.isArray(entry) && entry.some((inner) => typeof inner === "number")),
      ),
  );
}

const others: ReadonlySet<unknown> = new Set(["assistant", "system", "developer", "tool", "function", "model"]);

/** Includes turns with an unknown role: some providers treat it as the user's. */
const isUsers = (turn: unknown): turn is JsonObject =>
  isObject(turn) &&
  turn["content"] !== undefined &&
  !others.has(turn["role"]) &&
  (turn["type"] === undefined || turn["type"] === "message");

/**
 * What the user said last: the texts that an allow-list applies to. `member`: the member that the request's format
 * reads.
 */
export function lastUserTexts(body: JsonObject, member: string): string[] {
  const turns = body[member];
  if (typeof turns === "string") return [turns];
  if (!Array.isArray(turns)) return [""];
  // Each of several prompts is answered.
  const prompts = turns.filter((turn) => typeof turn === "string");
  if (prompts.length > 0) return prompts;
  const content = turns.findLast(isUsers)?.["content"];
  return [
    textsIn(content)
      .filter(({ again }) => !again)
      .map(({ text }) => text)
      .join("\n"),
  ];
}
