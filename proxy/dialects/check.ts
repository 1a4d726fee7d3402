/** Checks of a client's body. Each returns null if the value is valid, otherwise the message for the caller. */
import { isObject, type JsonObject } from "../wire/json.ts";
import { type Refusal, refusal } from "./canonical.ts";

export type Check = (value: unknown, param: string) => Refusal | null;

export function invalid(param: string, expected: string): Refusal {
  return refusal(param, `\`${param}\` must be ${expected}.`, "invalid_value");
}

function check(expected: string, test: (value: unknown) => boolean): Check {
  return (value, param) => (test(value) ? null : invalid(param, expected));
}

export const aString = check("a string", (value) => typeof value === "string");
export const aNumber = check("a number", (value) => typeof value === "number");
export const aBoolean = check("true or false", (value) => typeof value === "boolean");
export const anObject = check("an object", isObject);
export const aWholeNumber = check(
  "a whole number above 0",
  (value) => Number.isSafeInteger(value) && (value as number) > 0,
);
export const aCount = check("a whole number", (value) => Number.isSafeInteger(value) && (value as number) >= 0);
export const anInteger = check("a whole number", (value) => Number.isSafeInteger(value));
export const aStringOrStrings = check(
  "a string or a list of strings",
  (value) =>
    typeof value === "string" || (Array.isArray(value) && value.every((element) => typeof element === "string")),
);
export const someNumbers = check(
  "an object of numbers",
  (value) => isObject(value) && Object.values(value).every((member) => typeof member === "number"),
);

export function oneOf(...words: string[]): Check {
  return check(`one of ${words.join(", ")}`, (value) => typeof value === "string" && words.includes(value));
}

/** Returns the first complaint, or null. */
export function first<T>(values: Iterable<T>, complain: (value: T, index: number) => Refusal | null): Refusal | null {
  let index = 0;
  for (const value of values) {
    const problem = complain(value, index++);
    if (problem) return problem;
  }
  return null;
}

/** Members that are present and not null must pass. `prefix` ends in a dot unless the object is the body itself. */
export function members(body: JsonObject, checks: Readonly<Record<string, Check>>, prefix = ""): Refusal | null {
  for (const name in checks) {
    const value = body[name] ?? null;
    const problem = value === null ? null : (checks[name]?.(value, prefix + name) ?? null);
    if (problem !== null) return problem;
  }
  return null;
}

/** A required member. */
export function required(body: JsonObject, name: string, complain: Check, prefix = ""): Refusal | null {
  if ((body[name] ?? null) === null)
    return refusal(prefix + name, `\`${prefix}${name}\` is missing. Add it.`, "missing_required_parameter");
  return complain(body[name], prefix + name);
}

/** A list whose entries are objects that pass the check. */
export function objects(complain: (element: JsonObject, param: string) => Refusal | null): Check {
  return (value, param) => {
    if (!Array.isArray(value)) return invalid(param, "a list");
    return first(value as unknown[], (element, index) =>
      isObject(element) ? complain(element, `${param}[${index}]`) : invalid(`${param}[${index}]`, "an object"),
    );
  };
}
