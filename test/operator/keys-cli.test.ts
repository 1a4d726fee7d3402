/** `sluice keys` on a folder that a gateway serves. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { sluice } from "../harness/sluice.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

describe("sluice keys, on a folder", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const keys = (...args: string[]) => sluice("keys", ...args, "--folder", gateway.folder);
  const codeOf = async (clear: string): Promise<string | null> => {
    const response = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${clear}` } });
    const body = (await response.json()) as { error?: { code: string } };
    return body.error?.code ?? null;
  };

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk" }),
      policy("all", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("creates a key that works, rotates it with a grace, and revokes it; comments stay", async () => {
    const created = await keys(
      "create",
      "--user",
      "alice@example.com",
      "--role",
      "data-scientist",
      "--team",
      "a",
      "--tag",
      "x",
      "--tag",
      "y",
      "--show",
    );
    assert.equal(created.code, 0, created.stderr);
    const [said = "", first = ""] = created.stdout.trim().split("\n");
    assert.match(
      said,
      /^ApiKey default\/alice-example-com and its Secret written to .*apikey-default-alice-example-com\.yaml$/,
    );
    assert.match(first, /^slc_[0-9A-Za-z]{49}$/);
    await eventually(async () => (await codeOf(first)) === null);

    const file = join(gateway.folder, "apikey-default-alice-example-com.yaml");
    await writeFile(file, `# of Alice\n${await readFile(file, "utf8")}`);
    const rotated = await keys("rotate", "--user", "alice@example.com", "--grace-period", "7d");
    assert.equal(rotated.code, 0, rotated.stderr);
    assert.match(
      rotated.stdout,
      /ApiKey default\/alice-example-com rotated; the new key is in Secret alice-example-com-llm-key, key apiKey/,
    );
    assert.doesNotMatch(rotated.stdout, /slc_/);
    const text = await readFile(file, "utf8");
    assert.match(text, /^# of Alice\n/);
    const second = /apiKey: (slc_\S+)/.exec(text)?.[1] ?? "";
    assert.notEqual(second, first);
    await eventually(async () => (await codeOf(second)) === null);
    assert.equal(await codeOf(first), null, "within its grace the key before works");

    const listed = await keys("list", "--output", "json");
    assert.deepEqual(
      (JSON.parse(listed.stdout) as { user: string; state: string; role: string; prefix: string }[]).map(
        ({ user, state, role, prefix }) => [user, state, role, prefix],
      ),
      [["alice@example.com", "live, rotating", "data-scientist", `${second.slice(0, 8)}…`]],
    );
    assert.match(
      (await keys("list")).stdout,
      /NAMESPACE +NAME +USER +TEAM +ROLE +KEY +EXPIRES +STATE\ndefault +alice-example-com/,
    );

    assert.equal((await keys("revoke", "--name", "alice-example-com")).code, 0);
    await eventually(async () => (await codeOf(second)) === "revoked_api_key");
    assert.equal(await codeOf(first), "revoked_api_key");
    assert.match((await keys("list")).stdout, / revoked$/m);
  });

  const mistakes: [string, string[], number, RegExp][] = [
    ["no user", ["create"], 2, /say whose key it is/],
    ["no key named", ["rotate"], 2, /say which: --user USER for all of a user's keys, or --name NAME/],
    ["both named", ["revoke", "--user", "a", "--name", "b"], 2, /say which/],
    ["a user that can't be", ["create", "--user", "a b"], 2, /spec\.user must not have spaces/],
    [
      "an expiry that a folder can't count",
      ["create", "--user", "bob", "--expires-in", "90d"],
      1,
      /write spec\.expiresAt/,
    ],
    ["nobody", ["rotate", "--user", "nobody"], 1, /no ApiKey of nobody in namespace default/],
    ["another command", ["delete"], 2, /has create, rotate, revoke, list, not delete/],
    ["another format", ["list", "--output", "xml"], 2, /--output must be table or json/],
    ["a grace that is no time", ["rotate", "--user", "carol", "--grace-period", "soon"], 2, /must be a duration/],
  ];
  for (const [name, args, code, expected] of mistakes) {
    it(`says what is wrong with ${name}`, async () => {
      if (args.includes("carol")) assert.equal((await keys("create", "--user", "carol")).code, 0);
      const done = await keys(...args);
      assert.equal(done.code, code, done.stdout + done.stderr);
      assert.match(done.stderr, expected);
    });
  }

  it("does not make one twice", async () => {
    assert.equal((await keys("create", "--user", "dave")).code, 0);
    const again = await keys("create", "--user", "dave");
    assert.equal(again.code, 1);
    assert.match(again.stderr, /ApiKey default\/dave is there already; choose another --name, or rotate it/);
  });

  it("leaves alone a key that comes from the environment", async () => {
    const manifests = `apiVersion: sluice.dev/v1alpha1\nkind: ApiKey\nmetadata: { name: env }\nspec: { user: env, writeTo: { name: env } }\n---\napiVersion: v1\nkind: Secret\nmetadata: { name: env }\nstringData: { apiKey: "\${SOME_KEY:-slc_fallback_key_1}" }\n`;
    await writeFile(join(gateway.folder, "env.yaml"), manifests);
    const done = await keys("rotate", "--user", "env");
    assert.equal(done.code, 1);
    assert.match(done.stderr, /comes from the environment; change it there/);
    assert.equal(await readFile(join(gateway.folder, "env.yaml"), "utf8"), manifests);
  });
});
