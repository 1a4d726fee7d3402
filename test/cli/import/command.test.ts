/** `sluice import` as a command: where it writes, what it never prints, and what it says of bad input. */
import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import { sluice } from "../../harness/sluice.ts";

const secret = "sk-proj-3f9a2c7e1b5d8f4a6c0e2d4b";
const config = `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: ${secret} }
  - model_name: claude
    litellm_params: { model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY }
general_settings: { database_url: "postgresql://llm:${secret}@db/llm", unheard_of: ${secret} }
`;

describe("sluice import", () => {
  let folder: string;
  before(async () => {
    folder = await temporaryFolder("import");
    await writeFile(join(folder, "config.yaml"), config);
  });
  after(() => removeFolder(folder));
  const file = (name: string): string => join(folder, name);
  const written = async (name: string, text: string): Promise<string> => {
    await writeFile(file(name), text);
    return file(name);
  };

  it("prints manifests, and the report on standard error, without a secret", async () => {
    const { code, stdout, stderr } = await sluice("import", "litellm", file("config.yaml"));
    assert.equal(code, 0, stderr);
    assert.match(stdout, /kind: LLMProvider[\s\S]*kind: RoutingPolicy[\s\S]*ANTHROPIC_API_KEY/);
    assert.match(stderr, /config\.yaml:4 +secret +model_list\[0\]\.litellm_params\.api_key: clear value moved/);
    assert.match(stderr, /not imported +general_settings\.unheard_of: no counterpart is known/);
    assert.match(stderr, /Secret openai has values in clear text and is not printed/);
    assert.ok(![secret, btoa(secret)].some((text) => `${stdout}${stderr}`.includes(text)));
  });

  it("writes files that lint accepts, of which others can't read the Secrets", async () => {
    const output = file("out");
    const { code, stdout, stderr } = await sluice("import", "litellm", file("config.yaml"), "-o", output, "-n", "llm");
    assert.equal(code, 0, stderr);
    assert.ok(!`${stdout}${stderr}`.includes(secret));
    assert.deepEqual((await readdir(join(output, "manifests"))).sort(), [
      "policies.yaml",
      "providers.yaml",
      "secrets.yaml",
    ]);
    const secrets = join(output, "manifests", "secrets.yaml");
    assert.equal((await stat(secrets)).mode & 0o777, 0o600);
    assert.ok((await readFile(secrets, "utf8")).includes(btoa(secret)));
    assert.match(await readFile(join(output, "manifests", "providers.yaml"), "utf8"), /namespace: llm/);
    const lint = await sluice("lint", join(output, "manifests"));
    assert.equal(lint.code, 0, lint.stdout);
    const again = await sluice("import", "litellm", file("config.yaml"), "-o", output);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /is there already; name another directory/);
  });

  it("exits with 1 under --strict if something has no counterpart, and writes JSON", async () => {
    const { code, stderr } = await sluice("import", "litellm", file("config.yaml"), "--strict", "--report", "json");
    assert.equal(code, 1);
    const report = JSON.parse(stderr.slice(0, stderr.lastIndexOf("]") + 1)) as { path: string; outcome: string }[];
    assert.ok(
      report.some(({ path, outcome }) => path === "general_settings.database_url" && outcome === "NotImported"),
    );
  });

  for (const [what, name, text, says] of [
    [
      "broken YAML, without quoting it",
      "broken.yaml",
      `a: [${secret}\nb: }`,
      /broken\.yaml:\d+:\d+: is not valid YAML/,
    ],
    ["an empty file", "empty.yaml", "", /nothing in .*empty\.yaml is a configuration of litellm/],
    ["a table with too many cells", "keys.csv", "token,user_id\na,b,c\n", /keys\.csv:2: has 3 cells/],
  ] as const)
    it(`refuses ${what}`, async () => {
      const { code, stdout, stderr } = await sluice("import", "litellm", await written(name, text));
      assert.equal(code, 1);
      assert.match(stderr, says);
      assert.ok(!`${stdout}${stderr}`.includes(secret));
    });

  it("names the sources to choose from", async () => {
    const { code, stderr } = await sluice("import", "litelm", file("config.yaml"));
    assert.equal(code, 2);
    assert.match(stderr, /litelm is no source: .*\blitellm\b.*; did you mean litellm\?/);
  });

  it("reports a configuration of another kind as not imported", async () => {
    const { code, stderr } = await sluice(
      "import",
      "litellm",
      await written("other.yaml", "services: { web: { image: nginx } }"),
    );
    assert.equal(code, 0);
    assert.match(stderr, /not imported +services\.web\.image/);
  });

  it("takes 5,000 models", async () => {
    const models = Array.from({ length: 5_000 }, (_, index) => ({
      model_name: `model-${index}`,
      litellm_params: { model: `openai/upstream-${index}`, api_key: "os.environ/OPENAI_API_KEY" },
    }));
    const output = file("many");
    const many = await written("many.json", JSON.stringify({ model_list: models }));
    const { code, stderr } = await sluice("import", "litellm", many, "-o", output);
    assert.equal(code, 0, stderr);
    const policies = await readFile(join(output, "manifests", "policies.yaml"), "utf8");
    assert.equal(policies.match(/kind: RoutingPolicy/g)?.length, 5_000);
    const providers = await readFile(join(output, "manifests", "providers.yaml"), "utf8");
    assert.equal(providers.match(/kind: LLMProvider/g)?.length, Math.ceil(5_000 / 256));
  });
});
