import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { parse } from "yaml";
import { z } from "zod";
import { kinds } from "../../crds/kinds.ts";
import { capabilitiesFile, inOrder, providerTypesFile, registryFile } from "../../crds/provider-files.ts";
import { providersPage } from "../../crds/providers-page.ts";
import { published } from "../../crds/published.ts";
import { NotStructuralError, type Schema, structural } from "../../crds/structural.ts";
import { secretName } from "../../crds/types/scalars.ts";
import { worded } from "../../crds/types/worded.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";

const root = join(import.meta.dirname, "../..");

it("no generated file is stale", async () => {
  const { stderr } = await promisify(execFile)(process.execPath, ["crds/generate.ts", "--check"], { cwd: root });
  assert.equal(stderr, "");
});

describe("the generator refuses", () => {
  const rows: Record<string, [z.ZodType, RegExp]> = {
    "a union": [z.union([z.string().max(9), z.boolean()]), /union has no structural form/],
    "a nullable field": [z.boolean().nullable(), /nullable has no structural form/],
    "a transformed value": [z.string().max(9).transform(Number), /pipe has no structural form/],
    "a refinement, which the API server would not know": [
      z
        .string()
        .max(9)
        .refine((text) => text !== "x"),
      /as a CEL rule/,
    ],
    "a string without a maximum": [z.string(), /a string needs a maximum length/],
    "a string with two patterns": [z.string().max(9).regex(/a/).regex(/b/), /one pattern/],
    "a pattern that RE2 lacks": [worded(z.string().max(9), /^(?=a)/, "must be a"), /is not one of RE2/],
    "a hint that RE2 lacks": [
      worded(z.string().max(9), /^a/, "must be a", [[/^(?!a)/, "must begin with a"]]),
      /is not one of RE2/,
    ],
    "a hint whose flags the API server would not know": [
      worded(z.string().max(9), /^a/, "must be a", [[/^b/i, "must be a, not b"]]),
      /has flags/,
    ],
    "a list of what is not to be quoted": [
      z.array(secretName).max(3).meta({ listType: "set" }),
      /has to be a field of an object/,
    ],
    "a pattern without words": [z.string().max(9).regex(/^a/), /says nothing to people; state it by worded\(\)/],
    "a list without a maximum": [z.array(z.boolean()).meta({ listType: "atomic" }), /a list needs a maximum length/],
    "a list that nobody can merge": [z.array(z.boolean()).max(3), /a list needs a listType/],
    "a list of unbounded strings": [
      z.array(z.string()).max(3).meta({ listType: "set" }),
      /field\[\]: a string needs a maximum length/,
    ],
    "a map with unbounded keys": [z.record(z.string(), z.boolean()), /keys need a maximum length/],
    "a map of unbounded strings": [
      z.record(z.string().max(9), z.string()),
      /field\.\*: a string needs a maximum length/,
    ],
    "a float": [z.number().min(0).max(1), /floats differ/],
    "an integer without a minimum": [z.int().max(3), /an integer needs a minimum/],
    "an object that strips what it doesn't know": [z.object({}), /ignores what it accepts/],
    "a field that kubectl reads as a boolean": [
      z.strictObject({ on: z.boolean().describe("On.") }),
      /kubectl reads on as a boolean/,
    ],
    "a word that kubectl reads as a boolean": [z.enum(["Off", "Idle"]), /kubectl reads Off as a boolean/],
    "anything at all": [z.any(), /any has no structural form/],
  };
  for (const [name, [type, message]] of Object.entries(rows)) {
    it(name, () => {
      assert.throws(
        () => structural(z.strictObject({ field: type.describe("A field.") }).describe("All."), "spec"),
        (error: unknown) =>
          error instanceof NotStructuralError && message.test(error.message) && error.message.startsWith("spec.field"),
      );
    });
  }

  it("a field without a description, since kubectl explain would show nothing", () => {
    assert.throws(
      () => structural(z.strictObject({ field: z.boolean() }).describe("All."), "spec"),
      /spec\.field: needs a description/,
    );
  });
});

/** Paths of all defaults, `[]` for what is within a list. */
function defaultsIn(schema: Schema, path: string): string[] {
  const members = Object.entries(schema.properties ?? {});
  return [
    ...(schema.default === undefined ? [] : [path]),
    ...members.flatMap(([name, member]) => defaultsIn(member, `${path}.${name}`)),
    ...(schema.items ? defaultsIn(schema.items, `${path}[]`) : []),
    ...(schema.additionalProperties ? defaultsIn(schema.additionalProperties, `${path}.*`) : []),
  ];
}

describe("a default", () => {
  for (const { kind, spec, status } of Object.values(kinds))
    it(`within a list is filled in by the compiler, never by the API server, which would make a diff: ${kind}`, () => {
      const [inSource, inCrd] = [structural(spec, "spec"), published(structural(spec, "spec"))];
      const within = (path: string): boolean => path.includes("[]") || path.includes(".*");
      assert.deepEqual(defaultsIn(inCrd, "spec").filter(within), []);
      assert.deepEqual(
        defaultsIn(inCrd, "spec"),
        defaultsIn(inSource, "spec").filter((path) => !within(path)),
      );
      assert.deepEqual(defaultsIn(published(structural(status, "status")), "status"), []);
    });

  it("within a list is stated in the description, for kubectl explain", () => {
    const targets = published(structural(kinds.RoutingPolicy.spec, "spec")).properties?.["routing"]?.properties?.[
      "targets"
    ];
    assert.match(targets?.items?.properties?.["weight"]?.description ?? "", / Default: 1\.$/);
  });
});

describe("a structural schema", () => {
  it("carries bounds, defaults, rules and kinds of lists, and nothing else", () => {
    const rule = { rule: "has(self.names)", message: "name names" };
    const type = z
      .strictObject({
        names: z.array(z.string().min(1).max(9)).max(3).meta({ listType: "set" }).optional().describe("Names."),
        inner: z
          .strictObject({ count: z.int().min(1).max(5).default(2).describe("Count.") })
          .prefault({})
          .describe("Inner."),
        labels: z
          .record(z.string().max(63), z.string().max(9))
          .optional()
          .meta({ maxProperties: 8 })
          .describe("Labels."),
        free: z.looseObject({}).optional().describe("Free."),
      })
      .meta({ cel: [rule] })
      .describe("All.");
    assert.deepEqual(structural(type, "spec"), {
      description: "All.",
      type: "object",
      properties: {
        names: {
          description: "Names.",
          type: "array",
          maxItems: 3,
          "x-kubernetes-list-type": "set",
          items: { type: "string", minLength: 1, maxLength: 9 },
        },
        inner: {
          description: "Inner.",
          type: "object",
          properties: {
            count: { description: "Count.", type: "integer", format: "int64", minimum: 1, maximum: 5, default: 2 },
          },
          default: { count: 2 },
        },
        labels: {
          description: "Labels.",
          type: "object",
          maxProperties: 8,
          additionalProperties: { type: "string", maxLength: 9 },
          "x-kubernetes-validations": [
            { rule: "self.all(key, size(key) <= 63)", message: "keys can have at most 63 characters" },
          ],
        },
        free: { description: "Free.", type: "object", "x-kubernetes-preserve-unknown-fields": true },
      },
      "x-kubernetes-validations": [rule],
    });
  });
});

describe("the chart's CRDs", () => {
  for (const { plural } of Object.values(kinds)) {
    it(`for ${plural} are those of crds/, with metadata of the chart, and without template syntax of their own`, async () => {
      const template = await readFile(join(root, `charts/sluice/templates/crds/${plural}.yaml`), "utf8");
      const [first, ...rest] = template.trimEnd().split("\n");
      assert.equal(first, "{{- if .Values.crds.install }}");
      assert.equal(rest.pop(), "{{- end }}");
      const metadataOfChart = [
        '  {{- with include "sluice.crdMetadata" . | trim }}',
        "  {{- . | nindent 2 }}",
        "  {{- end }}",
      ].join("\n");
      const [before = "", behind, ...others] = rest.join("\n").split(`${metadataOfChart}\n`);
      assert.ok(behind !== undefined && others.length === 0);
      const escaped = before + behind;
      const rendered = escaped.replaceAll('{{ "{{" }}', "{{");
      assert.equal(
        rendered.match(/\{\{/g)?.length ?? 0,
        escaped.split('{{ "{{" }}').length - 1,
        "an unescaped {{ is left",
      );
      assert.deepEqual(parse(rendered), parse(await readFile(join(root, `crds/${plural}.yaml`), "utf8")));
    });
  }
});

describe("what is made from the provider folders", () => {
  const capabilities = (type: string, more: Partial<Capabilities> = {}): Capabilities => ({
    type,
    title: `${type}'s title`,
    defaultEndpoint: null,
    passthrough: [],
    translated: ["openai.chat"],
    options: {},
    credentials: [],
    credentialsRequired: false,
    parameters: {},
    resources: false,
    pricesFrom: null,
    ...more,
  });
  const two = () =>
    inOrder([
      { folder: "zeta-9b", capabilities: capabilities("Zeta") },
      { folder: "alpha", capabilities: capabilities("Alpha") },
    ]);

  it("is in order of type, whatever order the folders are read in", () => {
    assert.match(providerTypesFile(two()), /\["Alpha", "Zeta"\] as const/);
  });
  it("imports each folder under a name that JavaScript takes", () => {
    assert.match(registryFile(two()), /import \{ provider as zeta9b \} from "\.\/zeta-9b\/index\.ts";/);
    assert.match(
      capabilitiesFile(two()),
      /import \{ capabilities as zeta9b \} from "\.\.\/providers\/zeta-9b\/capabilities\.ts";/,
    );
    assert.match(registryFile(two()), / {2}Alpha: alpha,\n {2}Zeta: zeta9b,\n/);
  });
  it("refuses two folders of one type", () => {
    const twice = [
      { folder: "a", capabilities: capabilities("Same") },
      { folder: "b", capabilities: capabilities("Same") },
    ];
    assert.throws(() => inOrder(twice), /declares type Same, which another folder has/);
  });
  it("says on the providers' page how each parameter fares with each provider", () => {
    const page = providersPage([
      capabilities("Alpha", { parameters: { seed: "refused", top_k: "mapped" } }),
      capabilities("Zeta", { passthrough: ["openai.chat"], parameters: { seed: "native" } }),
    ]);
    assert.match(page, /\| parameter \| Alpha \| Zeta \|/);
    assert.match(page, /\| `seed` \| refused \| native \|/);
    assert.match(page, /\| `top_k` \| mapped \| native \|/);
  });
});
