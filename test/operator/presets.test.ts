/** Presets: what a short manifest means, and what is said of one that can't work. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { compileFolder } from "../../operator/folder/compile-folder.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import { presets } from "../../proxy/providers/openai-compatible/presets.generated.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-presets-"));
});
after(() => rm(folder, { recursive: true, force: true }));

interface Compiled {
  config: ProviderConfig | undefined;
  problems: string[];
}

/** `manifest` with a Secret that has every credential of its type. */
async function compiled(manifest: string, name: string): Promise<Compiled> {
  const { spec } = parse(manifest) as { spec: { type: string; credentials?: { secretRef?: { name: string } } } };
  const fields = (capabilitiesByType[spec.type]?.credentials ?? []).filter(({ pem }) => pem === undefined);
  const ref = spec.credentials?.secretRef?.name;
  const stringData = fields.map((field) => `${field.name}: x-${field.name}`).join(", ");
  const secret =
    ref === undefined
      ? ""
      : `---\napiVersion: v1\nkind: Secret\nmetadata: {name: ${ref}}\nstringData: {${stringData}}\n`;
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, `${manifest}\n${secret}`);
  const { compiled: result, findings } = await compileFolder([file], {}, Buffer.alloc(32, 1), { nowMs: Date.now() });
  return {
    config: result.config.providers[0],
    problems: findings.filter((finding) => finding.severity === "error").map((finding) => finding.message),
  };
}

const written = (lines: readonly string[]): string =>
  ["apiVersion: sluice.dev/v1alpha1", "kind: LLMProvider", "metadata: {name: up}", "spec:"]
    .concat(lines.map((line) => `  ${line}`))
    .join("\n");

describe("the manifests of docs/providers.md", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/providers.md"), "utf8");
  const shown = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text = ""]) => text);

  it("are one for each type and preset", () => {
    const names = shown.map((text) => (parse(text) as { metadata: { name: string } }).metadata.name).sort();
    const wanted = [...Object.keys(capabilitiesByType), ...presets.map(({ name }) => name)];
    assert.deepEqual(names, wanted.map((name) => name.toLowerCase()).sort());
  });
  for (const [index, text] of shown.entries())
    it(`are complete: ${/name: (\S+)/.exec(text)?.[1] ?? index}`, async () => {
      const { config, problems } = await compiled(text, `docs-${index}`);
      assert.deepEqual(problems, []);
      assert.ok(config !== undefined);
    });
});

describe("a default endpoint", () => {
  for (const [location, endpoint] of [
    ["europe-west4", "https://europe-west4-aiplatform.googleapis.com"],
    ["global", "https://aiplatform.googleapis.com"],
    ["eu", "https://aiplatform.eu.rep.googleapis.com"],
    ["us", "https://aiplatform.us.rep.googleapis.com"],
  ] as const)
    it(`depends on the location: ${location}`, async () => {
      const lines = [
        "type: VertexAI",
        `options: {project: my-project, location: ${location}}`,
        "credentials: {workloadIdentity: {google: {}}}",
        "models: [{name: gemini-2.5-flash}, {name: claude, upstream: claude-sonnet-4-5@20250929}]",
      ];
      const { config, problems } = await compiled(written(lines), "vertex");
      assert.deepEqual(problems, []);
      assert.equal(config?.endpoint, endpoint);
      for (const model of Object.values(config?.models ?? {})) assert.ok(model.price);
    });

  for (const [location, endpoint] of [
    ["global", "https://discoveryengine.googleapis.com"],
    ["eu", "https://eu-discoveryengine.googleapis.com"],
  ] as const)
    it(`of rankers has its own host: ${location}`, async () => {
      const lines = [
        "type: VertexAI",
        `options: {project: my-project, location: ${location}, api: Ranking}`,
        "credentials: {workloadIdentity: {google: {}}}",
        "models: [{name: semantic-ranker-default-004}]",
      ];
      const { config, problems } = await compiled(written(lines), "rankers");
      assert.deepEqual(problems, []);
      assert.equal(config?.endpoint, endpoint);
      assert.ok(config?.models["semantic-ranker-default-004"]?.price);
    });

  for (const [region, endpoint] of [
    ["eu-central-1", "https://bedrock-runtime.eu-central-1.amazonaws.com"],
    ["eusc-de-east-1", "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu"],
  ] as const)
    it(`depends on the region: ${region}`, async () => {
      const lines = [
        "type: Bedrock",
        `options: {region: ${region}}`,
        "credentials: {workloadIdentity: {aws: {}}}",
        "models: [{name: nova, upstream: amazon.nova-pro-v1:0}]",
      ];
      const { config, problems } = await compiled(written(lines), "bedrock");
      assert.deepEqual(problems, []);
      assert.equal(config?.endpoint, endpoint);
    });

  for (const [options, said] of [
    ["{location: global}", "VertexAI needs spec.options.project"],
    ["{project: my-project, location: Frankfurt}", "location must be a location of Vertex AI, such as europe-west4"],
    ["{project: '1234', location: global}", "project must be the id of a project, such as my-project"],
  ] as const)
    it(`needs its options: ${options}`, async () => {
      const { problems } = await compiled(
        written(["type: VertexAI", `options: ${options}`, "models: [{name: m}]"]),
        "half",
      );
      assert.ok(
        problems.some((problem) => problem.includes(said)),
        problems.join("\n"),
      );
    });
});

describe("a preset", () => {
  for (const preset of presets) {
    const { name, endpoint, example, options, pricesFrom, model } = preset;
    const lines = [
      "type: OpenAICompatible",
      `preset: ${name}`,
      "credentials: {secretRef: {name: k}}",
      `models: [{name: ${model.upstream ?? model.name}}]`,
      ...(endpoint === null ? [`endpoint: ${example}`] : []),
    ];

    it(`sets endpoint, options and prices: ${name}`, async () => {
      const { config, problems } = await compiled(written(lines), name);
      assert.deepEqual(problems, []);
      assert.equal(config?.endpoint, endpoint ?? example);
      for (const [option, value] of Object.entries(options)) assert.equal(config?.options[option], value);
      if (pricesFrom !== null) assert.ok(Object.values(config?.models ?? {})[0]?.price, `no price from ${pricesFrom}`);
    });

    it(`has options that its type declares, with values that it takes: ${name}`, () => {
      for (const [option, value] of Object.entries(options)) {
        const pattern = capabilitiesByType["OpenAICompatible"]?.options[option]?.pattern;
        assert.match(value, new RegExp(pattern ?? "^$"), option);
      }
    });

    it(`gives way to an option of the object: ${name}`, async () => {
      const { config } = await compiled(written([...lines, "options: {maxTokensField: AsSent}"]), `${name}-own`);
      assert.equal(config?.options["maxTokensField"], "AsSent");
    });

    it(`asks for what it needs and lacks: ${name}`, async () => {
      const bare = ["type: OpenAICompatible", `preset: ${name}`, "models: [{name: m}]"];
      const { problems } = await compiled(written(bare), `${name}-bare`);
      const said =
        endpoint === null ? `${name} has no default endpoint; set spec.endpoint` : "spec.credentials.secretRef";
      assert.ok(problems[0]?.includes(said), problems[0]);
      if (endpoint === null) assert.ok(problems[0]?.endsWith(`such as ${example}`), problems[0]);
    });
  }

  const wrong: [preset: string, endpoint: string, said: string][] = [
    ["Groq", "https://api.groq.com/v1", "spec.endpoint of Groq must be https://api.groq.com/openai/v1; leave it out"],
    ["Groq", "http://api.groq.com/openai/v1", "spec.endpoint of Groq must be https://api.groq.com/openai/v1"],
    ["Groq", "https://api.groq.com/openai/v12", "spec.endpoint of Groq must be https://api.groq.com/openai/v1"],
    ["Groq", "https://api.deepseek.com/v1", "is the address of DeepSeek; set spec.preset to DeepSeek"],
    ["Ollama", "https://openrouter.ai/api/v1", "is the address of OpenRouter; set spec.preset to OpenRouter"],
    ["Ollama", "http://ollama.models.svc:11434", "needs the path of the API, which is /v1 for Ollama, such as http"],
    ["VLLM", "http://vllm.models.svc:8000/", "needs the path of the API, which is /v1 for vLLM"],
  ];
  for (const [preset, endpoint, said] of wrong)
    it(`refuses an endpoint that isn't its own: ${preset} at ${endpoint}`, async () => {
      const lines = ["type: OpenAICompatible", `preset: ${preset}`, `endpoint: ${endpoint}`, "models: [{name: m}]"];
      const { problems } = await compiled(written(lines), "wrong");
      assert.ok(
        problems.some((problem) => problem.includes(said)),
        problems.join("\n"),
      );
    });

  for (const [preset, endpoint] of [
    ["Groq", "https://gateway.example.com/groq"],
    ["Groq", "https://api.groq.com/openai/v1/"],
    ["VLLM", "http://vllm.models.svc:8000/serve/v1"],
  ] as const)
    it(`takes an endpoint of a gateway in front of it: ${preset} at ${endpoint}`, async () => {
      const lines = [
        "type: OpenAICompatible",
        `preset: ${preset}`,
        `endpoint: ${endpoint}`,
        "models: [{name: m}]",
        "credentials: {secretRef: {name: k}}",
      ];
      assert.deepEqual((await compiled(written(lines), "right")).problems, []);
    });

  for (const type of Object.keys(capabilitiesByType).filter((name) => name !== "OpenAICompatible"))
    it(`is refused with another type: ${type}`, async () => {
      const { problems } = await compiled(written([`type: ${type}`, "preset: Groq", "models: [{name: m}]"]), "type");
      assert.ok(
        problems.some((problem) => problem.includes("spec.preset needs type: OpenAICompatible")),
        problems.join("\n"),
      );
    });
});
