/** Bodies in the audit log that only who has the sealing keys can read. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { AuditLog } from "../../../proxy/audit/audit.ts";
import { Chain } from "../../../proxy/audit/chain.ts";
import { FileSink } from "../../../proxy/audit/file.ts";
import { openBodies, sealBodies } from "../../../proxy/audit/sealed.ts";
import { Sealer } from "../../../proxy/seal/seal.ts";
import { key, policy, provider, secret, startGateway } from "../../harness/gateway.ts";
import { sluiceWith } from "../../harness/sluice.ts";
import { startUpstream } from "../../harness/upstream.ts";
import { aCall, timers } from "./kit.ts";

type Json = Record<string, unknown>;
const sluice = (keys: string, ...args: string[]) =>
  sluiceWith({ env: { ...process.env, SLUICE_SEALING_KEYS: keys } }, "audit", ...args);
const upstream = await startUpstream();
after(() => upstream.close());
const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));
async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "sluice-sealed-"));
  folders.push(made);
  return made;
}
const newKey = (): string => randomBytes(32).toString("base64");
const [old, fresh] = [newKey(), newKey()];

/** One call through a gateway with these keys; its request id. */
async function oneCall(path: string, keys: string, content: string): Promise<string> {
  const gateway = await startGateway(
    [
      provider("up", upstream.url, { models: [{ name: "m" }] }),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("bodies", {
        match: { models: ["m"] },
        routing: { targets: [{ provider: { name: "up" } }] },
        audit: { bodies: true },
      }),
      ...key("alice", "slc_sealed_alice_001"),
    ],
    [`--audit-dir=${path}`],
    { SLUICE_SEALING_KEYS: keys },
  );
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: "Bearer slc_sealed_alice_001", "content-type": "application/json" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content }] }),
  });
  assert.equal(answer.status, 200);
  await answer.text();
  await gateway.close();
  return answer.headers.get("x-request-id") ?? "";
}
const textOf = async (path: string): Promise<string> => {
  const names = (await readdir(path)).sort();
  return (await Promise.all(names.map((name) => readFile(join(path, name), "utf8")))).join("");
};
const shown = (stdout: string): Json[] =>
  stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Json);

describe("sealed bodies of audit records", () => {
  it("are read by who has the keys, of now and of before, and verified by who has none", async () => {
    const path = await folder();
    const first = await oneCall(path, old, "The word is abracadabra");
    const second = await oneCall(path, `${fresh}\n${old}`, "The word is xyzzy, says bob@example.com");
    const text = await textOf(path);
    for (const hidden of ["abracadabra", "xyzzy", "Hello there", "request_body", "bob@"])
      assert.ok(!text.includes(hidden), hidden);
    const verified = await sluice("", "verify", path);
    assert.equal(verified.code, 0, verified.stdout);

    const all = await sluice(`${fresh},${old}`, "show", path);
    assert.equal(all.code, 0, all.stderr);
    const calls = shown(all.stdout).filter(({ type }) => type === "call");
    assert.match(String(calls[0]?.["request_body"]), /abracadabra/);
    assert.match(String(calls[0]?.["response_body"]), /Hello there/);
    assert.match(String(calls[1]?.["request_body"]), /xyzzy, says \[EMAIL\]/);
    assert.ok(calls.every((call) => !("sealed_bodies" in call)));

    const one = await sluice(fresh, "show", path, "--id", second);
    assert.equal(one.code, 0, one.stderr);
    assert.deepEqual(
      shown(one.stdout).map(({ request_id }) => request_id),
      [second],
    );

    for (const [keys, why] of [
      [newKey(), /they are sealed with key [0-9a-f]{16}, which is not in SLUICE_SEALING_KEYS/],
      ["", /they are sealed, and SLUICE_SEALING_KEYS has no key/],
    ] as const) {
      const unread = await sluice(keys, "show", path, "--id", first);
      assert.equal(unread.code, 1);
      assert.match(unread.stderr, why);
      assert.match(String(shown(unread.stdout)[0]?.["unreadable"]), why);
      assert.equal(shown(unread.stdout)[0]?.["status"], 200);
    }
    const bad = await sluice("no key", "show", path);
    assert.ok(bad.code !== 0 && /sealing keys: number 1 is not 32 bytes in base64/.test(bad.stderr), bad.stderr);
    assert.equal((await sluice(fresh, "show")).code, 2);
  });

  it("are in the clear, and shown so, where there is no key", async () => {
    const path = await folder();
    await oneCall(path, "", "The word is abracadabra");
    assert.match(await textOf(path), /abracadabra/);
    const all = await sluice("", "show", path);
    assert.equal(all.code, 0);
    assert.match(all.stdout, /"request_body":"[^"]*.*abracadabra/);
  });

  it("open in their own record alone", async () => {
    const path = await folder();
    const id = "00000000-0000-4000-8000-000000000009";
    const sealer = new Sealer(old);
    const log = await AuditLog.open(
      new Chain(id, null),
      [new FileSink(id, { folder: path, maxBytes: 1e6, retentionDays: 0, nowMs: Date.now })],
      {
        ...timers(),
        sealer,
      },
    );
    for (const request of ["first", "second"])
      log.write("call", { ...aCall(), requestId: request, audited: { request, response: "" } });
    await log.close();
    const lines = (await textOf(path)).trimEnd().split("\n");
    const [one = "", two = ""] = lines.slice(1, 3).map((line) => String((JSON.parse(line) as Json)["sealed_bodies"]));
    assert.deepEqual(
      [openBodies(sealer, id, 1, one), openBodies(sealer, id, 2, two)].map(
        (bodies) => (bodies as { request: string }).request,
      ),
      ["first", "second"],
    );
    const file = join(path, (await readdir(path))[0] ?? "");
    await writeFile(file, `${lines.map((line, index) => (index === 1 ? line.replace(one, two) : line)).join("\n")}\n`);
    const moved = await sluice(old, "show", path);
    assert.equal(moved.code, 1);
    assert.match(
      moved.stderr,
      /:2: bodies of record 1 of chain \S+ can't be read: they were changed, or belong to another record/,
    );
    assert.equal((await sluice("", "verify", path)).code, 1);
    assert.equal(typeof openBodies(sealer, "another", 1, one), "string");
  });

  it("say why they can't be read, whatever they are", () => {
    const sealer = new Sealer(old);
    const good = sealBodies(sealer, "c", 1, { request: "a", response: "b" });
    assert.deepEqual(openBodies(sealer, "c", 1, good), { request: "a", response: "b" });
    for (const text of [
      "",
      "?",
      good.slice(0, 40),
      `${good.slice(0, -6)}AAAAA=`,
      sealer.seal("audit/c/1", Buffer.from("{}")).toString("base64"),
    ])
      assert.equal(typeof openBodies(sealer, "c", 1, text), "string", text);
  });
});
