import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { reduceSchema } from "../../../proxy/providers/gemini/schema.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc from "../../harness/property.ts";

const reduced: Record<string, [JsonObject, JsonObject]> = {
  "an object, without what the subset lacks": [
    {
      $schema: "x",
      type: "object",
      additionalProperties: false,
      description: "A day.",
      properties: { on: { type: "string", format: "date-time" }, url: { type: "string", format: "uri", minLength: 1 } },
      required: ["on", "gone"],
    },
    {
      type: "OBJECT",
      description: "A day.",
      properties: { on: { type: "STRING", format: "date-time" }, url: { type: "STRING", minLength: 1 } },
      required: ["on"],
    },
  ],
  "references, with their siblings": [
    {
      type: "object",
      properties: { a: { $ref: "#/$defs/n~1m", description: "An A." } },
      $defs: { "n/m": { type: "integer", format: "int32" } },
    },
    { type: "OBJECT", properties: { a: { type: "INTEGER", format: "int32", description: "An A." } } },
  ],
  "a reference used twice, which is no recursion": [
    {
      type: "object",
      properties: { a: { $ref: "#/$defs/x" }, b: { $ref: "#/$defs/x" } },
      $defs: { x: { type: "boolean" } },
    },
    { type: "OBJECT", properties: { a: { type: "BOOLEAN" }, b: { type: "BOOLEAN" } } },
  ],
  "a type or null": [{ type: ["string", "null"] }, { type: "STRING", nullable: true }],
  "several types": [
    { type: ["string", "integer", "null"] },
    { anyOf: [{ type: "STRING" }, { type: "INTEGER" }], nullable: true },
  ],
  "anyOf with null": [
    { anyOf: [{ type: "number" }, { type: "null" }], description: "N." },
    { type: "NUMBER", nullable: true, description: "N." },
  ],
  oneOf: [
    { oneOf: [{ type: "number" }, { const: "x" }] },
    { anyOf: [{ type: "NUMBER" }, { type: "STRING", enum: ["x"] }] },
  ],
  "only null": [{ anyOf: [{ type: "null" }] }, { type: "NULL" }],
  "enums of texts": [{ enum: ["a", "b", null] }, { type: "STRING", enum: ["a", "b"], nullable: true }],
  "enums of numbers": [
    { type: "integer", enum: [1, 2], description: "Side." },
    { type: "INTEGER", description: "Side. One of: 1, 2." },
  ],
  "a constant": [{ const: 3 }, { type: "NUMBER", description: "One of: 3." }],
  "arrays without items": [
    { type: "array", minItems: 1 },
    { type: "ARRAY", items: { type: "STRING" }, minItems: 1 },
  ],
  tuples: [
    { prefixItems: [{ type: "string" }, { type: "integer" }] },
    { type: "ARRAY", items: { anyOf: [{ type: "STRING" }, { type: "INTEGER" }] } },
  ],
  "allOf, with shared properties": [
    {
      allOf: [
        { $ref: "#/$defs/base" },
        { type: "object", properties: { id: { maxLength: 5 }, name: { type: "string" } }, required: ["name"] },
      ],
      $defs: { base: { type: "object", properties: { id: { type: "string", minLength: 1 } }, required: ["id"] } },
    },
    {
      type: "OBJECT",
      properties: { id: { type: "STRING", minLength: 1, maxLength: 5 }, name: { type: "STRING" } },
      required: ["id", "name"],
    },
  ],
  anything: [{}, { type: "STRING" }],
};

const doubling: JsonObject = {
  $ref: "#/$defs/l0",
  $defs: Object.fromEntries(
    Array.from({ length: 25 }, (_, at) => [
      `l${at}`,
      { type: "object", properties: { a: { $ref: `#/$defs/l${at + 1}` }, b: { $ref: `#/$defs/l${at + 1}` } } },
    ]),
  ),
};
const refused: Record<string, [JsonObject, RegExp]> = {
  "a list of itself": [{ type: "object", properties: { next: { $ref: "#" } } }, /refers to itself/],
  "a loop of references": [
    { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } },
    /refers to itself/,
  ],
  "a loop through allOf": [
    { allOf: [{ $ref: "#/$defs/a" }], $defs: { a: { properties: { x: { allOf: [{ $ref: "#/$defs/a" }] } } } } },
    /refers to itself/,
  ],
  "a reference to nothing": [{ $ref: "#/$defs/none" }, /isn't in it/],
  "a reference to what every object inherits": [{ $ref: "#/constructor" }, /isn't in it/],
  "a reference elsewhere": [{ $ref: "https://example.com/s.json" }, /isn't in it/],
  "one that doubles at each step": [doubling, /too deep or too large/],
};

describe("reducing a JSON Schema for Gemini's older models", () => {
  for (const [name, [given, expected]] of Object.entries(reduced)) {
    test(`takes ${name}`, () => assert.deepEqual(reduceSchema(given, "p"), expected));
  }

  for (const [name, [given, words]] of Object.entries(refused)) {
    test(`refuses ${name}`, () => {
      const made = reduceSchema(given, "p");
      assert.ok(isRefusal(made));
      assert.match(String(made["message"]), words);
      assert.equal(made["param"], "p");
    });
  }

  test("never throws, whatever the schema", () => {
    const key = fc.constantFrom(
      "type",
      "properties",
      "items",
      "anyOf",
      "allOf",
      "oneOf",
      "$ref",
      "enum",
      "const",
      "required",
      "$defs",
      "a",
    );
    const leaf = fc.constantFrom<unknown>(
      "string",
      "object",
      "array",
      "null",
      "#",
      "#/$defs/a",
      "#/properties/a",
      true,
      1,
      null,
      ["string", "null"],
    );
    const schema = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 5 }, leaf, tie("object"), fc.array(tie("any"), { maxLength: 3 })),
      object: fc.dictionary(key, tie("any"), { maxKeys: 4 }),
    })).object as fc.Arbitrary<JsonObject>;
    fc.assert(fc.property(schema, (given) => typeof JSON.stringify(reduceSchema(given, "p")) === "string"));
  });
});
