/** zod's issues as messages that say how to fix them. Values are not repeated: one of them could be a secret. */
import type { z } from "zod";
import { nearest } from "./nearest.ts";
import type { Path } from "./rules.ts";
import type { Schema } from "./structural.ts";

export interface SpecProblem {
  /** Path within the object; begins with "spec". */
  path: Path;
  message: string;
  unknownField: boolean;
}

/** `spec.models[0].price`. */
export const dotted = (path: Path): string =>
  path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : text === "" ? step : `${text}.${step}`),
    "",
  );

/** Names of the fields that the schema has at a path. */
function fieldsAt(root: Schema, path: Path): string[] {
  let schema: Schema | undefined = root;
  for (const step of path)
    schema = typeof step === "number" ? schema?.items : (schema?.properties?.[step] ?? schema?.additionalProperties);
  return Object.keys(schema?.properties ?? {});
}

export function unknownField(path: Path, known: readonly string[]): SpecProblem {
  const meant = nearest(String(path.at(-1)), known);
  const advice = meant === null ? "" : `; did you mean ${meant}?`;
  return { path, message: `unknown field ${dotted(path)}${advice}`, unknownField: true };
}

function kindOfValue(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return Number.isInteger(value) ? "a number" : "a number with a fraction";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

const kindOfType: Readonly<Record<string, string>> = {
  object: "an object",
  record: "an object",
  array: "a list",
  string: "a string",
  int: "a whole number",
  number: "a whole number",
  boolean: "true or false",
};

const units: Readonly<Record<string, string>> = { string: " characters", array: " entries" };

/** Texts that would be valid without quotes. */
const bare: Readonly<Record<string, RegExp>> = { int: /^-?[0-9]+$/, number: /^-?[0-9]+$/, boolean: /^(true|false)$/ };

/** The expected zod type, as far as it is known. */
interface Expected {
  shape?: object;
  element?: { shape?: object };
}

/** How to turn a value of one type into another, if that is clear. */
function advice(expected: string, input: unknown, { shape = {}, element }: Expected): string {
  const isScalar = ["string", "number", "boolean"].includes(typeof input);
  if (expected === "array" && isScalar) return "; put it in [ ]";
  if (expected === "array" && input !== null && element?.shape) return "; put a - before its first field";
  if (expected === "string" && isScalar) return "; put it in quotes";
  if (expected === "object" && typeof input === "string" && Object.hasOwn(shape, "name"))
    return "; write name: and the name below it";
  return typeof input === "string" && bare[expected]?.test(input) ? "; write it without quotes" : "";
}

function wrongType(expected: string, input: unknown, type: Expected = {}): string {
  if (input === undefined) return "is required";
  return `must be ${kindOfType[expected] ?? expected}, but is ${kindOfValue(input)}${advice(expected, input, type)}`;
}

function wrongValue(values: readonly unknown[], input: unknown): string {
  if (input === undefined) return "is required";
  const names = values.map(String);
  const meant = typeof input === "string" ? nearest(input, names) : null;
  return `must be ${names.length === 1 ? "" : "one of "}${names.join(", ")}${meant === null ? "" : `; did you mean ${meant}?`}`;
}

function tooSmall(origin: string, minimum: number | bigint): string {
  if (minimum === 1 && origin in units) return "must not be empty";
  return `must be at least ${minimum}${units[origin] ?? ""}${origin in units ? " long" : ""}`;
}

/** Passed to zod for each issue; a schema's own messages take precedence. */
export function wording(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return wrongType(issue.expected, issue.input, issue.inst as Expected | undefined);
    case "invalid_value":
      return wrongValue(issue.values, issue.input);
    case "too_small":
      return tooSmall(issue.origin, issue.minimum);
    case "too_big":
      return `must be at most ${issue.maximum}${units[issue.origin] ?? ""}${issue.origin in units ? " long" : ""}`;
    case "invalid_format":
      return `must match ${String((issue as { pattern?: string }).pattern)}`;
    case "invalid_key":
      return `is a key that is not allowed: it ${(issue.issues ?? []).map((issue) => issue.message).join(", ")}`;
    default:
      return undefined;
  }
}

/** One problem for each field: an empty string that also fails its pattern is reported once. */
export function explainIssues(schema: Schema, issues: readonly z.core.$ZodIssue[]): SpecProblem[] {
  const problems = new Map<string, SpecProblem>();
  const keep = (problem: SpecProblem): void => {
    const place = dotted(problem.path);
    if (!problems.has(place)) problems.set(place, problem);
  };
  for (const issue of issues) {
    const within = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
    const path = ["spec", ...within];
    if (issue.code !== "unrecognized_keys")
      keep({ path, message: `${dotted(path)} ${issue.message}`, unknownField: false });
    else for (const key of issue.keys) keep(unknownField([...path, key], fieldsAt(schema, within)));
  }
  return [...problems.values()];
}
