/**
 * Every text of a request that a model may get to see, whatever its dialect: all of the body but what is known to hold
 * no words (labels.ts). A member that nobody knows is read as well, since some server may put it into the prompt. Pure.
 */
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { isLabel, isSetting, isUnseen, isWord } from "./labels.ts";

/** Members whose members' names are the caller's own words: parameters of tools, schemas of answers. */
const schemas: ReadonlySet<string> = new Set([
  ...["tools", "functions", "response_format", "text", "output_config", "output_format"],
  ...["chat_template_kwargs", "guided_json", "extra_body"],
]);

/** A text of a request. `again`: its words stand in others as well, and are not counted once more. */
export interface Carried {
  text: string;
  again: boolean;
}

/** Whether a text is JSON, as a tool's arguments and results are, and says more once its escapes are read. */
const hidesWords = (text: string): boolean => text.includes("\\") && /^\s*[[{"]/.test(text);

class Texts {
  readonly carried: Carried[] = [];

  add(text: string, again = false): void {
    if (text !== "") this.carried.push({ text, again });
  }

  /** What is below the member `name` of `holder`. */
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
    // Parts of one message are read one behind the other.
    const parts = list.filter(hasText);
    if (parts.length > 1) this.add(parts.map(({ text }) => text).join(""), true);
  }

  #object(value: JsonObject): void {
    for (const member of Object.keys(value)) {
      const inner = value[member];
      // What a tool gets is the caller's own: every name and string in it.
      if (member === "input" && isObject(inner)) this.strings(inner);
      else this.walk(inner, member, value);
    }
  }

  /** Every string and name below. */
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

  /** Every name below. */
  names(value: unknown): void {
    if (Array.isArray(value)) for (const entry of value) this.names(entry);
    else if (isObject(value)) {
      const names = Object.keys(value);
      this.add(names.join("\n"), true);
      for (const name of names) this.names(value[name]);
    }
  }

  /** A setting that is one word is none of the prompt. */
  setting(value: unknown, name: string, holder: JsonObject): void {
    const before = this.carried.length;
    this.walk(value, name, holder);
    const words = this.carried.splice(before).filter(({ text }) => !isWord(text));
    this.carried.push(...words);
  }
}

/** A part of a message, of any dialect. */
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

/** Prompts as numbers of tokens, which can't be read. */
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
  return [
    textsIn(content)
      .filter(({ again }) => !again)
      .map(({ text }) => text)
      .join("\n"),
  ];
}
