/**
 * zod → a Kubernetes structural schema. Fails on anything without a structural form (unions, refinements, floats), on
 * what would be accepted and ignored (objects that strip), and on anything unbounded, because newer API servers refuse
 * CRDs whose CEL rules could run over unbounded input.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import { RE2JS } from "re2js";
import { z } from "zod";
import { celMatches } from "./cel.ts";
import type { CelRule } from "./types/scalars.ts";
import type { Words } from "./types/worded.ts";

/** The part of a CRD's `openAPIV3Schema` that we use, and what `published.ts` turns into rules. */
export interface Schema {
  type: "object" | "array" | "string" | "integer" | "boolean";
  description?: string;
  format?: string;
  enum?: string[];
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  words?: Words;
  unquoted?: true;
  regularExpression?: "Any" | "Texts";
  places?: readonly string[];
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  items?: Schema;
  maxProperties?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema;
  default?: unknown;
  "x-kubernetes-preserve-unknown-fields"?: true;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-validations"?: CelRule[];
}

export class NotStructuralError extends Error {
  override readonly name = "NotStructuralError";
}

/** Most members of a map whose schema sets no limit. */
const defaultMaxProperties = 64;

/** zod's bounds of a safe integer, which every z.int() carries. */
const unbounded = Number.MAX_SAFE_INTEGER;

type Meta = Pick<
  z.GlobalMeta,
  | "description"
  | "cel"
  | "words"
  | "unquoted"
  | "regularExpression"
  | "places"
  | "listType"
  | "listMapKeys"
  | "maxProperties"
> & {
  format?: string;
};
type Wrapper = z.ZodOptional | z.ZodDefault | z.ZodPrefault;

const isWrapper = (type: z.ZodType): type is Wrapper =>
  type instanceof z.ZodOptional || type instanceof z.ZodDefault || type instanceof z.ZodPrefault;

/** The type itself and its wrappers, outermost first. */
function layers(type: z.ZodType): z.ZodType[] {
  return isWrapper(type) ? [type, ...layers(type.unwrap() as z.ZodType)] : [type];
}

/** The outer layers' metadata wins. */
const metaOf = (chain: readonly z.ZodType[]): Meta =>
  Object.assign({}, ...chain.toReversed().map((layer) => z.globalRegistry.get(layer) ?? {})) as Meta;

export function structural(type: z.ZodType, path: string): Schema {
  const chain = layers(type);
  const inner = chain.at(-1) ?? type;
  const meta = metaOf(chain);
  if (!meta.description)
    throw new NotStructuralError(`${path}: needs a description, which is what kubectl explain shows`);
  if (inner.def.checks?.some((check) => check._zod.def.check === "custom"))
    throw new NotStructuralError(`${path}: state a refinement as a CEL rule`);
  const { ["x-kubernetes-validations"]: made = [], ...shape } = shapeOf(inner, meta, path);
  const rules = [...(meta.cel ?? []), ...made];
  // With everything inside filled in: the API server checks a default against the rules before it fills in others.
  const defaulting = chain.find((layer) => layer instanceof z.ZodDefault || layer instanceof z.ZodPrefault);
  return {
    description: meta.description,
    ...shape,
    ...(meta.format === undefined ? {} : { format: meta.format }),
    ...(defaulting === undefined ? {} : { default: defaulting.parse(undefined) }),
    ...(rules.length === 0 ? {} : { "x-kubernetes-validations": rules }),
  };
}

/**
 * Words that kubectl, which reads YAML 1.1, treats as booleans if they are not quoted. YAML writers quote True and
 * False.
 */
const booleans = /^(y|n|yes|no|on|off)$/i;

function words(names: string[], path: string): string[] {
  const taken = names.find((name) => booleans.test(name));
  if (taken !== undefined)
    throw new NotStructuralError(`${path}: kubectl reads ${taken} as a boolean; choose another word`);
  return names;
}

function shapeOf(inner: z.ZodType, meta: Meta, path: string): Schema {
  if (inner instanceof z.ZodString) return stringSchema(inner, meta, path);
  if (inner instanceof z.ZodNumber) return integerSchema(inner, path);
  if (inner instanceof z.ZodBoolean) return { type: "boolean" };
  if (inner instanceof z.ZodEnum) return { type: "string", enum: words(inner.options.map(String), path) };
  if (inner instanceof z.ZodArray) return arraySchema(inner, meta, path);
  if (inner instanceof z.ZodRecord) return mapSchema(inner, meta, path);
  if (inner instanceof z.ZodObject) return objectSchema(inner, path);
  throw new NotStructuralError(
    `${path}: ${inner.def.type} has no structural form; use optional siblings and a CEL rule`,
  );
}

/** The bounds as zod itself renders them; other metadata is handled elsewhere. */
const json = (type: z.ZodType): Record<string, unknown> =>
  z.toJSONSchema(type, { io: "input" }) as Record<string, unknown>;

function stringSchema(inner: z.ZodString, { words, unquoted, regularExpression, places }: Meta, path: string): Schema {
  const { minLength, maxLength, pattern, allOf } = json(inner) as Partial<Schema> & { allOf?: unknown };
  if (maxLength === undefined) throw new NotStructuralError(`${path}: a string needs a maximum length`);
  if (allOf !== undefined)
    throw new NotStructuralError(`${path}: a string can have one pattern; state the second as a CEL rule`);
  const length = {
    ...(minLength === undefined ? {} : { minLength }),
    maxLength,
    ...(regularExpression === undefined ? {} : { regularExpression }),
    ...(places === undefined ? {} : { places }),
  };
  if (pattern === undefined) return { type: "string", ...length };
  if (words === undefined)
    throw new NotStructuralError(`${path}: the pattern ${pattern} says nothing to people; state it by worded()`);
  assertRe2(pattern, path);
  for (const [when] of words.hints) {
    if (when.flags !== "")
      throw new NotStructuralError(`${path}: the pattern ${String(when)} has flags, which CEL has no place for`);
    assertRe2(when.source, path);
  }
  return { type: "string", ...length, pattern, words, ...(unquoted ? { unquoted } : {}) };
}

/** The API server's regular expressions are RE2's: no look-around, no back-references. */
function assertRe2(pattern: string, path: string): void {
  try {
    RE2JS.compile(pattern);
  } catch (cause) {
    throw new NotStructuralError(`${path}: the pattern ${pattern} is not one of RE2`, { cause });
  }
}

function integerSchema(inner: z.ZodNumber, path: string): Schema {
  const { type, minimum = -unbounded, maximum = unbounded } = json(inner) as Partial<Schema>;
  if (type !== "integer")
    throw new NotStructuralError(`${path}: floats differ between languages; use a decimal string`);
  if (minimum === -unbounded) throw new NotStructuralError(`${path}: an integer needs a minimum`);
  return { type: "integer", format: "int64", minimum, ...(maximum === unbounded ? {} : { maximum }) };
}

function arraySchema(inner: z.ZodArray, meta: Meta, path: string): Schema {
  const { minItems, maxItems } = json(inner) as Partial<Schema>;
  if (maxItems === undefined) throw new NotStructuralError(`${path}: a list needs a maximum length`);
  if (meta.listType === undefined)
    throw new NotStructuralError(`${path}: a list needs a listType, by which server-side apply merges`);
  return {
    type: "array",
    ...(minItems === undefined ? {} : { minItems }),
    maxItems,
    "x-kubernetes-list-type": meta.listType,
    ...(meta.listMapKeys === undefined ? {} : { "x-kubernetes-list-map-keys": meta.listMapKeys }),
    items: described(inner.element as z.ZodType, `${path}[]`),
  };
}

/** Schemas can't express a key's bounds and pattern, so they become rules. */
function mapSchema(inner: z.ZodRecord, meta: Meta, path: string): Schema {
  const key = inner.keyType as z.ZodType;
  const { maxLength, pattern } = json(key) as Partial<Schema>;
  if (maxLength === undefined) throw new NotStructuralError(`${path}: a map's keys need a maximum length`);
  const { words } = metaOf(layers(key));
  if (pattern !== undefined && words === undefined)
    throw new NotStructuralError(`${path}: the pattern ${pattern} says nothing to people; state it by worded()`);
  if (pattern !== undefined) assertRe2(pattern, path);
  const worded =
    pattern === undefined || words === undefined
      ? []
      : [{ rule: `self.all(key, ${celMatches("key", pattern)})`, message: `each key ${words.message}` }];
  return {
    type: "object",
    maxProperties: meta.maxProperties ?? defaultMaxProperties,
    additionalProperties: described(inner.valueType as z.ZodType, `${path}.*`),
    "x-kubernetes-validations": [
      { rule: `self.all(key, size(key) <= ${maxLength})`, message: `keys can have at most ${maxLength} characters` },
      ...worded,
    ],
  };
}

function objectSchema(inner: z.ZodObject, path: string): Schema {
  const loose = inner.def.catchall instanceof z.ZodUnknown;
  if (!loose && !(inner.def.catchall instanceof z.ZodNever))
    throw new NotStructuralError(`${path}: an object that strips unknown fields ignores what it accepts`);
  const members = Object.entries(inner.shape as Record<string, z.ZodType>);
  words(Object.keys(inner.shape), path);
  const required = members.filter(([, member]) => !isWrapper(member)).map(([name]) => name);
  return {
    type: "object",
    ...(members.length === 0
      ? {}
      : {
          properties: Object.fromEntries(
            members.map(([name, member]) => [name, structural(member, `${path}.${name}`)]),
          ),
        }),
    ...(required.length === 0 ? {} : { required }),
    ...(loose ? { "x-kubernetes-preserve-unknown-fields": true } : {}),
  };
}

/** Entries of a list or map may lack a description: the list has one. */
function described(type: z.ZodType, path: string): Schema {
  const meta = metaOf(layers(type));
  // Only a rule of the surrounding object can keep a value out of error responses.
  if (meta.unquoted) throw new NotStructuralError(`${path}: what is not to be quoted has to be a field of an object`);
  if (meta.description) return structural(type, path);
  const { description: _, ...schema } = structural(type.describe("entry"), path);
  return schema;
}
