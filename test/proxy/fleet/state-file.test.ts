/** A damaged state file is never treated as an empty one. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pastDayTurn } from "../../harness/day-turn.ts";
import { eventually, key, type Manifest, policy, provider, secret, startGateway } from "../../harness/gateway.ts";
import { openai, startUpstream } from "../../harness/upstream.ts";

await pastDayTurn(60_000);
const folder = mkdtempSync(join(tmpdir(), "sluice-state-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const upstream = await startUpstream(openai);
after(() => upstream.close());
const clear = "slc_alice_key_0001_0123456789";

const budget = (name: string, spec: Record<string, unknown>): Manifest => ({
  kind: "Budget",
  metadata: { name },
  spec: { period: "Total", ...spec },
});

async function gateway(file: string, enforcement = "Hard") {
  const price = { inputPerMillion: "2.5", outputPerMillion: "10" };
  return startGateway(
    [
      provider("up", upstream.url, { models: [{ name: "gpt-4o", maxOutputTokens: 100, price }] }),
      secret("up-credentials", { apiKey: "sk" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
      budget("all", { amount: "1", enforcement }),
    ],
    ["--state-file", file],
  );
}

async function call(url: string): Promise<number> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
  });
  await response.text();
  return response.status;
}

const spent = async (statusUrl: string): Promise<number> => {
  const { budgets } = (await (await fetch(`${statusUrl}/budgets`)).json()) as { budgets: { spentNanoUsd: number }[] };
  return budgets[0]?.spentNanoUsd ?? 0;
};

/** A state file left by a gateway that has spent something. */
const sound = join(folder, "sound.jsonl");
const before = await gateway(sound);
for (let calls = 0; calls < 3; calls++) assert.equal(await call(before.url), 200);
/** Of three calls of 11 tokens in and 7 out. */
const cost = 3 * (11 * 2_500 + 7 * 10_000);
await eventually(async () => (await spent(before.statusUrl)) === cost);
await before.close();

const damages: Record<string, (text: string) => string | Buffer> = {
  "random bytes": () => randomBytes(5_000),
  "nothing at all": () => "",
  "a line in the middle that is not JSON": (text) => text.replace("\n", "\n\u0000\u0001garbage\n"),
  "a changed digit": (text) =>
    text.replace(/"spent":(\d)/, (_match, digit: string) => `"spent":${digit === "9" ? 1 : 9}`),
  "half of its first line missing": (text) => text.slice(20),
  "random bytes at its end": (text) => Buffer.concat([Buffer.from(text), randomBytes(200)]),
  "binary data at its end that begins like a line": (text) => `${text}{\u0000\u0001`,
};

for (const [what, damage] of Object.entries(damages)) {
  test(`a state file with ${what}: reported, and hard budgets stay closed until the file is taken away`, async () => {
    const file = join(folder, `${what.replaceAll(" ", "-")}.jsonl`);
    writeFileSync(file, damage(readFileSync(sound, "utf8")));
    const running = await gateway(file);
    after(() => running.close());
    assert.ok(running.logs.some((line) => line["level"] === "error" && line["file"] === `${file}.damaged`));
    assert.match(await running.metrics(), /sluice_state_damaged 1/);
    assert.equal((await running.status())["damagedState"], `${file}.damaged`);
    assert.equal(await call(running.url), 503);
    rmSync(`${file}.damaged`);
    await eventually(async () => (await call(running.url)) === 200);
    assert.match(await running.metrics(), /sluice_state_damaged 0/);
  });
}

test("what can be read of a damaged file is kept", async () => {
  const file = join(folder, "kept.jsonl");
  writeFileSync(file, `${readFileSync(sound, "utf8")}not a line\n`);
  const running = await gateway(file);
  after(() => running.close());
  assert.equal(await spent(running.statusUrl), cost);
});

test("a soft budget continues, since it refuses no calls", async () => {
  const file = join(folder, "soft.jsonl");
  writeFileSync(file, randomBytes(5_000));
  const running = await gateway(file, "Soft");
  after(() => running.close());
  assert.equal(await call(running.url), 200);
});

test("a line that a crash cut off does not count as damage", async () => {
  const file = join(folder, "cut.jsonl");
  writeFileSync(file, `${readFileSync(sound, "utf8")}{"counter":{"key":"b|defa`);
  const running = await gateway(file);
  after(() => running.close());
  assert.equal(await call(running.url), 200);
  assert.equal((await running.status())["damagedState"], undefined);
});
