/** Files, batches and jobs of several callers in one account: each caller sees and uses only its own. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import OpenAI, { NotFoundError, toFile } from "openai";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { Account } from "../harness/openai-account.ts";

type Json = Record<string, unknown>;

const keys = { alice: "slc_alice_key_0001", bob: "slc_bob_key_000001", boss: "slc_boss_key_00001" };
type Caller = keyof typeof keys;

describe("files, batches and jobs of several callers in one account", () => {
  const account = new Account();
  let gateway: TestGateway;

  const sdk = (caller: Caller): OpenAI =>
    new OpenAI({ apiKey: keys[caller], baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  const upload = async (caller: Caller, text: string, name = "a.jsonl") =>
    sdk(caller).files.create({ file: await toFile(Buffer.from(text), name), purpose: "batch" });
  const filesOf = async (caller: Caller, limit?: number): Promise<string[]> => {
    const ids: string[] = [];
    for await (const file of await sdk(caller).files.list(limit === undefined ? {} : { limit })) ids.push(file.id);
    return ids;
  };
  const request = (body: Json): string =>
    `${JSON.stringify({ custom_id: "a", method: "POST", url: "/v1/responses", body: { model: "gpt-4o", ...body } })}\n`;

  before(async () => {
    const url = await account.start();
    gateway = await startGateway([
      provider("up", url, {}),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("all", {
        match: { models: ["gpt-4o"] },
        routing: { targets: [{ provider: { name: "up" } }] },
        resources: { provider: { name: "up" } },
      }),
      ...key("alice", keys.alice, { role: "data-scientist" }),
      ...key("bob", keys.bob, { role: "data-scientist" }),
      ...key("boss", keys.boss, { role: "admin" }),
    ]);
  });
  after(async () => {
    await gateway.close();
    account.close();
  });

  it("are created, read, listed and deleted by their owner, under their own names", async () => {
    const text = request({ input: "Hi" });
    const file = await upload("alice", text, "mine.jsonl");
    assert.match(file.id, /^file-\d+_s1[\w-]{38}$/);
    assert.equal(file.filename, "mine.jsonl");
    const client = sdk("alice");
    assert.equal((await client.files.retrieve(file.id)).filename, "mine.jsonl");
    assert.equal(await (await client.files.content(file.id)).text(), text);
    const batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: "/v1/responses",
      completion_window: "24h",
      metadata: { mine: "yes", file_id: "untouched" },
    });
    assert.match(batch.id, /^batch_\d+_s1/);
    assert.equal(batch.input_file_id, file.id);
    assert.deepEqual(batch.metadata, { mine: "yes", file_id: "untouched" });
    assert.match(account.batches.at(-1)?.["input_file_id"] as string, /^file-\d+$/);
    const output = await (await client.files.content(batch.output_file_id ?? "")).text();
    const { body } = (JSON.parse(output) as { response: { body: { id: string; output: { id: string }[] } } }).response;
    assert.match(body.id, /^resp_9_s1/);
    assert.match(body.output[0]?.id ?? "", /^msg_9_s1/);
    const job = await client.fineTuning.jobs.create({ training_file: file.id, model: "gpt-4o-mini" });
    assert.match(job.id, /^ftjob-\d+_s1/);
    assert.equal(job.training_file, file.id);
    assert.equal((await client.files.delete(file.id)).deleted, true);
    await assert.rejects(client.files.retrieve(file.id), NotFoundError);
  });

  it("are listed, across the provider's pages, for their owner and for roles that may see the namespace's", async () => {
    const mine: string[] = [];
    for (let count = 0; count < 3; count++) {
      for (let others = 0; others < 4; others++) await upload("bob", "x", `bob${others}.jsonl`);
      mine.push((await upload("alice", "x", `${count}.jsonl`)).id);
    }
    account.files.push({ id: "file-of-nobody", object: "file", filename: "console.jsonl" });
    assert.deepEqual(await filesOf("alice", 2), mine);
    assert.equal((await filesOf("bob", 2)).length, 12);
    assert.equal((await filesOf("boss")).length, 15);
    const before = account.batches.length;
    await sdk("bob").batches.create({
      input_file_id: (await filesOf("bob"))[0] ?? "",
      endpoint: "/v1/responses",
      completion_window: "24h",
    });
    const batches = async (caller: Caller): Promise<number> => (await sdk(caller).batches.list()).data.length;
    assert.deepEqual([await batches("alice"), await batches("bob"), await batches("boss")], [before, 1, before + 1]);
  });

  it("are searched in a limited number of the provider's pages", async () => {
    for (let count = 0; count < 60; count++)
      account.files.push({ id: `file-filler${count}`, object: "file", filename: "x" });
    account.urls.length = 0;
    await sdk("alice")
      .files.list({ limit: 1, after: (await upload("bob", "x")).id })
      .catch(() => undefined);
    const { data } = await sdk("alice").files.list({ limit: 1 });
    assert.equal(data.length, 1);
    assert.ok(account.urls.length <= 22, `${account.urls.length} calls`);
  });

  const foreign: [name: string, use: (client: OpenAI, id: string) => Promise<unknown>][] = [
    ["read", (client, id) => client.files.retrieve(id)],
    ["content", (client, id) => client.files.content(id)],
    ["delete", (client, id) => client.files.delete(id)],
    [
      "a batch of it",
      (client, id) => client.batches.create({ input_file_id: id, endpoint: "/v1/responses", completion_window: "24h" }),
    ],
    ["a job on it", (client, id) => client.fineTuning.jobs.create({ training_file: id, model: "m" })],
    [
      "a job that is checked with it",
      (client, id) => client.fineTuning.jobs.create({ training_file: id, validation_file: id, model: "m" }),
    ],
    ["a batch by that id", (client, id) => client.batches.retrieve(id)],
    ["a cancelled batch", (client, id) => client.batches.cancel(id)],
    ["a job's events", (client, id) => client.fineTuning.jobs.listEvents(id)],
    [
      "a line of a batch that goes on with it",
      async (client, id) =>
        client.files.create({
          file: await toFile(Buffer.from(request({ input: "Hi", previous_response_id: id })), "a.jsonl"),
          purpose: "batch",
        }),
    ],
    [
      "a line whose names are escaped",
      async (client, id) =>
        client.files.create({
          file: await toFile(
            Buffer.from(`{"custom\\u005fid":"a","b\\u006fdy":{"input":"Hi","previous\\u005fresponse_id":"${id}"}}\n`),
            "a.jsonl",
          ),
          purpose: "batch",
        }),
    ],
  ];
  for (const [name, use] of foreign) {
    it(`don't exist for another caller: ${name}`, async () => {
      const { id } = await upload("bob", "x");
      const before = [account.files.length, account.batches.length, account.jobs.length];
      for (const given of [id, id.split("_s1")[0] ?? "", "file-of-nobody"])
        await assert.rejects(use(sdk("alice"), given), NotFoundError, given);
      assert.deepEqual([account.files.length, account.batches.length, account.jobs.length], before);
    });
  }

  it("can be named in the lines of their owner's batch, which reach the provider with its own ids", async () => {
    const file = await upload("alice", "x");
    const line = { input: [{ role: "user", content: [{ type: "input_file", file_id: file.id }] }] };
    await upload("alice", request(line) + request({ input: "Hi" }));
    const content = account.files.at(-1)?.content ?? "";
    assert.match(content, /"file_id":"file-\d+"/);
    assert.equal(content.split("\n").length, 3);
  });
});
