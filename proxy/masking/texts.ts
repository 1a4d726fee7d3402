/** Changes every text of a request or an answer, whatever its dialect. Leaves alone what carries no words. */
import { isLabel, isWord } from "../guard/labels.ts";
import { hasText } from "../guard/texts.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { isJsonText } from "../wire/json-check.ts";

export interface TextChanges {
  text(text: string): string;
  /** An integer outside a tool's arguments. Only integers long enough to be personal data are examined. */
  number?(text: string): string;
  /** Texts that are read one after the other. */
  parts?(texts: readonly string[]): readonly string[];
}

/** An integer with fewer digits can't be personal data. */
const smallestNumber = 1e12;
/** An integer that distinguishes calls; replacing it with text would break it. */
const isKnob = (member: string): boolean => member === "seed";

/** A name that a program chooses, or a token id, as in `logit_bias`. */
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

/**
 * Names that are masked alike stay distinct: each gets a number. One counter per name, so that no number is tried
 * twice.
 */
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
      while (taken.has(free) || Object.hasOwn(out, free)) free = `${wanted} ${++count}`;
      counts.set(wanted, count);
    }
    setMember(out, free, value[name]);
  }
  return out;
}

/** A tool's arguments as an object, and the metadata a caller attaches to a call. */
const isOwn = (member: string, { type }: JsonObject): boolean =>
  member === "metadata" || (member === "input" && typeof type === "string" && type.endsWith("tool_use"));

/** Members whose texts are usually JSON: a tool's arguments and its result. */
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

  /** A value below the member `name` of `holder`. `json`: its texts may be JSON. */
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

  /** JSON within a string stays valid: only its strings, numbers and names are changed. */
  #inJson(text: string): string {
    const value = /^\s*[[{]/.test(text) && isJsonText(text) ? jsonIn(text) : undefined;
    if (!isObject(value) && !Array.isArray(value)) return this.#changes.text(text);
    const changed = this.own(value);
    return changed === value ? text : JSON.stringify(changed);
  }

  /** Every string, number and name below, whatever its member's name: a tool's arguments are the caller's own words. */
  own(value: unknown): unknown {
    if (typeof value === "string") return this.#inJson(value);
    if (typeof value === "number") return changedNumber(value, this.#changes.text);
    if (Array.isArray(value)) return changedList(value, (entry) => this.own(entry));
    if (!isObject(value)) return value;
    const changed = changedMembers(value, (_member, inner) => this.own(inner));
    return changedNames(changed, this.#changes.text);
  }
}

const sameMembers = (first: JsonObject, other: JsonObject): boolean =>
  Object.keys(first).every((member) => first[member] === other[member]);

/** A number that is changed becomes a string. */
function changedNumber(value: number, change: (text: string) => string): unknown {
  const text = String(value);
  const changed = change(text);
  return changed === text ? value : changed;
}

/** Returns the same value if nothing in it changed. */
export const changedTexts = (value: unknown, changes: TextChanges): unknown =>
  new Walk(changes).value(value, "", null, false);

function freeName(wanted: string, name: string, body: JsonObject, edits: JsonObject): string {
  if (wanted === name) return name;
  // No API has a request with this many names. One replacement is enough to show that something was there.
  return Object.hasOwn(body, wanted) || Object.hasOwn(edits, wanted) ? `${wanted} 2` : wanted;
}

/** The members of a request that change, undefined for those that are removed. Never includes the model. */
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
