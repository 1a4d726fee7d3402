/** Changes every text of a request or an answer, whatever its dialect, and leaves what carries no words. */
import { isLabel, isWord } from "../guard/labels.ts";
import { hasText } from "../guard/texts.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";

export interface TextChanges {
  text(text: string): string;
  /** A whole number outside a tool's arguments: only what is long enough to be somebody's is looked at. */
  number?(text: string): string;
  /** Texts that are read one behind the other. */
  parts?(texts: readonly string[]): readonly string[];
}

/** Of fewer digits no number alone is anybody's. */
const smallestNumber = 1e12;
/** A number that tells calls apart, and that a text in its place would spoil. */
const isKnob = (member: string): boolean => member === "seed";

/** A name that a program gives, or a token's number, as in `logit_bias`. */
const isPlainName = (name: string): boolean => isWord(name) || /^\d{1,12}$/.test(name);

function setMember(target: JsonObject, name: string, value: unknown): void {
  if (name === "__proto__")
    Object.defineProperty(target, name, { value, configurable: true, enumerable: true, writable: true });
  else target[name] = value;
}

function changedList(list: readonly unknown[], change: (entry: unknown) => unknown): readonly unknown[] {
  const changed = list.map(change);
  return changed.some((entry, index) => entry !== list[index]) ? changed : list;
}

function changedMembers(value: JsonObject, change: (member: string, inner: unknown) => unknown): JsonObject {
  let out = value;
  for (const member of Object.keys(value)) {
    const changed = change(member, value[member]);
    if (changed === value[member]) continue;
    if (out === value) out = { ...value };
    setMember(out, member, changed);
  }
  return out;
}

/** Names that are masked alike remain apart: each gets a number. One counter a name, so that none is tried twice. */
function changedNames(value: JsonObject, change: (name: string) => string): JsonObject {
  const names = Object.keys(value);
  const changed = names.map(change);
  if (names.every((name, index) => name === changed[index])) return value;
  const taken = new Set<string>(changed.filter((name, index) => name === names[index]));
  const counts = new Map<string, number>();
  const out: JsonObject = {};
  for (const [index, name] of names.entries()) {
    const wanted = changed[index] as string;
    let free = wanted;
    if (wanted !== name) {
      let count = counts.get(wanted) ?? 1;
      while (taken.has(free)) free = `${wanted} ${++count}`;
      counts.set(wanted, count);
      taken.add(free);
    }
    setMember(out, free, value[name]);
  }
  return out;
}

/** A tool's arguments as an object, and what a caller notes on a call. */
const isOwn = (member: string, { type }: JsonObject): boolean =>
  member === "metadata" || (member === "input" && typeof type === "string" && type.endsWith("tool_use"));

/** Members whose texts are JSON as a rule: what a tool was called with, and what it said. */
function isJson(member: string, holder: JsonObject): boolean {
  if (member === "arguments" || member === "output") return true;
  const { role, type } = holder;
  return member === "content" && (role === "tool" || role === "function" || type === "tool_result");
}

class Walk {
  readonly #changes: TextChanges;

  constructor(changes: TextChanges) {
    this.#changes = changes;
  }

  /** A value below the member `name` of `holder`. `json`: texts in it may be JSON. */
  value(value: unknown, name: string, holder: JsonObject | null, json: boolean): unknown {
    if (typeof value === "string") return this.#string(value, name, holder, json);
    if (typeof value === "number") return this.#number(value, name);
    if (Array.isArray(value)) return this.#list(value, name, holder, json);
    if (!isObject(value)) return value;
    const changed = changedMembers(value, (member) => this.member(value, member, json));
    return changedNames(changed, (member) => (isPlainName(member) ? member : this.#changes.text(member)));
  }

  member(holder: JsonObject, member: string, json: boolean): unknown {
    const value = holder[member];
    if (isOwn(member, holder)) return this.own(value);
    return this.value(value, member, holder, json || isJson(member, holder));
  }

  #string(value: string, name: string, holder: JsonObject | null, json: boolean): string {
    if (isLabel(name, value, holder)) return value;
    return json ? this.#inJson(value) : this.#changes.text(value);
  }

  #number(value: number, name: string): unknown {
    if (Math.abs(value) < smallestNumber || !Number.isInteger(value) || isKnob(name)) return value;
    return changedNumber(value, this.#changes.number ?? this.#changes.text);
  }

  #list(list: readonly unknown[], name: string, holder: JsonObject | null, json: boolean): unknown {
    const { parts } = this.#changes;
    const texts = parts === undefined ? [] : list.filter(hasText);
    if (parts === undefined || texts.length < 2)
      return changedList(list, (entry) => this.value(entry, name, holder, json));
    const changed = parts(texts.map(({ text }) => text));
    let next = 0;
    return changedList(list, (entry) => {
      const text = hasText(entry) ? (changed[next++] as string) : null;
      const rest = this.value(text === null ? entry : { ...(entry as JsonObject), text: "" }, name, holder, json);
      if (text === null) return rest;
      const part = entry as JsonObject & { text: string };
      const whole = { ...(rest as JsonObject), text };
      return text === part.text && sameMembers(whole, part) ? entry : whole;
    });
  }

  /** A JSON text within a string stays one: only the strings, numbers and names in it are changed. */
  #inJson(text: string): string {
    const value = /^\s*[[{]/.test(text) ? jsonIn(text) : undefined;
    if (!isObject(value) && !Array.isArray(value)) return this.#changes.text(text);
    const changed = this.own(value);
    return changed === value ? text : JSON.stringify(changed);
  }

  /** Every string, number and name below, whatever its member's name: what a tool gets is the caller's own. */
  own(value: unknown): unknown {
    if (typeof value === "string") return this.#inJson(value);
    if (typeof value === "number") return changedNumber(value, this.#changes.text);
    if (Array.isArray(value)) return changedList(value, (entry) => this.own(entry));
    if (!isObject(value)) return value;
    const changed = changedMembers(value, (_member, inner) => this.own(inner));
    return changedNames(changed, this.#changes.text);
  }
}

const sameMembers = (one: JsonObject, other: JsonObject): boolean =>
  Object.keys(one).every((member) => one[member] === other[member]);

/** A number that is changed is a text from then on. */
function changedNumber(value: number, change: (text: string) => string): unknown {
  const text = String(value);
  const changed = change(text);
  return changed === text ? value : changed;
}

/** The same value where nothing in it is changed. */
export const changedTexts = (value: unknown, changes: TextChanges): unknown =>
  new Walk(changes).value(value, "", null, false);

function freeName(wanted: string, name: string, body: JsonObject, edits: JsonObject): string {
  if (wanted === name) return name;
  // So many names are no request of any API: one is enough to tell that something stood there.
  return Object.hasOwn(body, wanted) || Object.hasOwn(edits, wanted) ? `${wanted} 2` : wanted;
}

/** The members of a request that are changed, undefined for those that go; its model is none of them. */
export function changedMembersOf(body: JsonObject, changes: TextChanges): JsonObject {
  const walk = new Walk(changes);
  const edits: JsonObject = {};
  for (const member of Object.keys(body)) {
    if (member === "model") continue;
    const changed = walk.member(body, member, false);
    const name = isPlainName(member) ? member : freeName(changes.text(member), member, body, edits);
    if (name !== member) edits[member] = undefined;
    if (name !== member || changed !== body[member]) edits[name] = changed;
  }
  return edits;
}
