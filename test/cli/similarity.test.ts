/** `sluice similarity` against a gateway: what it measures, what it advises, and what it says of mistakes. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { advise, parsePairs } from "../../cli/similarity.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { sluiceWith } from "../harness/sluice.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";
import { embeddings } from "../proxy/cache/words.ts";

const alice = "slc_test_alice_0000001";

const file = [
  "# which may share an answer",
  "same\thow do I reset my password\thow can I reset my password",
  "same\tone two three four five six seven eight nine ten\tone two three four five six seven eight nine eleven",
  "other\thow do I enable this\thow do I disable this",
  "other\twhat is 17 plus four\twhat is 18 plus four",
].join("\n");

describe("sluice similarity", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let folder = "";

  const similarity = async (
    args: readonly string[],
    text = file,
    env: Record<string, string> = { SLUICE_API_KEY: alice },
  ) => {
    const path = join(folder, "pairs.tsv");
    await writeFile(path, text);
    return sluiceWith(
      { env: { ...process.env, ...env } },
      "similarity",
      ...args.map((arg) => (arg === "PAIRS" ? path : arg)),
    );
  };
  const ask = (...more: string[]) => similarity(["PAIRS", "--model", "embed", "--url", gateway.url, ...more]);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-pairs-"));
    upstream = await startUpstream(embeddings);
    gateway = await startGateway([
      provider("vectors", upstream.url, { models: [{ name: "embed" }] }),
      secret("vectors-credentials", { apiKey: "sk" }),
      policy("embeddings", { match: { models: ["embed"] }, routing: { targets: [{ provider: { name: "vectors" } }] } }),
      ...key("alice", alice),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("lists pairs by how alike they are, and says which threshold keeps apart what must be", async () => {
    const { code, stdout, stderr } = await ask();
    assert.equal(code, 0, stderr);
    const lines = stdout.split("\n");
    assert.match(lines[1] ?? "", /^0\.9000 {3}same {4}one two/);
    assert.match(lines[2] ?? "", /^0\.8333 {3}same/);
    assert.match(stdout, /^0\.8000 {3}other {3}how do I enable this \| how do I disable this$/m);
    assert.match(stdout, /what is 17 plus four \| what is 18 plus four {3}\(never: a figure or address differs\)$/m);
    assert.match(
      stdout,
      /threshold: "0\.81" lies 0\.01 above the nearest pair that must not share an answer, and serves 2 of 2 pairs that may\./,
    );
  });

  it("tells it as JSON", async () => {
    const told = JSON.parse((await ask("-o", "json")).stdout) as { threshold: string; served: number; pairs: object[] };
    assert.deepEqual([told.threshold, told.served, told.pairs.length], ["0.81", 2, 4]);
  });

  it("fails where a pair that must be told apart reaches the threshold that is given", async () => {
    const wrong = await ask("--threshold", "0.79");
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /not to share an answer, but as similar as 0\.79 or more: 1 pair/);
    assert.equal((await ask("--threshold", "0.81")).code, 0);
  });

  const mistakes: [string, string[], string, Record<string, string>, number, RegExp][] = [
    ["no file", ["--model", "embed"], file, { SLUICE_API_KEY: alice }, 2, /name one file of pairs/],
    ["no model", ["PAIRS"], file, { SLUICE_API_KEY: alice }, 2, /--model names the model/],
    ["no key", ["PAIRS", "--model", "embed"], file, { SLUICE_API_KEY: "" }, 2, /set SLUICE_API_KEY/],
    [
      "a threshold that can't be one",
      ["PAIRS", "--model", "embed", "--threshold", "95"],
      file,
      { SLUICE_API_KEY: alice },
      2,
      /from 0\.5 to 1, not 95/,
    ],
    [
      "an output that isn't one",
      ["PAIRS", "--model", "embed", "-o", "xml"],
      file,
      { SLUICE_API_KEY: alice },
      2,
      /table or json/,
    ],
    [
      "a line that is no pair",
      ["PAIRS", "--model", "embed"],
      "same\tone",
      { SLUICE_API_KEY: alice },
      1,
      /line 1: write same or other/,
    ],
    [
      "a file without pairs",
      ["PAIRS", "--model", "embed"],
      "# none\n",
      { SLUICE_API_KEY: alice },
      1,
      /no pair in the file/,
    ],
    [
      "a file that isn't there",
      ["/nowhere.tsv", "--model", "embed"],
      file,
      { SLUICE_API_KEY: alice },
      1,
      /nowhere\.tsv/,
    ],
    [
      "a gateway that isn't there",
      ["PAIRS", "--model", "embed", "--url", "http://127.0.0.1:9"],
      file,
      { SLUICE_API_KEY: alice },
      1,
      /no answer from/,
    ],
  ];
  for (const [name, args, text, env, code, expected] of mistakes)
    it(`says what is wrong with ${name}`, async () => {
      const done = await similarity(args, text, env);
      assert.deepEqual([done.code, done.stdout], [code, ""]);
      assert.match(done.stderr, expected);
    });

  it("says what the gateway says", async () => {
    const args = ["PAIRS", "--model", "none", "--url", gateway.url];
    assert.match((await similarity(args)).stderr, /answered 404: The model "none" does not exist/);
    const stranger = await similarity(args, file, { SLUICE_API_KEY: "slc_test_nobody_0000001" });
    assert.match(stranger.stderr, /answered 401/);
    assert.ok(!stranger.stderr.includes("slc_test_nobody"));
  });

  it("advises against it where the pairs can't be kept apart", () => {
    const pair = (kind: "same" | "other", similarity: number, apart = false) => ({
      kind,
      similarity,
      apart,
      texts: ["a", "b"] as [string, string],
    });
    const rows: [ReturnType<typeof pair>[], string | null, number][] = [
      [[pair("same", 0.99), pair("other", 0.9)], "0.91", 1],
      [[pair("same", 0.91), pair("other", 0.9005)], "0.911", 0],
      [[pair("same", 0.99), pair("other", 0.995)], null, 0],
      [[pair("same", 0.99), pair("other", 0.995, true)], null, 0],
      [[pair("same", 0.99, true), pair("other", 0.2)], "0.5", 0],
    ];
    for (const [pairs, threshold, served] of rows)
      assert.deepEqual([advise(pairs).threshold, advise(pairs).served], [threshold, served]);
  });

  it("takes no more pairs than can be measured", () => {
    assert.throws(() => parsePairs("same\ta\tb\n".repeat(10_001)), /at most 10000/);
  });
});
