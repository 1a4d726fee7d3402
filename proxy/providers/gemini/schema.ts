/**
 * JSON Schema → the subset of OpenAPI 3.0 that `parameters` and `responseSchema` accept
 * (https://ai.google.dev/api/caching#Schema). What the subset can't express is dropped, unless there is an equivalent.
 * A recursive schema can't be expressed at all.
 */

import { type Refusal, refusal } from "../../dialects/canonical.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";

/** References are expanded, so a small schema can become a large one. */
const limits = { depth: 32, nodes: 5_000 };

const plainKeys = [
  "title",
  "description",
  "default",
  "example",
  "nullable",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "pattern",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
  "propertyOrdering",
];
const formats: Readonly<Record<string, readonly string[]>> = {
  string: ["enum", "date-time"],
  number: ["float", "double"],
  integer: ["int32", "int64"],
};

class Unfit extends Error {
  override readonly name = "Unfit";
}

interface Place {
  /** References on the path to this schema. */
  refs: readonly string[];
  depth: number;
}

class Reducer {
  readonly #root: JsonObject;
  #nodes = 0;

  constructor(root: JsonObject) {
    this.#root = root;
  }

  reduce(given: unknown, place: Place): JsonObject {
    this.#nodes += 1;
    if (place.depth > limits.depth || this.#nodes > limits.nodes) throw new Unfit("is too deep or too large");
    // `true` and `{}` accept any value, which the subset can't express.
    if (!isObject(given)) return { type: "STRING" };
    if (typeof given["$ref"] === "string") return this.#follow(given, given["$ref"], place);
    if (Array.isArray(given["allOf"])) return this.#all(given, given["allOf"] as unknown[], place);
    const options = given["anyOf"] ?? given["oneOf"];
    if (Array.isArray(options)) return this.#any(given, options as unknown[], place);
    if (Array.isArray(given["type"])) return this.#types(given, given["type"] as unknown[], place);
    return this.#typed(given, place);
  }

  #below(place: Place): Place {
    return { refs: place.refs, depth: place.depth + 1 };
  }

  #follow(given: JsonObject, ref: string, place: Place): JsonObject {
    if (place.refs.includes(ref)) throw new Unfit(`refers to itself at ${ref}, which Gemini's older schemas can't`);
    const { $ref: _ref, ...siblings } = given;
    const target = this.#target(ref);
    return this.reduce(isObject(target) ? { ...target, ...siblings } : target, {
      refs: [...place.refs, ref],
      depth: place.depth + 1,
    });
  }

  #target(ref: string): unknown {
    const steps = ref.startsWith("#") ? ref.split("/").slice(1) : null;
    let value: unknown = this.#root;
    for (const step of steps ?? []) {
      const name = pointerStep(step);
      const held: unknown =
        (isObject(value) || Array.isArray(value)) && Object.hasOwn(value, name)
          ? (value as JsonObject)[name]
          : undefined;
      value = held;
    }
    if (steps === null || value === undefined) throw new Unfit(`refers to ${ref}, which isn't in it`);
    return value;
  }

  #all(given: JsonObject, parts: unknown[], place: Place): JsonObject {
    const { allOf: _parts, ...siblings } = given;
    const merged = parts.map((part) => this.#unreferenced(part, this.#below(place))).reduce<JsonObject>(merge, {});
    return this.reduce(merge(merged, siblings), {
      refs: [...place.refs, ...this.#refsOf(parts)],
      depth: place.depth + 1,
    });
  }

  /** A part of allOf with its own reference resolved but not yet reduced. Parts are merged first. */
  #unreferenced(part: unknown, place: Place): JsonObject {
    if (!isObject(part)) return {};
    const ref = part["$ref"];
    if (typeof ref !== "string") return part;
    if (place.refs.includes(ref)) throw new Unfit(`refers to itself at ${ref}, which Gemini's older schemas can't`);
    if (place.depth > limits.depth) throw new Unfit("is too deep or too large");
    const { $ref: _ref, ...siblings } = part;
    return merge(
      this.#unreferenced(this.#target(ref), { refs: [...place.refs, ref], depth: place.depth + 1 }),
      siblings,
    );
  }

  #refsOf(parts: unknown[]): string[] {
    return parts.filter(isObject).flatMap((part) => (typeof part["$ref"] === "string" ? [part["$ref"]] : []));
  }

  #any(given: JsonObject, options: unknown[], place: Place): JsonObject {
    const { anyOf: _any, oneOf: _one, ...siblings } = given;
    const real = options.filter((option) => !(isObject(option) && option["type"] === "null"));
    const nullable = real.length < options.length ? { nullable: true } : {};
    if (real.length === 1 && isObject(real[0]))
      return this.reduce({ ...siblings, ...real[0], ...described(siblings), ...nullable }, this.#below(place));
    if (real.length === 0) return { type: "NULL", ...described(siblings) };
    // Gemini refuses other constraints next to anyOf.
    return {
      ...described(siblings),
      anyOf: real.map((option) => this.reduce(option, this.#below(place))),
      ...nullable,
    };
  }

  #types(given: JsonObject, types: unknown[], place: Place): JsonObject {
    const real = types.filter((type) => type !== "null");
    const nullable = real.length < types.length ? { nullable: true } : {};
    if (real.length < 2) return this.reduce({ ...given, type: real[0] ?? "string", ...nullable }, this.#below(place));
    return {
      ...described(given),
      anyOf: real.map((type) => this.reduce({ ...given, type }, this.#below(place))),
      ...nullable,
    };
  }

  #typed(given: JsonObject, place: Place): JsonObject {
    const type = typeOf(given);
    const out: JsonObject = { type: type.toUpperCase(), ...kept(given) };
    Object.assign(out, choices(given, type, out["description"]));
    const format = given["format"];
    if (typeof format === "string" && formats[type]?.includes(format)) out["format"] = format;
    if (type === "array") out["items"] = this.#items(given, place);
    if (type === "object" && isObject(given["properties"]))
      Object.assign(out, this.#members(given, given["properties"], place));
    return out;
  }

  /** Required for arrays. The items of a tuple become alternatives. */
  #items(given: JsonObject, place: Place): JsonObject {
    const tuple = given["prefixItems"] ?? given["items"];
    return this.reduce(Array.isArray(tuple) ? { anyOf: tuple } : given["items"], this.#below(place));
  }

  #members(given: JsonObject, properties: JsonObject, place: Place): JsonObject {
    const below = Object.entries(properties).map(
      ([name, schema]) => [name, this.reduce(schema, this.#below(place))] as const,
    );
    const required = Array.isArray(given["required"])
      ? given["required"].filter((name) => typeof name === "string" && Object.hasOwn(properties, name))
      : [];
    return { properties: Object.fromEntries(below), ...(required.length > 0 ? { required } : {}) };
  }
}

/** JSON pointer in a URI fragment (RFC 6901, section 6). */
function pointerStep(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return step;
  }
}

function kept(given: JsonObject): JsonObject {
  return Object.fromEntries(plainKeys.filter((key) => given[key] !== undefined).map((key) => [key, given[key]]));
}

function described(given: JsonObject): JsonObject {
  return given["description"] === undefined ? {} : { description: given["description"] };
}

const knownTypes: ReadonlySet<unknown> = new Set(["string", "number", "integer", "boolean", "array", "object", "null"]);

function typeOf(given: JsonObject): string {
  if (knownTypes.has(given["type"])) return given["type"] as string;
  if (isObject(given["properties"])) return "object";
  if (given["items"] !== undefined || given["prefixItems"] !== undefined) return "array";
  const values = Array.isArray(given["enum"]) ? given["enum"] : [given["const"]];
  return values.every((value) => typeof value === "number") ? "number" : "string";
}

/** `enum` holds only strings. Other values go into the description. */
function choices(given: JsonObject, type: string, description: unknown): JsonObject {
  const values: unknown[] | null = Array.isArray(given["enum"])
    ? given["enum"]
    : given["const"] === undefined
      ? null
      : [given["const"]];
  if (values === null) return {};
  const real = values.filter((value) => value !== null);
  const nullable = real.length < values.length ? { nullable: true } : {};
  if (type === "string" && real.every((value) => typeof value === "string")) return { enum: real, ...nullable };
  const hint = `One of: ${real.map((value) => JSON.stringify(value)).join(", ")}.`;
  return { description: typeof description === "string" ? `${description} ${hint}` : hint, ...nullable };
}

function merge(left: JsonObject, right: JsonObject): JsonObject {
  const out: JsonObject = { ...left, ...right };
  if (isObject(left["properties"]) && isObject(right["properties"]))
    out["properties"] = mergeProperties(left["properties"], right["properties"]);
  if (Array.isArray(left["required"]) && Array.isArray(right["required"]))
    out["required"] = [...new Set([...left["required"], ...right["required"]])];
  if (Array.isArray(left["allOf"]) && Array.isArray(right["allOf"]))
    out["allOf"] = [...left["allOf"], ...right["allOf"]];
  return out;
}

/** A property that both have must satisfy both. */
function mergeProperties(left: JsonObject, right: JsonObject): JsonObject {
  const shared = Object.keys(right).filter((name) => Object.hasOwn(left, name));
  return {
    ...left,
    ...right,
    ...Object.fromEntries(shared.map((name) => [name, { allOf: [left[name], right[name]] }])),
  };
}

/** `param` is the caller's parameter that holds the schema. */
export function reduceSchema(schema: JsonObject, param: string): JsonObject | Refusal {
  try {
    return new Reducer(schema).reduce(schema, { refs: [], depth: 0 });
  } catch (cause) {
    if (!(cause instanceof Unfit)) throw cause;
    return refusal(param, `The schema in \`${param}\` ${cause.message}. Simplify it.`);
  }
}
