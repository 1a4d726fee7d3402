/**
 * The API server's checks in addition to zod's, evaluated offline, so that `lint` refuses what `kubectl apply` refuses:
 * the CEL rules, each defined once, in the schema's metadata; list entries that must differ; and sizes of maps. Like
 * the API server, it treats a null field as absent.
 */
import { Environment } from "@marcbachmann/cel-js";
import type { Schema } from "./structural.ts";
import type { CelRule } from "./types/scalars.ts";

export type Path = (string | number)[];

export interface Violation {
  path: Path;
  message: string;
}

/**
 * Kubernetes adds libraries to CEL (isURL, quantity and others): our rules use none, so none has to be imitated here.
 */
const environment = new Environment({ unlistedVariablesAreDyn: true });

const compiled = new Map<string, (context: { self: unknown }) => unknown>();

function compile(rule: string): (context: { self: unknown }) => unknown {
  const known = compiled.get(rule);
  if (known) return known;
  const fresh = environment.parse(rule);
  compiled.set(rule, fresh);
  return fresh;
}

/** CEL distinguishes integers and floats; every number of our schemas is an integer. */
function toCel(value: unknown): unknown {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map(toCel);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toCel(member)]));
}

/** A rule that can't be evaluated counts as violated, as in the API server. */
function holds({ rule }: CelRule, self: unknown): boolean {
  try {
    return compile(rule)({ self }) === true;
  } catch {
    return false;
  }
}

function brokenRules(schema: Schema, value: unknown): string[] {
  const rules = schema["x-kubernetes-validations"];
  if (rules === undefined) return [];
  const self = toCel(value);
  return rules.filter((rule) => !holds(rule, self)).map((rule) => rule.message);
}

/** The key of a list entry: in a set, the entry itself; in a map, the members that identify it. */
function identity(schema: Schema, entry: unknown): string {
  const keys = schema["x-kubernetes-list-map-keys"];
  return JSON.stringify(keys === undefined ? entry : keys.map((key) => (entry as Record<string, unknown>)[key]));
}

function duplicates(schema: Schema, list: readonly unknown[], path: Path): Violation[] {
  const listType = schema["x-kubernetes-list-type"];
  if (listType !== "set" && listType !== "map") return [];
  const seen = new Set<string>();
  const violations: Violation[] = [];
  for (const [index, entry] of list.entries()) {
    const id = identity(schema, entry);
    if (seen.has(id))
      violations.push({
        path: [...path, index],
        message: `is in the list twice: ${id.replace(/^\[(.*)\]$/, "$1")}; remove one`,
      });
    seen.add(id);
  }
  return violations;
}

function objectViolations(schema: Schema, value: Record<string, unknown>, path: Path): Violation[] {
  const { maxProperties, properties = {}, additionalProperties } = schema;
  const entries = Object.entries(value);
  const broken = entries.flatMap(([name, member]) => {
    const below = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    return below === undefined ? [] : violations(below, member, [...path, name]);
  });
  if (maxProperties === undefined || entries.length <= maxProperties) return broken;
  return [{ path, message: `can have at most ${maxProperties} entries` }, ...broken];
}

/** All problems of `value`, which has its zod type and its defaults. */
export function violations(schema: Schema, value: unknown, path: Path): Violation[] {
  if (value === undefined) return [];
  const own = brokenRules(schema, value).map((message) => ({ path, message }));
  if (schema.type === "object") return [...own, ...objectViolations(schema, value as Record<string, unknown>, path)];
  if (schema.type !== "array") return own;
  const list = value as unknown[];
  const { items } = schema;
  const below = items === undefined ? [] : list.flatMap((entry, index) => violations(items, entry, [...path, index]));
  return [...own, ...duplicates(schema, list, path), ...below];
}

/** A copy without null fields: the API server drops them before it fills in defaults. */
export function withoutNulls(schema: Schema, value: unknown): unknown {
  const { items, properties = {}, additionalProperties } = schema;
  if (Array.isArray(value)) return items === undefined ? value : value.map((entry) => withoutNulls(items, entry));
  if (value === null || typeof value !== "object") return value;
  const members = Object.entries(value).flatMap(([name, member]): [string, unknown][] => {
    const below = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (below === undefined) return [[name, member]];
    return member === null ? [] : [[name, withoutNulls(below, member)]];
  });
  return Object.fromEntries(members);
}
