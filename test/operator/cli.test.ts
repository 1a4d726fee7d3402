import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { certificateAuthority } from "../harness/certificates.ts";
import { eventually } from "../harness/gateway.ts";
import { sluice } from "../harness/sluice.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-cli-"));
});
after(() => rm(root, { recursive: true, force: true }));

const planted = "sk-planted-secret-1";
const secret = (value: string): string =>
  `apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { apiKey: ${value} }\n---\n`;
const provider = `apiVersion: sluice.dev/v1alpha1
kind: LLMProvider
metadata: { name: p }
spec:
  type: OpenAICompatible
  endpoint: http://llm.example.com/v1
  credentials: { secretRef: { name: s } }
  models: [{ name: m }]
`;

async function folder(name: string, text: string): Promise<string> {
  const path = join(root, name);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "all.yaml"), text);
  return path;
}

describe("sluice diff", () => {
  it("says nothing and exits 0 where nothing changes", async () => {
    const [one, two] = [
      await folder("same-a", secret(planted) + provider),
      await folder("same-b", `# moved\n${provider}---\n${secret(planted)}`),
    ];
    assert.deepEqual(await sluice("diff", one, two), { code: 0, stdout: "", stderr: "" });
  });

  it("names each object and field that changes, and no secret", async () => {
    const one = await folder("change-a", secret(planted) + provider);
    const key =
      "---\napiVersion: sluice.dev/v1alpha1\nkind: ApiKey\nmetadata: { name: k }\nspec: { user: u, writeTo: { name: s } }\n";
    const two = await folder(
      "change-b",
      secret("sk-planted-secret-2") + provider.replace("llm.example.com", "other.example.com") + key,
    );
    const { code, stdout, stderr } = await sluice("diff", one, two);
    assert.deepEqual([code, stderr], [1, ""]);
    assert.deepEqual(stdout.trimEnd().split("\n"), [
      "~ LLMProvider default/p",
      "    credentials.apiKey: (secret) → (secret)",
      '    endpoint: "http://llm.example.com/v1" → "http://other.example.com/v1"',
      "+ ApiKey default/k",
    ]);
    assert.doesNotMatch((await sluice("diff", one, two, "-o", "json")).stdout, /sk-planted|cred-/);
  });

  it("says that a client certificate changed, but not its internal name", async () => {
    const manifests = async (tls: string): Promise<string> => {
      const pair = await (await certificateAuthority()).issue("gateway.internal");
      const data = { "tls.crt": pair.cert, "tls.key": pair.key, apiKey: planted };
      return `${JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: data })}\n---\n${provider.replace("http:", "https:")}${tls}`;
    };
    const tls = "  tls: { clientCertificate: { secretRef: { name: s } } }\n";
    const without = await folder("pair-none", await manifests(""));
    const [one, two] = [await folder("pair-a", await manifests(tls)), await folder("pair-b", await manifests(tls))];
    const renewed = await sluice("diff", one, two);
    assert.deepEqual([renewed.code, renewed.stderr], [1, ""]);
    assert.match(renewed.stdout, /tls\.clientCertificate\.certificate: \(secret\) → \(secret\)/);
    const begun = await sluice("diff", without, one);
    assert.match(begun.stdout, /tls: null → .*"clientCertificate":"\(secret\)"/);
    for (const { stdout } of [renewed, begun, await sluice("diff", without, one, "-o", "json")])
      assert.doesNotMatch(stdout, /cred-|-----BEGIN/);
  });

  it("says no more of the certificate that a token service is shown", async () => {
    const pair = await (await certificateAuthority()).issue("gateway.internal");
    const data = { "tls.crt": pair.cert, "tls.key": pair.key, apiKey: planted };
    const held = `${JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: data })}\n---\n`;
    const watsonx = `${held}${provider.replace("OpenAICompatible", "Watsonx")}  options: { projectId: p }\n`;
    const [one, two] = [
      await folder("token-a", watsonx),
      await folder("token-b", `${watsonx}  tokenService: { tls: { clientCertificate: { secretRef: { name: s } } } }\n`),
    ];
    const { stdout, stderr } = await sluice("diff", one, two);
    assert.equal(stderr, "");
    assert.match(stdout, /tokenTls: .*"clientCertificate":"\(secret\)"/);
    assert.doesNotMatch(stdout, /cred-|-----BEGIN/);
  });

  it("exits 2 where the change has errors, and shows that the last good form would serve on", async () => {
    const one = await folder("broken-a", secret(planted) + provider);
    const two = await folder("broken-b", secret(planted) + provider.replace("models:", "modles:"));
    const { code, stdout, stderr } = await sluice("diff", one, two);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /all\.yaml:\d+:3: error UnknownField: .*did you mean models/);
  });

  for (const args of [
    ["diff"],
    ["diff", "a"],
    ["diff", "nowhere-a", "nowhere-b"],
    ["diff", "a", "b", "-o", "xml"],
    ["lint", "--colour"],
    ["lint", ".", "-o", "xml"],
  ]) {
    it(`exits 2 on ${args.join(" ")}, which is neither a difference nor a finding`, async () => {
      assert.equal((await sluice(...args)).code, 2);
    });
  }

  it("is explained", async () => {
    const { code, stdout } = await sluice("diff", "--help");
    assert.deepEqual([code, stdout.startsWith("sluice diff")], [0, true]);
  });
});

describe("sluice lint and render", () => {
  it("lint gives its findings as JSON too", async () => {
    const { code, stdout } = await sluice(
      "lint",
      await folder("json", secret(planted) + provider.replace("ftp", "").replace("http://", "ftp://")),
      "-o",
      "json",
    );
    const [finding] = JSON.parse(stdout) as { line: number; severity: string; reason: string; object: string }[];
    assert.equal(code, 1);
    assert.deepEqual(
      [finding?.severity, finding?.reason, finding?.object],
      ["error", "Invalid", "LLMProvider default/p"],
    );
    assert.ok((finding?.line ?? 0) > 5);
  });

  it("render prints the same whatever the secrets are, so that nothing of them can be found out", async () => {
    const key =
      "---\napiVersion: sluice.dev/v1alpha1\nkind: ApiKey\nmetadata: { name: k }\nspec: { user: u, writeTo: { name: w } }\n";
    const rendered = async (name: string, ofProvider: string, ofKey: string): Promise<string> => {
      const held = secret(ofKey).replace("name: s", "name: w");
      const { code, stdout } = await sluice("render", await folder(name, secret(ofProvider) + held + provider + key));
      assert.equal(code, 0);
      return stdout;
    };
    const one = await rendered("render-a", planted, "slc_0123456789abcdefghij");
    assert.match(one, /default\/k/);
    assert.equal(await rendered("render-b", "sk-planted-secret-2", "slc_zyxwvutsrqponmlkjihg"), one);
    assert.equal(await rendered("render-c", planted, planted.padEnd(24, "x")), one);
  });

  it("render and lint print no secret, of however broken a folder", async () => {
    const path = await folder(
      "leak",
      `${secret(planted)}${provider}\n---\napiVersion: v1\nkind: Secret\nmetadata: { name: t }\nstringData: { apiKey: [${planted}\n`,
    );
    for (const command of ["lint", "render"]) {
      const { stdout, stderr } = await sluice(command, path);
      assert.doesNotMatch(stdout + stderr, new RegExp(planted), command);
    }
  });
});

describe("sluice dev", () => {
  it("takes flags before the folder, and every save of an editor that renames", async () => {
    const path = await folder("dev", secret(planted) + provider);
    const child = spawn(process.execPath, ["cli/main.ts", "dev", "--port", "0", "--status-port=0", path], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const closed = once(child, "close");
    let stderr = "";
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    const revisions = (): string[] =>
      [...stderr.matchAll(/^(?:re)?loaded: revision (\w+)$/gm)].map((match) => match[1] ?? "");
    try {
      await eventually(() => stderr.includes("serving on http://127.0.0.1:"));
      for (const [index, host] of ["one", "two", "three"].entries()) {
        await writeFile(join(path, ".all.yaml.tmp"), secret(planted) + provider.replace("llm.", `${host}.`));
        await rename(join(path, ".all.yaml.tmp"), join(path, "all.yaml"));
        await eventually(() => revisions().length === index + 2);
      }
      assert.equal(new Set(revisions()).size, 4);
      assert.doesNotMatch(stderr, new RegExp(planted));
    } finally {
      child.kill("SIGTERM");
    }
    assert.equal((await closed)[0], 0);
  });
});
