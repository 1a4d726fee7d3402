/** Anthropic's message batches and files with its SDK: whose they are, and what batches cost. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import Anthropic, { toFile } from "@anthropic-ai/sdk";
import { AnthropicAccount, resultUsage } from "../harness/anthropic-account.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { Account } from "../harness/openai-account.ts";

const keys = { ada: "slc_msgbatches_ada_00001", bob: "slc_msgbatches_bob_00001", eve: "slc_msgbatches_eve_00001" };

describe("batches of messages, and files, of Anthropic", () => {
  const account = new AnthropicAccount();
  const openai = new Account();
  let gateway: TestGateway;

  before(async () => {
    const [url, openaiUrl] = [await account.start(), await openai.start()];
    gateway = await startGateway([
      provider("claude", url, {
        type: "Anthropic",
        endpoint: url,
        region: "eu",
        models: [
          { name: "sonnet", upstream: "claude-sonnet-4-5", price: { inputPerMillion: "3", outputPerMillion: "15" } },
          { name: "opus", upstream: "claude-opus-4-5" },
        ],
      }),
      provider("gpt", openaiUrl, { type: "OpenAI", models: [{ name: "gpt-4o" }] }),
      secret("claude-credentials", { apiKey: "sk-ant-up" }),
      secret("gpt-credentials", { apiKey: "sk-upstream" }),
      policy("claude", {
        match: { models: ["sonnet", "opus"] },
        access: { residency: { regions: ["eu"] } },
        routing: { targets: [{ provider: { name: "claude" } }] },
        resources: { provider: { name: "claude" } },
      }),
      policy("gpt", {
        match: { models: ["gpt-4o"] },
        routing: { targets: [{ provider: { name: "gpt" } }] },
        resources: { provider: { name: "gpt" } },
      }),
      ...key("ada", keys.ada, { role: "data-scientist", user: "ada" }),
      ...key("bob", keys.bob, { role: "data-scientist", user: "bob", models: ["sonnet"] }),
      ...key("eve", keys.eve, { user: "eve" }),
      { kind: "Budget", metadata: { name: "all" }, spec: { amount: "100", period: "Total", enforcement: "Soft" } },
    ]);
  });
  after(async () => {
    await gateway?.close();
    account.close();
    openai.close();
  });

  const sdk = (user: keyof typeof keys = "ada"): Anthropic =>
    new Anthropic({ apiKey: keys[user], baseURL: gateway.url, maxRetries: 0 });
  const request = (custom_id: string, model = "sonnet") => ({
    custom_id,
    params: { model, max_tokens: 10, messages: [{ role: "user" as const, content: "Hi" }] },
  });
  const make = (user: keyof typeof keys = "ada", ...models: string[]) =>
    sdk(user).messages.batches.create({
      requests: (models.length === 0 ? ["sonnet"] : models).map((model, at) => request(`r${at}`, model)),
    });
  const idsOf = async (user: keyof typeof keys): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of sdk(user).messages.batches.list()) ids.push(id);
    return ids;
  };
  const isStatus = (status: number) => (cause: unknown) =>
    cause instanceof Anthropic.APIError && cause.status === status;
  const charged = () => gateway.logs.filter((line) => line["operation"] === "batch");

  it("are made with the provider's names of models, fetched, cancelled and deleted", async () => {
    const batch = await make("ada", "sonnet", "sonnet");
    assert.match(batch.id, /^msgbatch_\d+_s1/);
    assert.deepEqual(
      account.batches.at(-1)?.requests.map(({ params }) => params["model"]),
      ["claude-sonnet-4-5", "claude-sonnet-4-5"],
    );
    const batches = sdk().messages.batches;
    assert.equal((await batches.retrieve(batch.id)).id, batch.id);
    assert.equal((await batches.cancel(batch.id)).processing_status, "ended");
    assert.equal((await batches.delete(batch.id)).id, batch.id);
    await assert.rejects(batches.retrieve(batch.id), isStatus(404));
  });

  it("are seen by their user only", async () => {
    const batch = await make("ada");
    assert.ok((await idsOf("ada")).includes(batch.id));
    assert.deepEqual(await idsOf("bob"), []);
    const others = sdk("bob").messages.batches;
    for (const call of [
      others.retrieve(batch.id),
      others.cancel(batch.id),
      others.delete(batch.id),
      others.results(batch.id),
    ])
      await assert.rejects(call, isStatus(404));
    await assert.rejects(sdk("bob").messages.batches.retrieve(account.batches.at(-1)?.id ?? ""), isStatus(404));
  });

  it("are refused with models that the key or the provider doesn't have, and without the permission", async () => {
    await assert.rejects(make("bob", "opus"), isStatus(403));
    await assert.rejects(make("ada", "claude-3-haiku"), isStatus(404));
    await assert.rejects(make("eve"), isStatus(403));
    await assert.rejects(sdk().messages.batches.create({ requests: [] }), isStatus(400));
  });

  for (const [what, params] of [
    ["another model", { fallbacks: ["claude-opus-4-5"] }],
    ["a tool's model", { tools: [{ type: "advisor_20260301", name: "advisor", model: "claude-haiku-4-5" }] }],
    ["another region", { inference_geo: "us" }],
  ] as const)
    it(`are refused with ${what}, as calls are`, async () => {
      const before = account.batches.length;
      const { custom_id, params: usual } = request("r0");
      const asked = { ...usual, ...params } as typeof usual;
      await assert.rejects(sdk().messages.create(asked), isStatus(400));
      await assert.rejects(sdk().messages.batches.create({ requests: [{ custom_id, params: asked }] }), isStatus(400));
      assert.equal(account.batches.length, before);
    });

  it("are charged once, at half the price, to their user, by what the results say", async () => {
    const batch = await make("ada", "sonnet", "sonnet");
    (account.batches.at(-1) as { ended: boolean }).ended = true;
    const before = charged().length;
    for (let read = 0; read < 2; read++) {
      const ids: string[] = [];
      for await (const line of await sdk().messages.batches.results(batch.id)) ids.push(line.custom_id);
      assert.deepEqual(ids, ["r0", "r1"]);
    }
    const lines = await eventually(() => (charged().length > before ? charged().slice(before) : undefined));
    const cost = (2 * (1_000 * 3_000 + 200 * 15_000)) / 2;
    assert.deepEqual(
      lines.map((line) => [line["cost_nano_usd"], line["model"], line["user"]]),
      [[cost, "sonnet", "ada"]],
    );
    await eventually(async () => {
      const answer = await fetch(`${gateway.statusUrl}/budgets`);
      const { budgets } = (await answer.json()) as { budgets: { spentNanoUsd: number }[] };
      return budgets[0]?.spentNanoUsd === cost;
    });
  });

  for (const [what, usage] of [
    ["far too large", { input_tokens: 1e9, output_tokens: 1e9 }],
    ["larger than any number", { input_tokens: 1e300, output_tokens: 1e300 }],
    ["negative", { input_tokens: -1, output_tokens: 5 }],
    ["text", { input_tokens: "12", output_tokens: 5 }],
  ] as const)
    it(`are charged by their answers where the usage is ${what}, and that is counted`, async (context) => {
      const batch = await make("ada", "sonnet", "sonnet");
      (account.batches.at(-1) as { ended: boolean }).ended = true;
      const before = charged().length;
      account.usage = usage;
      context.after(() => {
        account.usage = resultUsage;
      });
      for await (const line of await sdk().messages.batches.results(batch.id)) assert.ok(line.custom_id);
      const [line] = await eventually(() => (charged().length > before ? charged().slice(before) : undefined));
      const cost = Number(line?.["cost_nano_usd"]);
      assert.ok(cost > 0 && cost < 1_000_000, String(cost));
      assert.match(
        await gateway.metrics(),
        /ai_gateway_implausible_usage_total\{[^}]*provider="default\/claude"[^}]*\} [1-9]/,
      );
    });

  it("are charged in full to a caller who leaves while the results arrive", async () => {
    const batch = await make("ada", ...Array.from({ length: 2_000 }, () => "sonnet"));
    (account.batches.at(-1) as { ended: boolean }).ended = true;
    const before = charged().length;
    const leaving = new AbortController();
    const answer = await fetch(`${gateway.url}/v1/messages/batches/${batch.id}/results`, {
      headers: { "x-api-key": keys.ada, "anthropic-version": "2023-06-01" },
      signal: leaving.signal,
    });
    await answer.body?.getReader().read();
    leaving.abort();
    const line = await eventually(() => (charged().length > before ? charged().at(-1) : undefined));
    assert.equal(line["input_tokens"], 2_000_000);
  });

  it("and files are kept apart from those of OpenAI's API, under the same path", async () => {
    const files = sdk().beta.files;
    const file = await files.upload({ file: await toFile(Buffer.from("words"), "notes.txt", { type: "text/plain" }) });
    assert.equal(file.filename, "notes.txt");
    assert.match(account.files.at(-1)?.filename ?? "", /^sl1-[\w-]{16}-notes\.txt$/);
    assert.equal((await files.retrieveMetadata(file.id)).id, file.id);
    assert.equal(await (await files.download(file.id)).text(), "words");
    const names = async (user: keyof typeof keys): Promise<string[]> => {
      const all: string[] = [];
      for await (const { filename } of sdk(user).beta.files.list()) all.push(filename);
      return all;
    };
    assert.deepEqual([await names("ada"), await names("bob")], [["notes.txt"], []]);
    await assert.rejects(sdk("bob").beta.files.retrieveMetadata(file.id), isStatus(404));
    const listed = await fetch(`${gateway.url}/v1/files`, { headers: { authorization: `Bearer ${keys.ada}` } });
    assert.deepEqual(((await listed.json()) as { data: unknown[] }).data, []);
    assert.equal((await files.delete(file.id)).id, file.id);
  });
});
