/** The code as it is in the image: bundled, without a package folder next to it. */
import assert from "node:assert/strict";
import { isAscii } from "node:buffer";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { startProviderServer } from "../../examples/quickstart/provider-server.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { type Finished, run } from "../harness/command.ts";

const root = join(import.meta.dirname, "../..");

describe("the bundle", () => {
  let folder: string;
  before(async () => {
    folder = await temporaryFolder("bundle");
    const { code, stderr } = await run(process.execPath, [join(root, "cli/bundle.ts"), join(folder, "app")]);
    assert.equal(code, 0, stderr);
  });
  after(() => removeFolder(folder));
  const bundled = (...args: string[]): Promise<Finished> =>
    run(process.execPath, [join(folder, "app/main.mjs"), ...args]);

  it("says of every command what the source says", async () => {
    const source = (...args: string[]): Promise<Finished> =>
      run(process.execPath, [join(root, "cli/main.ts"), ...args]);
    const { stdout: usage } = await source("--help");
    assert.equal((await bundled("--help")).stdout, usage);
    const commands = [...usage.matchAll(/^ {2}([a-z][a-z-]+) {2,}/gm)].map(([, name = ""]) => name);
    assert.ok(commands.length > 10, usage);
    for (const command of commands) {
      const [ours, theirs] = await Promise.all([bundled(command, "--help"), source(command, "--help")]);
      assert.deepEqual([ours.code, ours.stdout], [theirs.code, theirs.stdout], command);
    }
  });

  it("has no package that the list of packages leaves out, and the list has no tool of development", async () => {
    const { code, stdout, stderr } = await run(process.execPath, [join(root, "cli/sbom.ts")]);
    assert.equal(code, 0, stderr);
    const bom: { metadata: { component: { name: string } }; components: { name: string; group?: string }[] } =
      JSON.parse(stdout);
    const listed = new Set(bom.components.map(({ name, group }) => (group === undefined ? name : `${group}/${name}`)));
    const licences = await readFile(join(folder, "app/THIRD_PARTY_LICENSES"), "utf8");
    const bundledPackages = [...licences.matchAll(/^(?:---\n\n)?((?:@[\w.-]+\/)?[\w.-]+) \d+\.\d+\.\d+\S*, /gm)];
    assert.ok(bundledPackages.length > 50);
    assert.deepEqual(
      bundledPackages.flatMap(([, name = ""]) => (listed.has(name) ? [] : [name])),
      [],
    );
    assert.deepEqual([listed.has("esbuild"), bom.metadata.component.name], [false, "sluice"]);
  });

  it("serves a call", async (context) => {
    const provider = await startProviderServer(0);
    context.after(() => provider.close());
    const example = join(root, "examples/quickstart");
    await cp(join(example, "policies"), join(folder, "policies"), { recursive: true });
    const manifest = await readFile(join(example, "simulated/provider.yaml"), "utf8");
    await writeFile(join(folder, "policies/provider.yaml"), manifest.replace(":18000/", `:${provider.port}/`));
    const guarded = {
      apiVersion: "sluice.dev/v1alpha1",
      kind: "RoutingPolicy",
      metadata: { name: "guarded", namespace: "default" },
      spec: {
        match: { pathPrefix: "/guarded", models: ["gpt-4o-mini"] },
        routing: { targets: [{ provider: { name: "openai" } }] },
        guard: { deny: ["(?i)bomb"] },
      },
    };
    await writeFile(join(folder, "policies/guarded.yaml"), JSON.stringify(guarded));
    const options = ["dev", join(folder, "policies"), "--port=0", "--status-port=0"];
    const child = spawn(process.execPath, [join(folder, "app/main.mjs"), ...options]);
    context.after(async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
    });
    let url: string | undefined;
    let statusUrl: string | undefined;
    for await (const line of createInterface(child.stdout)) {
      url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
      statusUrl = /"status":"([^"]+)"/.exec(line)?.[1];
      if (url !== undefined) break;
    }
    const send = (path: string, content: string): Promise<Response> =>
      fetch(`${url}${path}/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer slc_example_key_for_this_machine_only", "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o-mini", messages: [{ role: "user", content }] }),
      });
    const answer = await send("/v1", "Hello!");
    assert.equal(answer.status, 200, await answer.text());
    // The console's page is in the bundle: nothing of the repository is next to it.
    for (const [path, start] of [
      ["", /^<!doctype html>/],
      ["app.js", /^var |^import|^\(|^let |^const |^function/],
      ["app.css", /^:root/],
      ["api/overview", /^\{"nowMs"/],
    ] as const)
      assert.match(await (await fetch(`${statusUrl}/console/${path}`)).text(), start, path);
    // Large enough to be read by a worker thread, whose code is in the bundle as well.
    const refused = await send("/guarded/v1", `${"Hello! ".repeat(100_000)} bomb`);
    assert.match(await refused.text(), /prompt_denied/);
  });

  it("holds the licence of every package in it, and stays small", async () => {
    const licences = await readFile(join(folder, "app/THIRD_PARTY_LICENSES"), "utf8");
    for (const name of ["@kubernetes/client-node", "preact", "fastify", "undici", "prom-client", "zod", "yaml"])
      assert.match(licences, new RegExp(`^${name} \\d`, "m"));
    const files = await readdir(join(folder, "app"));
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, "app", file))).size));
    const megabytes = sizes.reduce((sum, size) => sum + size, 0) / 1e6;
    assert.ok(megabytes < 12, `${megabytes} MB`);
    for (const file of files.filter((_, index) => (sizes[index] ?? 0) > 300_000 && files[index]?.endsWith(".mjs")))
      assert.ok(isAscii(await readFile(join(folder, "app", file))), `${file} takes two bytes a character in memory`);
  });
});
