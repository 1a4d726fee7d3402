/**
 * zod → a Kubernetes structural schema. Fails loudly on what has no structural form (unions) and on anything
 * unbounded, because newer API servers refuse CRDs whose CEL rules could run over unbounded input.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import { z } from "zod";
import { rulesOf, unwrap } from "./rules.ts";

export type Schema = { [key: string]: unknown };

export class NotStructuralError extends Error {
  override readonly name = "NotStructuralError";
}

/** Most members that a free-form map may have. */
const maxProperties = 64;

function stringSchema(inner: z.ZodType, path: string): Schema {
  const json = z.toJSONSchema(inner, { unrepresentable: "any", io: "input" }) as Schema;
  if (json["maxLength"] === undefined) throw new NotStructuralError(`${path}: a string needs a maximum length`);
  const { minLength, maxLength, pattern, allOf } = json as { minLength?: number; maxLength: number; pattern?: string; allOf?: { pattern?: string }[] };
  const form = pattern ?? allOf?.find((one) => one.pattern !== undefined)?.pattern;
  return { type: "string", ...(minLength === undefined ? {} : { minLength }), maxLength, ...(form === undefined ? {} : { pattern: form }) };
}

function integerSchema(inner: z.ZodType, path: string): Schema {
  const { minimum, maximum } = z.toJSONSchema(inner, { io: "input" }) as { minimum?: number; maximum?: number };
  if (minimum === undefined || minimum < -1e15) throw new NotStructuralError(`${path}: an integer needs a minimum`);
  return { type: "integer", format: "int64", minimum, ...(maximum === undefined || maximum > 1e15 ? {} : { maximum }) };
}

function arraySchema(inner: z.ZodArray, path: string): Schema {
  const json = z.toJSONSchema(inner, { unrepresentable: "any", io: "input" }) as { minItems?: number; maxItems?: number };
  if (json.maxItems === undefined) throw new NotStructuralError(`${path}: a list needs a maximum length`);
  return {
    type: "array",
    ...(json.minItems === undefined ? {} : { minItems: json.minItems }),
    maxItems: json.maxItems,
    items: structural(inner.element as z.ZodType, `${path}[]`),
  };
}

function objectSchema(inner: z.ZodObject, path: string): Schema {
  const members = Object.entries(inner.shape as Record<string, z.ZodType>);
  const loose = inner.def.catchall instanceof z.ZodUnknown;
  if (loose) return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const properties = Object.fromEntries(members.map(([name, member]) => [name, structural(member, `${path}.${name}`)]));
  const required = members.filter(([, member]) => !member.safeParse(undefined).success).map(([name]) => name);
  return { type: "object", properties, ...(required.length === 0 ? {} : { required }) };
}

function shapeOf(inner: z.ZodType, path: string): Schema {
  if (inner instanceof z.ZodString) return stringSchema(inner, path);
  if (inner instanceof z.ZodNumber) return integerSchema(inner, path);
  if (inner instanceof z.ZodBoolean) return { type: "boolean" };
  if (inner instanceof z.ZodEnum) return { type: "string", enum: inner.options };
  if (inner instanceof z.ZodArray) return arraySchema(inner, path);
  if (inner instanceof z.ZodRecord) {
    return { type: "object", maxProperties, additionalProperties: structural(inner.valueType as z.ZodType, `${path}.*`) };
  }
  if (inner instanceof z.ZodObject) return objectSchema(inner, path);
  throw new NotStructuralError(`${path}: ${inner.def.type} has no structural form; use optional siblings and a CEL rule`);
}

/** The nearest default: what the API server fills in. */
function defaultOf(type: z.ZodType): { value: unknown } | null {
  if (type instanceof z.ZodDefault || type instanceof z.ZodPrefault) return { value: type.def.defaultValue };
  return type instanceof z.ZodOptional ? defaultOf(type.unwrap() as z.ZodType) : null;
}

function metaOf(type: z.ZodType): { description?: string; format?: string; listType?: string; listMapKeys?: string[] } {
  const chain: z.ZodType[] = [type];
  for (let at = type; at instanceof z.ZodOptional || at instanceof z.ZodDefault || at instanceof z.ZodPrefault; ) {
    at = at.unwrap() as z.ZodType;
    chain.push(at);
  }
  return Object.assign({}, ...chain.reverse().map((one) => z.globalRegistry.get(one) ?? {})) as ReturnType<typeof metaOf>;
}

export function structural(type: z.ZodType, path: string): Schema {
  const meta = metaOf(type);
  const fallback = defaultOf(type);
  const rules = rulesOf(type);
  return {
    ...(meta.description === undefined ? {} : { description: meta.description }),
    ...shapeOf(unwrap(type), path),
    ...(meta.format === undefined ? {} : { format: meta.format }),
    ...(fallback === null ? {} : { default: fallback.value }),
    ...(meta.listType === undefined ? {} : { "x-kubernetes-list-type": meta.listType }),
    ...(meta.listMapKeys === undefined ? {} : { "x-kubernetes-list-map-keys": meta.listMapKeys }),
    ...(rules.length === 0 ? {} : { "x-kubernetes-validations": rules.map(({ rule, message }) => ({ rule, message })) }),
  };
}
