/** The steps of examples/kong-handson, with the manifests of the folder and with those that an import makes of Kong's file. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { objectManifest } from "../../cli/import/manifests.ts";
import { importCase } from "../cli/import/check.ts";
import { run } from "../harness/command.ts";
import { eventually, type Manifest, secret, startGateway } from "../harness/gateway.ts";
import { ensurePythonEnv, skipReason } from "../harness/tools.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const root = join(import.meta.dirname, "../../examples/kong-handson");
const read = (...path: string[]): string => readFileSync(join(root, ...path), "utf8");

const documentsOf = (text: string): Manifest[] =>
  parseAllDocuments(text).map((document) => document.toJS() as Manifest);
const written = (): Manifest[] =>
  readdirSync(join(root, "manifests")).flatMap((file) => documentsOf(read("manifests", file)));
const imported = (): Manifest[] =>
  importCase({ source: "kong", files: { "kong.yaml": read("kong.yaml") } }).manifests.objects.map(
    (object) => objectManifest(object, "default") as Manifest,
  );

/** With a stand-in for OpenAI, and the value of its Secret. */
const against = (upstream: Upstream, manifests: readonly Manifest[]): Manifest[] => [
  ...manifests
    .filter(({ kind }) => kind !== "Secret")
    .map(({ apiVersion: _, ...manifest }): Manifest => {
      if (manifest.kind !== "LLMProvider") return manifest as Manifest;
      const spec = manifest["spec"] as object;
      const local = { type: "OpenAICompatible", endpoint: `${upstream.url}/v1`, allowPrivateEndpoint: true };
      return { ...manifest, spec: { ...spec, ...local } } as Manifest;
    }),
  secret("openai", { apiKey: "sk-openai" }),
];

const requirements = join(import.meta.dirname, "..", "tools", "requirements.txt");
const noPython = await skipReason(() => ensurePythonEnv(requirements));

for (const [how, manifests] of [
  ["as written", written],
  ["imported from Kong", imported],
] as const)
  describe(`the hands-on, ${how}`, () => {
    let upstream: Upstream;
    let gateway: Awaited<ReturnType<typeof startGateway>>;
    before(async () => {
      upstream = await startUpstream();
      gateway = await startGateway(against(upstream, manifests()));
    });
    after(async () => {
      await gateway.close();
      await upstream.close();
    });

    const post = (body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${gateway.url}/chat`, {
        method: "POST",
        // As curl -d sends it.
        headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
        body: JSON.stringify(body),
      });

    it("a bare POST needs messages only; key, model, parameters and prompt come from the gateway", async () => {
      const reply = await post({ messages: [{ role: "user", content: "Hi" }] }, { authorization: "Bearer dummy" });
      assert.equal(reply.status, 200, await reply.clone().text());
      const sent = upstream.requests.at(-1);
      assert.equal(sent?.headers.authorization, "Bearer sk-openai");
      const { model, temperature, max_tokens, messages } = sent?.json ?? {};
      assert.deepEqual([model, temperature, max_tokens], ["gpt-4o-mini", 0.2, 256]);
      assert.deepEqual(messages, [
        { role: "system", content: "Answer in one sentence." },
        { role: "user", content: "Hi" },
      ]);
    });

    it("each call is in the log with statistics and payloads", async () => {
      const line = await eventually(() => gateway.logs.find(({ msg, status }) => msg === "call" && status === 200));
      assert.deepEqual([line["input_tokens"], line["output_tokens"]], [11, 7]);
      assert.match(String(line["request_body"]), /Hi/);
      assert.match(String(line["response_body"]), /Hello there/);
    });

    it("an empty body gets an error that names what is missing", async () => {
      const reply = await post({});
      assert.equal(reply.status, 400);
      assert.match(await reply.text(), /messages/);
    });

    it("the state is at the status port", async () => {
      const { ready, providers } = (await gateway.status()) as { ready: boolean; providers: { id: string }[] };
      assert.deepEqual([ready, providers.map(({ id }) => id)], [true, ["default/openai"]]);
    });

    for (const script of ["chat.py", "post.py"])
      it(`${script} runs as it is`, { skip: noPython }, async () => {
        const python = await ensurePythonEnv(requirements);
        const { code, stdout, stderr } = await run(python, [join(root, script), `${gateway.url}/chat`], {});
        assert.equal(code, 0, stderr);
        assert.equal(stdout.trim(), "Hello there");
      });
  });
