/** What batches cost: charged once, when their owner reads that they have ended. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, describe, it, type TestContext } from "node:test";
import OpenAI, { toFile } from "openai";
import { manifestPrice, tokenPrices } from "../harness/billing-upstream.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { Account } from "../harness/openai-account.ts";

const keys = { ada: "slc_batches_ada_000001", bob: "slc_batches_bob_000001" };

/** As https://platform.openai.com/docs/api-reference/batch/object documents it. */
const usage = {
  input_tokens: 10_000,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 2_000,
  output_tokens_details: { reasoning_tokens: 500 },
  total_tokens: 12_000,
};
/** A batch costs half: https://platform.openai.com/docs/guides/batch. */
const cost = (10_000 * tokenPrices.input + 2_000 * tokenPrices.output) / 2;

const account = new Account();
const url = await account.start();
after(() => account.close());

async function start(context: TestContext, budget: object = {}, price: object = manifestPrice): Promise<TestGateway> {
  const gateway = await startGateway([
    provider("up", url, { type: "OpenAI", models: [{ name: "gpt-4o", price }] }),
    secret("up-credentials", { apiKey: "sk-upstream" }),
    policy("all", {
      match: { models: ["gpt-4o"] },
      routing: { targets: [{ provider: { name: "up" } }] },
      resources: { provider: { name: "up" } },
      limits: [{ per: "ApiKey", tokens: 1_000, window: "1h" }],
    }),
    ...key("ada", keys.ada, { role: "data-scientist", user: "ada" }),
    ...key("bob", keys.bob, { role: "data-scientist", user: "bob" }),
    {
      kind: "Budget",
      metadata: { name: "all" },
      spec: { amount: "100", period: "Total", enforcement: "Soft", ...budget },
    },
  ]);
  context.after(() => gateway.close());
  return gateway;
}

const sdk = (gateway: TestGateway, user: keyof typeof keys = "ada"): OpenAI =>
  new OpenAI({ apiKey: keys[user], baseURL: `${gateway.url}/v1`, maxRetries: 0 });

/** Makes a batch that the provider then changes by `object`. Returns its sealed id. */
async function make(client: OpenAI, object: object): Promise<string> {
  const file = await client.files.create({ file: await toFile(Buffer.from("{}\n"), "a.jsonl"), purpose: "batch" });
  const batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
  });
  Object.assign(account.batches.at(-1) as object, object);
  return batch.id;
}

const charged = (gateway: TestGateway): Record<string, unknown>[] =>
  gateway.logs.filter((line) => line["operation"] === "batch");

async function spent(gateway: TestGateway): Promise<number | undefined> {
  const response = await fetch(`${gateway.statusUrl}/budgets`);
  return ((await response.json()) as { budgets: { spentNanoUsd: number }[] }).budgets[0]?.spentNanoUsd;
}

/** Resolves once everything that ended before is in the log: a call's line is written after those of earlier calls. */
async function settled(gateway: TestGateway): Promise<void> {
  const before = gateway.logs.filter((line) => line["status"] === 404).length;
  await fetch(`${gateway.url}/v1/nothing`);
  await eventually(() => gateway.logs.filter((line) => line["status"] === 404).length > before);
}

describe("a batch that has ended", () => {
  const scopes: [string, object, number][] = [
    ["of every call", {}, cost],
    ["of its user", { scope: { users: ["ada"] } }, cost],
    ["of another user", { scope: { users: ["bob"] } }, 0],
    ["of its model", { scope: { models: ["gpt-4o"] } }, cost],
    ["of its provider", { scope: { providers: ["up"] } }, cost],
  ];
  for (const [name, budget, expected] of scopes)
    it(`costs a budget ${name} ${expected} nano-USD, however often it is read`, async (context) => {
      const gateway = await start(context, budget);
      const client = sdk(gateway);
      const id = await make(client, { status: "completed", model: "gpt-4o-2024-08-06", usage });
      await client.batches.retrieve(id);
      await client.batches.retrieve(id);
      for await (const batch of await client.batches.list()) assert.ok(batch.id);
      await settled(gateway);
      const lines = charged(gateway);
      assert.deepEqual(
        lines.map((line) => [line["cost_nano_usd"], line["model"], line["provider"], line["user"]]),
        [[cost, "gpt-4o", "default/up", "ada"]],
      );
      await eventually(async () => (await spent(gateway)) === expected);
    });

  // 7.20 USD for an hour of all the GPUs, so a thousandth of a USD for a second of one of the two calls at once.
  const compute = { perGPUHour: "0.9", gpus: 8, callsAtOnce: 2 };
  const servers = { inputPerMillion: "0", outputPerMillion: "0", compute };
  const began = 1_800_000_000;
  for (const [what, object, costUsd, unpriced] of [
    ["as many places as calls at once", { completed_at: began + 60, request_counts: { total: 50 } }, 0.12, undefined],
    ["no more places than requests", { completed_at: began + 60, request_counts: { total: 1 } }, 0.06, undefined],
    ["the time up to its cancelling", { cancelled_at: began + 10, request_counts: { total: 2 } }, 0.02, undefined],
    ["all places without a count", { completed_at: began + 60, request_counts: null }, 0.12, undefined],
    ["no time at all, which is said", { request_counts: { total: 2 } }, 0, ["computeMillisecond"]],
    ["no time before its beginning", { completed_at: began - 1 }, 0, ["computeMillisecond"]],
    ["no time that is no number", { completed_at: "soon" }, 0, ["computeMillisecond"]],
    ["no time of years", { completed_at: began * 2 }, 0, ["computeMillisecond"]],
  ] as const)
    it(`at servers with a price by GPU hour is charged for ${what}`, async (context) => {
      const gateway = await start(context, {}, servers);
      const client = sdk(gateway);
      const times = { created_at: began - 5, in_progress_at: began, completed_at: null, ...object };
      const id = await make(client, { status: "completed", model: "gpt-4o", usage, ...times });
      await client.batches.retrieve(id);
      await settled(gateway);
      assert.deepEqual(
        charged(gateway).map((line) => [line["cost_nano_usd"], line["unpriced"]]),
        [[Math.round(costUsd * 1e9), unpriced]],
      );
    });

  for (const [what, tokens, requests, most] of [
    ["of more tokens than a call can have", 2e9, 20_000, 2e9],
    ["that can't be true", 2e9, 3, 3 * 1_024],
    ["that is no number", 1e300, 3, 3 * 1_024],
    ["that is negative", -1, 3, 3 * 1_024],
  ] as const)
    it(`with a usage ${what} is charged for ${most} tokens`, async (context) => {
      const gateway = await start(context);
      const client = sdk(gateway);
      const id = await make(client, {
        ...{
          status: "completed",
          model: "gpt-4o",
          request_counts: { total: requests, completed: requests, failed: 0 },
        },
        usage: { input_tokens: tokens, output_tokens: tokens, total_tokens: 2 * tokens },
      });
      await client.batches.retrieve(id);
      const line = await eventually(() => charged(gateway)[0]);
      assert.equal(line["cost_nano_usd"], (most * (tokenPrices.input + tokenPrices.output)) / 2);
    });

  it("counts in no limit of tokens", async (context) => {
    const gateway = await start(context);
    const client = sdk(gateway);
    const id = await make(client, { status: "completed", model: "gpt-4o", usage });
    for (let read = 0; read < 3; read++) await client.batches.retrieve(id);
  });

  it("is charged when a list has it first", async (context) => {
    const gateway = await start(context);
    const client = sdk(gateway);
    await make(client, { status: "cancelled", model: "gpt-4o", usage });
    for await (const batch of await client.batches.list()) assert.ok(batch.id);
    await settled(gateway);
    assert.equal(charged(gateway).length, 1);
  });

  it("is not charged to another caller who lists batches", async (context) => {
    const gateway = await start(context);
    await make(sdk(gateway), { status: "completed", model: "gpt-4o", usage });
    for await (const batch of await sdk(gateway, "bob").batches.list()) assert.fail(batch.id);
    await settled(gateway);
    assert.equal(charged(gateway).length, 0);
  });

  it("of a model that the provider's object doesn't list has no price", async (context) => {
    const gateway = await start(context);
    const client = sdk(gateway);
    const id = await make(client, { status: "completed", model: "gpt-9", usage });
    await client.batches.retrieve(id);
    await settled(gateway);
    assert.deepEqual(
      charged(gateway).map((line) => [line["model"], line["cost_nano_usd"] ?? null]),
      [["other", null]],
    );
  });
});

describe("a batch without a charge", () => {
  const objects: [string, object][] = [
    ["is still at work", { status: "in_progress", model: "gpt-4o", usage }],
    ["is being cancelled", { status: "cancelling", model: "gpt-4o", usage }],
    [
      "used nothing",
      { status: "failed", model: "gpt-4o", usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 } },
    ],
    ["has no usage", { status: "completed", model: "gpt-4o" }],
    ["has usage that is none", { status: "completed", model: "gpt-4o", usage: "much" }],
  ];
  for (const [name, object] of objects)
    it(name, async (context) => {
      const gateway = await start(context);
      const client = sdk(gateway);
      const id = await make(client, object);
      await client.batches.retrieve(id);
      await settled(gateway);
      assert.equal(charged(gateway).length, 0);
    });
});
