/**
 * A kind → JSON Schema, for editors and for validators without a cluster, such as kubeconform. In the CRD, patterns are
 * CEL rules with messages; here they are `pattern` again, because these tools know no CEL. Rules over several fields
 * are left to the API server and `sluice lint`. Pure.
 */
import type { KindDefinition } from "./kinds.ts";
import { type Schema, structural } from "./structural.ts";

type Json = Record<string, unknown>;

/** Keywords that mean the same in both. */
const same = ["type", "description", "enum", "minLength", "maxLength", "pattern", "minimum", "maximum"] as const;
const sameOfLists = ["minItems", "maxItems", "maxProperties", "default"] as const;

function picked(schema: Schema, names: readonly (keyof Schema)[]): Json {
  return Object.fromEntries(names.filter((name) => schema[name] !== undefined).map((name) => [name, schema[name]]));
}

/** kubectl refuses unknown fields, so they are mistakes here too. */
function members({ properties, required, ...schema }: Schema): Json {
  if (schema.additionalProperties !== undefined)
    return { additionalProperties: jsonSchema(schema.additionalProperties) };
  const closed = schema["x-kubernetes-preserve-unknown-fields"] !== true;
  return {
    properties: Object.fromEntries(
      Object.entries(properties ?? {}).map(([name, schema]) => [name, jsonSchema(schema)]),
    ),
    ...(required === undefined ? {} : { required }),
    ...(closed ? { additionalProperties: false } : {}),
  };
}

export function jsonSchema(schema: Schema): Json {
  const { words, format, items } = schema;
  return {
    ...picked(schema, same),
    ...picked(schema, sameOfLists),
    // yaml-language-server shows it in place of the pattern.
    ...(words === undefined ? {} : { patternErrorMessage: words.message }),
    ...(format === "date" || format === "date-time" ? { format } : {}),
    ...(items === undefined ? {} : { items: jsonSchema(items) }),
    ...(schema["x-kubernetes-list-type"] === "set" ? { uniqueItems: true } : {}),
    ...(schema.type === "object" ? members(schema) : {}),
  };
}

const draft = "http://json-schema.org/draft-07/schema#";

export function kindSchema(apiVersion: string, kind: KindDefinition): Json {
  return {
    $schema: draft,
    title: kind.kind,
    description: kind.description,
    type: "object",
    required: ["apiVersion", "kind", "metadata", "spec"],
    additionalProperties: false,
    properties: {
      apiVersion: { const: apiVersion },
      kind: { const: kind.kind },
      metadata: { type: "object", required: ["name"], properties: { name: { type: "string" } } },
      spec: jsonSchema(structural(kind.spec, `${kind.kind}.spec`)),
      status: { type: "object", description: "Written by the operator." },
    },
  };
}

/** For files with objects of several kinds. Other kinds pass. */
export const anyKindSchema = (files: Readonly<Record<string, string>>): Json => ({
  $schema: draft,
  title: "Sluice",
  description: "An object of any kind of Sluice.",
  allOf: Object.entries(files).map(([kind, file]) => ({
    if: { properties: { kind: { const: kind } }, required: ["kind"] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { $ref: file },
  })),
});
