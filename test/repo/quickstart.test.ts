/** What `make run` serves, with the SDKs that people will try on it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { pino } from "pino";
import { type RunningDev, startDev } from "../../cli/dev.ts";
import { startProviderServer } from "../../examples/quickstart/provider-server.ts";
import { run } from "../harness/command.ts";
import { eventually } from "../harness/gateway.ts";

const example = join(import.meta.dirname, "..", "..", "examples", "quickstart");
const apiKey = "slc_example_key_for_this_machine_only";
const model = "gpt-4o-mini";
const messages = [{ role: "user" as const, content: "Hello!" }];
const said = /^You said "Hello!"/;

describe("make run", () => {
  let folder: string;
  let provider: { port: number; close(): void };
  let dev: RunningDev;
  const printed: string[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-quickstart-"));
    provider = await startProviderServer(0);
    await cp(join(example, "policies"), join(folder, "policies"), { recursive: true });
    const simulated = await readFile(join(example, "simulated", "provider.yaml"), "utf8");
    await writeFile(join(folder, "provider.yaml"), simulated.replace(":18000/", `:${provider.port}/`));
    dev = await startDev(
      [folder, "--port=0", "--status-port=0"],
      {},
      (line) => printed.push(line),
      pino({ level: "silent" }),
    );
  });
  after(async () => {
    await dev.close();
    provider.close();
    await rm(folder, { recursive: true, force: true });
  });
  const openai = (): OpenAI => new OpenAI({ apiKey, baseURL: `${dev.proxy.trafficUrl}/v1`, maxRetries: 0 });

  it("loads without a complaint", () =>
    assert.deepEqual(
      printed.filter((line) => /error|warning/.test(line)),
      [],
    ));

  it("answers each operation that an OpenAI SDK has a method for", async () => {
    const client = openai();
    const chat = await client.chat.completions.create({ model, messages });
    assert.match(chat.choices[0]?.message.content ?? "", said);
    const response = await client.responses.create({ model, input: "Hello!" });
    assert.match(response.output_text, said);
    const completion = await client.completions.create({ model, prompt: "Hello!" });
    assert.match(completion.choices[0]?.text ?? "", said);
    const embedding = await client.embeddings.create({ model: "text-embedding-3-small", input: "Hello!" });
    assert.equal(embedding.data.length, 1);
    assert.deepEqual(
      (await client.models.list()).data.map(({ id }) => id).sort(),
      [model, "text-embedding-3-small"].sort(),
    );
  });

  it("streams chats and responses", async () => {
    let text = "";
    for await (const chunk of await openai().chat.completions.create({ model, messages, stream: true }))
      text += chunk.choices[0]?.delta.content ?? "";
    assert.match(text, said);
    let answer = "";
    for await (const event of await openai().responses.create({ model, input: "Hello!", stream: true }))
      if (event.type === "response.output_text.delta") answer += event.delta;
    assert.match(answer, said);
  });

  it("answers Anthropic's SDK, whose base URL has no /v1", async () => {
    const client = new Anthropic({ apiKey, baseURL: dev.proxy.trafficUrl, maxRetries: 0 });
    const message = await client.messages.create({ model, max_tokens: 100, messages });
    assert.match(message.content[0]?.type === "text" ? message.content[0].text : "", said);
  });

  it("needs neither key nor model on the open path that it prints", async () => {
    const script = await readFile(join(example, "run.ts"), "utf8");
    const path = /curl http:\/\/127\.0\.0\.1:\$\{port\}(\/[a-z]+) -d/.exec(script)?.[1] ?? "none printed";
    const answer = await fetch(`${dev.proxy.trafficUrl}${path}`, {
      method: "POST",
      // As curl says it of what it sends with -d.
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: JSON.stringify({ messages }),
    });
    const body = (await answer.json()) as { choices: { message: { content: string } }[] };
    assert.match(body.choices[0]?.message.content ?? "", said);
  });

  it("serves every path that docs/calling.md names", async () => {
    const page = await readFile(join(example, "..", "..", "docs", "calling.md"), "utf8");
    const paths = [...page.matchAll(/`(GET|POST) (\/v1\/[^` ]+)`/g)].map(([, method = "", path = ""]) => ({
      method,
      path: path.replace("{id}", model),
    }));
    assert.ok(paths.length >= 9);
    // The example's provider stores no responses.
    for (const { method, path } of paths.filter(({ path }) => !path.startsWith("/v1/responses/gpt"))) {
      const answer = await fetch(`${dev.proxy.trafficUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${apiKey}` },
      });
      const { error } = (await answer.json()) as { error?: { code: string } };
      assert.doesNotMatch(error?.code ?? "", /unknown_url|method_not_allowed/, `${method} ${path}`);
    }
  });

  it("has no metric that the documentation does not name", async () => {
    await openai().chat.completions.create({ model, messages });
    const types = (await (await fetch(`${dev.proxy.statusUrl}/metrics`)).text()).matchAll(/^# TYPE (\S+)/gm);
    const own = [...types].map(([, name = ""]) => name).filter((name) => !/^(nodejs|process)_/.test(name));
    const folder = join(example, "..", "..", "docs");
    const names = (await readdir(folder)).filter((name) => name.endsWith(".md"));
    const pages = (await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")))).join("\n");
    assert.ok(own.length > 20);
    assert.deepEqual(
      own.filter((name) => !pages.includes(name)),
      [],
    );
  });

  it("shows what calls cost", async () => {
    await openai().chat.completions.create({ model, messages });
    const metrics = await (await fetch(`${dev.proxy.statusUrl}/metrics`)).text();
    assert.match(metrics, /ai_gateway_cost_total\{[^}]*\} [0-9.e-]*[1-9]/);
    assert.doesNotMatch(metrics, /ai_gateway_unpriced_requests_total\{[^}]*\} [1-9]/);
  });
});

describe("make run next to another server", () => {
  it("says which port is in use and what to do, and ends", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const port = String((taken.address() as AddressInfo).port);
    try {
      // With a key of OpenAI no simulated provider is started, whose port is a fixed one.
      const env = { ...process.env, OPENAI_API_KEY: "sk-none", PORT: "0", STATUS_PORT: port };
      const { code, stderr } = await run(process.execPath, [join(example, "run.ts")], { env });
      assert.match(stderr, new RegExp(`port ${port} is in use by another process; PORT and STATUS_PORT choose others`));
      assert.doesNotMatch(stderr, /node:net/);
      assert.equal(code, 1);
    } finally {
      taken.close();
    }
  });

  it("ends at the first Ctrl-C", async (context) => {
    const child = spawn(process.execPath, [join(example, "run.ts")], {
      env: { ...process.env, OPENAI_API_KEY: "", PORT: "0", STATUS_PORT: "0" },
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
    const closed = once(child, "close");
    context.after(() => child.kill("SIGKILL"));
    await eventually(() => /serving on|in use/.test(said));
    if (said.includes("in use")) return context.skip("make run is going on here already");
    child.kill("SIGINT");
    const hanging = setTimeout(() => child.kill("SIGKILL"), 60_000);
    const [code] = (await closed) as [number | null];
    clearTimeout(hanging);
    assert.equal(code, 0);
  });
});
