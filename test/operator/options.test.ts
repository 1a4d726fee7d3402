/** Options of provider types: messages for wrong values. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { compileFolder } from "../../operator/folder/compile-folder.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { optionForm, optionWords } from "../../proxy/config/option-form.ts";

const patterned = Object.values(capabilitiesByType).flatMap(({ type, options }) =>
  Object.entries(options).flatMap(([name, option]) =>
    option.pattern === undefined ? [] : [{ what: `${type}'s ${name}`, option, pattern: option.pattern }],
  ),
);

describe("an option with a pattern", () => {
  for (const { what, option, pattern } of patterned) {
    it(`has words for it, and an example that it takes: ${what}`, () => {
      if (optionWords(option) !== null) return;
      const [, example] = /such as (\S+)( or \S+)?$/.exec(option.form ?? "") ?? [];
      assert.ok(option.form !== undefined && !option.form.startsWith("must"));
      if (example !== undefined) assert.match(example, new RegExp(pattern));
    });
  }

  it("that is no list of words and has none is described by its pattern", () => {
    assert.equal(optionForm({ required: false, description: "", pattern: "^[0-9]+$" }), "matched by ^[0-9]+$");
  });
});

describe("the message for a wrong option", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-options-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const rows: Record<string, { type: string; options: string; said: string }> = {
    "of a list, in lower case": {
      type: "AzureOpenAI",
      options: "surface: deployments",
      said: "spec.options.surface must be one of V1, Deployments; did you mean Deployments?",
    },
    "of a list, and nothing like it": {
      type: "OpenAICompatible",
      options: "responses: x",
      said: "spec.options.responses must be one of Native, Translate",
    },
    "with a pattern": {
      type: "Bedrock",
      options: "region: Frankfurt",
      said: "spec.options.region must be an AWS region, such as eu-central-1",
    },
    "with a date": {
      type: "Anthropic",
      options: "version: latest",
      said: "spec.options.version must be an API version date, such as 2023-06-01",
    },
    "that another type has": {
      type: "OpenAICompatible",
      options: "apiVersion: 2024-10-21",
      said: `OpenAICompatible has no option apiVersion; its options are: ${Object.keys(
        capabilitiesByType.OpenAICompatible?.options ?? {},
      )
        .sort()
        .join(", ")}`,
    },
  };
  for (const [what, { type, options, said }] of Object.entries(rows)) {
    it(what, async () => {
      const spec = `{ type: ${type}, endpoint: "https://llm.example.com", options: { ${options} }, models: [{ name: m }] }`;
      await writeFile(
        join(folder, "one.yaml"),
        `apiVersion: sluice.dev/v1alpha1\nkind: LLMProvider\nmetadata: { name: p }\nspec: ${spec}\n`,
      );
      const { findings } = await compileFolder([folder], {}, new Uint8Array(32), { nowMs: 0 });
      assert.ok(
        findings.some((finding) => finding.message === said),
        JSON.stringify(findings),
      );
    });
  }
});
