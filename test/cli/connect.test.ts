/** `sluice connect`: what it prints and writes, and what it leaves alone. */
import assert from "node:assert/strict";
import { lstat, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { connect } from "../../cli/connect.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { sluiceWith } from "../harness/sluice.ts";
import { json, startUpstream } from "../harness/upstream.ts";

const clear = "slc_connect_key_0001_0123456789";
const one = "slc_connect_one_0001_0123456789";

const files: Readonly<Record<string, string>> = {
  "claude-code": ".claude/settings.json",
  codex: ".codex/sluice.config.toml",
  opencode: ".config/opencode/opencode.json",
  aider: ".aider.conf.yml",
};

describe("sluice connect", () => {
  let gateway: TestGateway;
  const homes: string[] = [];

  before(async () => {
    const models = [{ name: "gpt-4o", contextTokens: 128_000 }, { name: "gpt-4o-mini" }];
    gateway = await startGateway([
      provider("up", "http://127.0.0.1:9", { models }),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("chat", {
        match: { models: ["gpt-4o", "gpt-4o-mini"] },
        routing: { targets: [{ provider: { name: "up" } }] },
      }),
      ...key("alice", clear),
      ...key("bob", one, { models: ["gpt-4o"] }),
    ]);
  });
  after(async () => {
    await gateway?.close();
    for (const home of homes) await rm(home, { recursive: true });
  });

  async function newHome(): Promise<string> {
    const home = await mkdtemp(join(tmpdir(), "sluice-connect-"));
    homes.push(home);
    return home;
  }

  /** Runs it as its users do, and returns what it printed. */
  async function connected(
    args: string[],
    apiKey?: string,
  ): Promise<{ code: number | null; out: string; err: string }> {
    const env = { SLUICE_URL: gateway.url, ...(apiKey === undefined ? {} : { SLUICE_API_KEY: apiKey }) };
    const { code, stdout, stderr } = await sluiceWith({ env }, "connect", ...args);
    return { code, out: stdout, err: stderr };
  }

  /** The same in this process. */
  async function written(home: string, ...args: string[]): Promise<{ done: boolean; out: string }> {
    const lines: string[] = [];
    const env = { SLUICE_URL: `${gateway.url}/v1/`, SLUICE_API_KEY: clear };
    const done = await connect([...args, "--write", "--home", home], env, (line) => lines.push(line));
    return { done, out: lines.join("\n") };
  }

  it("prints the settings, and never the key", async () => {
    for (const name of [...Object.keys(files), "cursor"]) {
      const { code, out, err } = await connected([name, "--model", "gpt-4o"], clear);
      assert.equal(code, 0, err);
      assert.ok(out.includes(gateway.url) && out.includes("gpt-4o") && out.includes("SLUICE_API_KEY"), out);
      assert.ok(!out.includes(clear), name);
    }
  });

  it("takes the only model that the key may use, with its size", async () => {
    const { code, out } = await connected(["codex"], one);
    assert.equal(code, 0);
    assert.match(out, /^model = "gpt-4o"$/m);
    assert.match(out, /^model_context_window = 128000$/m);
  });

  const refusals: { name: string; args: string[]; apiKey?: string; says: RegExp }[] = [
    { name: "no client", args: [], says: /say for which client: it may be claude-code, codex/ },
    {
      name: "a client's name with a typo",
      args: ["claude-cod"],
      says: /no client claude-cod: did you mean claude-code\?/,
    },
    { name: "no model and no key", args: ["codex"], says: /say which --model; or set SLUICE_API_KEY/ },
    { name: "several models", args: ["codex"], apiKey: clear, says: /say which --model: gpt-4o, gpt-4o-mini/ },
    {
      name: "a model that the key may not use",
      args: ["codex", "--model", "gpt-4o-min"],
      apiKey: clear,
      says: /the key may not use gpt-4o-min; did you mean gpt-4o-mini\?/,
    },
    {
      name: "a small model that the key may not use",
      args: ["aider", "--small-model", "gpt-4o-mini"],
      apiKey: one,
      says: /the key may not use gpt-4o-mini/,
    },
    {
      name: "a wrong key",
      args: ["codex"],
      apiKey: "slc_wrong_0123456789_0123456789",
      says: /refuses the key in SLUICE_API_KEY \(status 401\)/,
    },
    { name: "an address that is none", args: ["codex", "--url", "gateway"], says: /--url must be an address such as/ },
    {
      name: "a key instead of its variable",
      args: ["codex", "--key-env", clear.replace("_", "-")],
      says: /not the key itself/,
    },
    { name: "a dead address", args: ["codex", "--url", "http://127.0.0.1:9"], apiKey: clear, says: /can't be reached/ },
    { name: "replace without write", args: ["codex", "--replace"], says: /--replace belongs to --write/ },
    {
      name: "a client without files",
      args: ["cursor", "--write"],
      apiKey: one,
      says: /leave --write out for the steps/,
    },
  ];
  for (const { name, args, apiKey, says } of refusals) {
    it(`says what is wrong with ${name}`, async () => {
      const lines: string[] = [];
      const env = { SLUICE_URL: gateway.url, SLUICE_API_KEY: apiKey };
      await assert.rejects(
        connect(args, env, (line) => lines.push(line)),
        ({ message }: Error) => says.test(message) && !message.includes(clear.slice(4)),
      );
      assert.deepEqual(lines, []);
    });
  }

  it("exits with 2 for wrong arguments, and with 1 where it wrote nothing", async () => {
    assert.equal((await connected(["codex"], clear)).code, 2);
    const home = await givenFile(files["aider"] as string, "model: mine\n");
    assert.equal((await connected(["aider", "--write", "--home", home], one)).code, 1);
  });

  it("says so where something else answers", async () => {
    const other = await startUpstream((_request, response) => json(response, 200, { hello: "world" }));
    after(() => other.close());
    const { err } = await connected(["codex", "--url", other.url], clear);
    assert.match(err, /is not a gateway: it has no list of models/);
  });

  for (const [name, path] of Object.entries(files)) {
    it(`writes ${name}'s settings once, for its user alone`, async () => {
      const home = await newHome();
      const first = await written(home, name, "--model", "gpt-4o");
      assert.ok(first.done, first.out);
      assert.match(first.out, /^created /);
      const text = await readFile(join(home, path), "utf8");
      assert.ok(text.includes(gateway.url) && !text.includes(clear), text);
      assert.equal((await stat(join(home, path))).mode & 0o777, 0o600);
      const second = await written(home, name, "--model", "gpt-4o");
      assert.match(second.out, /has these settings already/);
      assert.equal(await readFile(join(home, path), "utf8"), text);
    });

    it(`leaves ${name}'s other values alone unless they may be replaced`, async () => {
      const home = await newHome();
      await written(home, name, "--model", "gpt-4o");
      const text = await readFile(join(home, path), "utf8");
      const refused = await written(home, name, "--model", "gpt-4o-mini");
      assert.equal(refused.done, false);
      assert.match(refused.out, /is left as it is: it has other values/);
      assert.equal(await readFile(join(home, path), "utf8"), text);
      const replaced = await written(home, name, "--model", "gpt-4o-mini", "--replace");
      assert.ok(replaced.done);
      assert.match(replaced.out, /\(was /);
      assert.ok((await readFile(join(home, path), "utf8")).includes("gpt-4o-mini"));
    });
  }

  async function givenFile(path: string, text: string): Promise<string> {
    const home = await newHome();
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), text, { mode: 0o640 });
    return home;
  }

  it("keeps what else is in a JSON file, and its mode", async () => {
    const path = files["claude-code"] as string;
    const home = await givenFile(path, '{"permissions": {"allow": ["Read"]}, "env": {"FOO": "1"}}');
    assert.ok((await written(home, "claude-code", "--model", "gpt-4o")).done);
    const settings = JSON.parse(await readFile(join(home, path), "utf8")) as Record<string, Record<string, unknown>>;
    assert.deepEqual(settings["permissions"], { allow: ["Read"] });
    assert.equal(settings["env"]?.["FOO"], "1");
    assert.equal(settings["env"]?.["ANTHROPIC_BASE_URL"], gateway.url);
    assert.equal((await stat(join(home, path))).mode & 0o777, 0o640);
  });

  it("keeps comments in YAML", async () => {
    const path = files["aider"] as string;
    const home = await givenFile(path, "# mine\ndark-mode: true # at night\n");
    assert.ok((await written(home, "aider", "--model", "gpt-4o")).done);
    const text = await readFile(join(home, path), "utf8");
    assert.match(text, /^# mine\ndark-mode: true # at night\n/);
    assert.deepEqual(parse(text), {
      "dark-mode": true,
      "openai-api-base": `${gateway.url}/v1`,
      model: "openai/gpt-4o",
      "weak-model": "openai/gpt-4o",
    });
  });

  it("writes what a link points to", async () => {
    const path = files["aider"] as string;
    const home = await newHome();
    await writeFile(join(home, "dotfile.yml"), "dark-mode: true\n");
    await symlink(join(home, "dotfile.yml"), join(home, path));
    assert.ok((await written(home, "aider", "--model", "gpt-4o")).done);
    assert.ok((await lstat(join(home, path))).isSymbolicLink());
    assert.match(await readFile(join(home, "dotfile.yml"), "utf8"), /openai-api-base/);
  });

  for (const [name, text] of [
    ["opencode", '{ // with comments\n "model": "x" }'],
    ["claude-code", "[]"],
    ["aider", "- a list\n"],
  ] as const) {
    it(`leaves a file of ${name} alone that it can't read`, async () => {
      const home = await givenFile(files[name] as string, text);
      await assert.rejects(written(home, name, "--model", "gpt-4o"), /can't be read as .*add the settings by hand/);
      assert.equal(await readFile(join(home, files[name] as string), "utf8"), text);
    });
  }
});
