/** What the command line says to words that it can't use, and to things that are not there: what to do, and an exit code that CI can tell. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Finished } from "../harness/command.ts";
import { sluiceWith } from "../harness/sluice.ts";

let root: string;
let taken: Server;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-words-"));
  await mkdir(join(root, "empty"));
  await writeFile(join(root, "notes.txt"), "no audit record\n");
  taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
});
after(async () => {
  taken.close();
  await rm(root, { recursive: true, force: true });
});

/** `HOME` without a kubeconfig. A process that does not exit is killed, and has no exit code. */
function sluice(args: readonly string[]): Promise<Finished> {
  const { KUBECONFIG: _, ...env } = process.env;
  return sluiceWith({ env: { ...env, HOME: root }, timeout: 120_000 }, ...args);
}

const wrong: readonly [string, () => string[], number, RegExp][] = [
  [
    "an option that is not there",
    () => ["lint", "--nonsense", root],
    2,
    /lint has no option --nonsense; sluice lint --help lists/,
  ],
  ["one of dev, before its folder is looked for", () => ["dev", "--nonsense", "x"], 2, /dev has no option --nonsense/],
  ["a word too many", () => ["cost-report", "x"], 2, /takes only options, not x; sluice cost-report --help/],
  [
    "a value that looks like an option",
    () => ["top-users", "--limit", "-1"],
    2,
    /--limit needs a value; .* --limit=VALUE/,
  ],
  ["an option without its value", () => ["keys", "list", "--kubeconfig"], 2, /--kubeconfig needs a value/],
  ["a value of an option that takes none", () => ["keys", "--help=3"], 2, /--help takes no value/],
  ["a command with the name of a method of objects", () => ["toString"], 2, /no command toString/],
  ["a port that is none", () => ["proxy", "--port", "abc"], 2, /--port: must be a number/],
  [
    "a port of the sidecar that is none",
    () => ["sidecar", "--fleet=http://sluice", "--port=abc"],
    2,
    /--port: must be a number/,
  ],
  [
    "a port of the operator that is none",
    () => ["operator", "--settings=README.md", "--status-port=abc"],
    2,
    /--status-port: must be a number/,
  ],
  ["a gateway that is no URL", () => ["sidecar", "--fleet=sluice"], 2, /--fleet: must be scheme, host and port only/],
  [
    "a name that is no option of keys",
    () => ["keys", "revoke", "bob"],
    2,
    /keys revoke takes only options, not bob; --user and --name/,
  ],
  [
    "a body that is no JSON",
    () => ["explain", "examples/quickstart", "--model=m", "--body=README.md"],
    2,
    /--body README\.md is not a JSON object/,
  ],
  ["a folder that is not there", () => ["lint", join(root, "nope")], 1, /nope: there is no such file or folder/],
  [
    "the same of diff, where 1 means a difference",
    () => ["diff", join(root, "nope"), root],
    2,
    /nope: there is no such file or folder/,
  ],
  ["a folder without manifests", () => ["lint", join(root, "empty")], 1, /no object of Sluice is in .*empty; \*\.yaml/],
  ["no settings of the operator", () => ["operator"], 1, /operator\.yaml: there is no such file or folder; --settings/],
  ["settings that are not YAML", () => ["operator", "--settings", "README.md"], 1, /README\.md is not valid YAML/],
  [
    "settings that are no names and values",
    () => ["operator", "--settings", join(root, "notes.txt")],
    1,
    /notes\.txt holds no settings/,
  ],
  ["no cluster", () => ["keys", "list"], 1, /no cluster to connect to: there is no kubeconfig/],
  [
    "a time that ends before it begins",
    () => ["cost-report", "--from", "2026-02-01", "--to", "2026-01-01"],
    2,
    /--from must be before --to/,
  ],
  [
    "the same of the audit log",
    () => ["compliance-report", root, "--from", "2026-02-01", "--to", "2026-01-01"],
    2,
    /--from must be before --to/,
  ],
  [
    "an audit log of which nothing is left",
    () => ["audit", "verify", join(root, "empty")],
    1,
    /no audit record was found in .*empty; name the folder of --audit-dir/,
  ],
  [
    "a report on a file that is no audit log",
    () => ["compliance-report", join(root, "notes.txt")],
    1,
    /no audit record was found in .*notes\.txt/,
  ],
  [
    "a store that does not answer",
    () => ["audit", "verify", "--redis", "redis://127.0.0.1:1"],
    1,
    /the store of --redis is not reached: .*ECONNREFUSED/,
  ],
  [
    "a port in use, and does not stay half started",
    () => ["dev", join(root, "empty"), "--port=0", `--status-port=${(taken.address() as AddressInfo).port}`],
    1,
    /port \d+ of 127\.0\.0\.1 is in use by another process; choose another with --port or --status-port/,
  ],
];

describe("sluice on what it can't use", { concurrency: 2 }, () => {
  for (const [what, args, code, words] of wrong)
    it(`says what to do about ${what}`, async () => {
      const said = await sluice(args());
      assert.match(said.stderr, words);
      assert.doesNotMatch(said.stderr, /ENOENT|positional|at .*\.ts:/);
      assert.equal(said.code, code);
    });

  for (const args of [
    ["keys"],
    ["audit"],
    ["compliance-report"],
    ["set-rate-limit"],
    ["alerts"],
    ["lint"],
    ["render"],
    ["diff"],
  ])
    it(`takes ${args.join(" ")} alone as a mistake, and prints how it is used`, async () => {
      const { code, stdout } = await sluice(args);
      assert.match(stdout, /^sluice /);
      assert.equal(code, 2);
    });

  it("helps in each way that people ask for it", async () => {
    const [one, two, three] = await Promise.all([
      sluice(["help", "keys"]),
      sluice(["keys", "-h"]),
      sluice(["keys", "--help"]),
    ]);
    assert.match(three.stdout, /^sluice keys COMMAND/);
    assert.deepEqual([one, two], [three, three]);
    assert.equal(three.code, 0);
  });

  it("says which version it is", async () => {
    const [one, two] = await Promise.all([sluice(["--version"]), sluice(["version"])]);
    assert.match(one.stdout, /^sluice \d+\.\d+\.\d+, node \d+/);
    assert.deepEqual(one, two);
  });
});
