/** Lines of a batch's input are held to the models and the rules that calls are held to, however they are written. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import OpenAI, { toFile } from "openai";
import { LineEditor } from "../../proxy/ids/lines.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { Account } from "../harness/openai-account.ts";

const keys = { ada: "slc_batchlines_ada_001", bob: "slc_batchlines_bob_001" };

const line = (body: unknown, more: object = {}): string =>
  JSON.stringify({ custom_id: "r", method: "POST", url: "/v1/chat/completions", body, ...more });
const messages = [{ role: "user", content: "Hi" }];
const mini = { model: "mini", messages };
const large = { model: "large", messages };

describe("a batch's input", () => {
  const account = new Account();
  let gateway: TestGateway;

  before(async () => {
    const url = await account.start();
    gateway = await startGateway([
      provider("up", url, {
        type: "OpenAI",
        region: "eu",
        models: [
          { name: "mini", upstream: "gpt-4o-mini" },
          { name: "large", upstream: "gpt-4o" },
          { name: "exact", upstream: "exact" },
        ],
      }),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("all", {
        match: { models: ["mini", "large", "exact"] },
        access: { residency: { regions: ["eu"] } },
        routing: { targets: [{ provider: { name: "up" } }] },
        resources: { provider: { name: "up" } },
      }),
      ...key("ada", keys.ada, { role: "data-scientist", user: "ada" }),
      ...key("bob", keys.bob, { role: "data-scientist", user: "bob", models: ["mini", "exact"] }),
    ]);
  });
  after(async () => {
    await gateway?.close();
    account.close();
  });

  const sdk = (user: keyof typeof keys) =>
    new OpenAI({ apiKey: keys[user], baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  const upload = async (text: string, user: keyof typeof keys = "bob"): Promise<string> => {
    const file = await toFile(Buffer.from(text), "a.jsonl");
    await sdk(user).files.create({ file, purpose: "batch" });
    return account.files.at(-1)?.content ?? "";
  };
  const refusal = async (text: string): Promise<string> => {
    const before = account.files.length;
    const failed = await upload(text).then(
      () => null,
      (cause: unknown) => cause as InstanceType<typeof OpenAI.APIError>,
    );
    assert.ok(failed instanceof OpenAI.APIError, `${text} was passed on`);
    assert.equal(account.files.length, before);
    return `${failed.code} ${failed.message}`;
  };

  it("reaches the provider with its own names of the models, and is otherwise the same", async () => {
    const odd =
      '{"custom_id":"b", "method":"POST","url":"/v1/chat/completions","body":{ "model":"mini","seed":12345678901234567890}}';
    assert.equal(
      await upload(`${line(mini)}\n${odd}\n`),
      `${line({ ...mini, model: "gpt-4o-mini" })}\n${odd.replace('"mini"', '"gpt-4o-mini"')}\n`,
    );
  });

  for (const [what, text] of [
    ["the provider's own name of an allowed model", `${line({ model: "gpt-4o-mini", messages })}\n`],
    ["a model that has one name", `${line({ model: "exact", messages })}\n`],
    ["training data", `${JSON.stringify({ messages })}\n`],
    [
      "a document that speaks of bodies",
      `${JSON.stringify({ method: "POST", url: "/x", body: { model: "large" } })}\n`,
    ],
    ["JSON over several lines", JSON.stringify({ body: { model: "large" } }, null, 2)],
  ] as const)
    it(`passes as it is with ${what}`, async () => assert.equal(await upload(text), text));

  const escaped = line(large).replace('"body"', '"b\\u006fdy"').replace('"custom_id"', '"custom\\u005fid"');
  const lenient = line(large).replace("}}", ',"x":NaN}}');
  for (const [what, evil, expected] of [
    ["a model that the key may not use", line(large), /^model_not_allowed .*Line 2: /],
    ["the provider's own name of such a model", line({ ...large, model: "gpt-4o" }), /^model_not_allowed /],
    ["a model that the provider doesn't list", line({ ...large, model: "o9" }), /^model_not_found .*"o9"/],
    ["no model", line({ messages }), /^missing_required_parameter /],
    ["a list of models", line({ ...mini, models: ["gpt-4o"] }), /^unsupported_parameter .*`models`/],
    ["a tool's model", line({ ...mini, tools: [{ type: "advisor", model: "gpt-4o" }] }), /^unsupported_parameter /],
    ["another region", line({ ...mini, inference_geo: "us" }), /^unsupported_parameter .*`inference_geo`/],
    ["a look-alike of `model`", line({ ...mini, Model: "gpt-4o" }), /^invalid_value /],
    ["a look-alike of `body`", line(mini, { Body: large }), /^invalid_(value|json) /],
    ["the model twice", line(mini).replace('"model"', '"model":"large","model"'), /^invalid_json /],
    ["the body twice", `{"body":${JSON.stringify(large)},${line(mini).slice(1)}`, /^invalid_json /],
    ["the body twice, the last of them no object", `${line(large).slice(0, -1)},"body":""}`, /^invalid_json /],
    ["escaped names", escaped, /^model_not_allowed /],
    ["two requests in a line", `${line(mini)}\r${line(large)}`, /^invalid_json /],
    ["a line end that only some know", `${line(mini)}\u2028${line(large)}`, /^invalid_json /],
    ["JSON that only lenient parsers read", lenient, /^invalid_json /],
    ["a byte order mark", `\ufeff${line(large)}`, /^(model_not_allowed|invalid_json) /],
    ["blanks before it", `\u00a0\f   ${line(large)}`, /^(model_not_allowed|invalid_json) /],
  ] as const)
    it(`is refused with ${what}`, async () => assert.match(await refusal(`${line(mini)}\n${evil}\n`), expected));

  it("may have any model that the key may use", async () => {
    assert.equal(await upload(`${line(large)}\n`, "ada"), `${line({ ...large, model: "gpt-4o" })}\n`);
  });

  for (const [what, requests, allowed] of [
    ["a model that the key may not use", [{ custom_id: "a", body: large }], false],
    ["such a model after another one", [{ body: mini }, { params: large }], false],
    ["a list of models", [{ body: { ...mini, models: ["gpt-4o"] } }], false],
    ["a model that it may use", [{ custom_id: "a", body: mini }], true],
  ] as const)
    it(`within the request for the batch, with ${what}, is ${allowed ? "passed on" : "refused"}`, async () => {
      const before = account.batches.length;
      const made = sdk("bob").post("/batches", { body: { endpoint: "/v1/chat/completions", requests } });
      if (allowed) await made;
      else await assert.rejects(made, OpenAI.APIError);
      assert.equal(account.batches.length, before + (allowed ? 1 : 0));
    });

  for (const [what, request, allowed] of [
    ["a model that the key may not use", { model: "gpt-4o" }, false],
    ["a look-alike", { model: "gpt-4o-mini", Model: "gpt-4o" }, false],
    ["a model that it may use", { model: "gpt-4o-mini" }, true],
  ] as const)
    it(`of a fine-tuning job with ${what} is ${allowed ? "passed on" : "refused"}`, async () => {
      await upload(`${JSON.stringify({ messages })}\n`);
      const [file] = (await sdk("bob").files.list()).data;
      const made = sdk("bob").fineTuning.jobs.create({ training_file: file?.id ?? "", ...request });
      if (allowed) await made;
      else await assert.rejects(made, OpenAI.APIError);
    });
});

describe("lines of a stream of bytes", () => {
  it("are recognised wherever the bytes are split", () => {
    const text = Buffer.from('--x\r\n\r\n          {"a":1}\r\n\u00a0\ufeff{"a":2}\n{"a":3}\nno {"a":4}\n{"a":5}');
    for (let size = 1; size <= text.length; size++) {
      const seen: [number, string][] = [];
      const editor = new LineEditor(1_000, (line, number) => {
        seen.push([number, line.replace(/[^\x21-\x7e]/g, "")]);
        return null;
      });
      const out: Buffer[] = [];
      for (let from = 0; from < text.length; from += size) out.push(editor.push(text.subarray(from, from + size)));
      out.push(editor.end());
      assert.ok(Buffer.concat(out).equals(text));
      assert.deepEqual(seen, [
        [1, '{"a":1}'],
        [2, '{"a":2}'],
        [3, '{"a":3}'],
        [5, '{"a":5}'],
      ]);
    }
  });
});
