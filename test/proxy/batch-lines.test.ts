/** Lines of a batch's input are held to the models and the rules that calls are held to, however they are written. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import OpenAI, { toFile } from "openai";
import { LineEditor } from "../../proxy/ids/lines.ts";
import { PartHeads } from "../../proxy/media/part-heads.ts";
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
    ["zero bytes between its characters", line(large).replace(/./g, "$&\0"), /^invalid_json /],
    ["zero bytes before its characters", line(large).replace(/./g, "\0$&"), /^invalid_json /],
    ["zero bytes around escaped names", escaped.replace(/./g, "\0\0\0$&"), /^invalid_json /],
    ["blanks before it", `\u00a0\f   ${line(large)}`, /^(model_not_allowed|invalid_json) /],
  ] as const)
    it(`is refused with ${what}`, async () => assert.match(await refusal(`${line(mini)}\n${evil}\n`), expected));

  /** A form as it is sent. `head`: further headers of the file's part. */
  const form = (head: string, content: string, first = ""): string =>
    `${first}--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n${head}\r\n${content}\r\n--b--\r\n`;
  const send = async (body: string | Buffer, contentType = "multipart/form-data; boundary=b"): Promise<string> => {
    const response = await fetch(`${gateway.url}/v1/files`, {
      method: "POST",
      headers: { authorization: `Bearer ${keys.bob}`, "content-type": contentType },
      body,
    });
    const { error } = (await response.json()) as { error?: { code: string; message: string } };
    return `${response.status} ${error?.code ?? ""} ${error?.message ?? ""}`.trim();
  };
  const base64 = Buffer.from(line(large)).toString("base64");
  const quoted = line(large).replace("{", "=7B");
  const encodedPart = /^400 invalid_value The form can't be read: a part is encoded/;
  for (const [what, body, contentType] of [
    ["base64", form("Content-Transfer-Encoding: base64\r\n", base64)],
    ["quoted-printable", form("Content-Transfer-Encoding: quoted-printable\r\n", quoted)],
    ["an encoding in other letters", form("CONTENT-transfer-ENCODING:Base64\r\n", base64)],
    ["an encoding on the next line", form("Content-Transfer-Encoding:\r\n quoted-printable\r\n", quoted)],
    ["a blank before the colon", form("Content-Transfer-Encoding : base64\r\n", base64)],
    ["an encoding that nobody knows", form("Content-Transfer-Encoding: x-uuencode\r\n", base64)],
    ["two encodings", form("Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64\r\n", base64)],
    ["Unix's line ends", form("Content-Transfer-Encoding: base64\r\n", base64).replaceAll("\r", "")],
    ["something before the form", form("Content-Transfer-Encoding: base64\r\n", base64, "x--b \r\n")],
    [
      "a quoted boundary",
      form("Content-Transfer-Encoding: base64\r\n", base64),
      'multipart/form-data; charset=utf-8; boundary="b"',
    ],
  ] as const)
    it(`is refused in a part with ${what}`, async () => {
      const before = account.files.length;
      assert.match(await send(body, contentType), encodedPart);
      assert.equal(account.files.length, before);
    });

  it("is refused in an encoded part, wherever the bytes are split", () => {
    const text = Buffer.from(form("Content-Transfer-Encoding: base64\r\n", base64));
    for (let size = 1; size < 200; size++) {
      const heads = new PartHeads("b");
      let problem: string | null = null;
      for (let from = 0; from < text.length; from += size) problem ??= heads.push(text.subarray(from, from + size));
      assert.match(problem ?? "", /encoded/, `${size}`);
    }
  });

  for (const contentType of [
    "application/octet-stream",
    "application/json",
    "multipart/mixed; boundary=b",
    "multipart/form-data",
    "multipart/form-data; boundary=b; boundary=c",
    "multipart/form-data; boundary=b; boundary*0=c",
    "multipart/form-data; boundary*=b; x=1",
    'multipart/form-data; boundary="\\b"',
    "multipart/form-data; boundary=\\b",
    'multipart/form-data; boundary="b "',
    'multipart/form-data; boundary="b',
  ])
    it(`is refused as ${contentType}`, async () =>
      assert.match(await send(form("", base64), contentType), /^415 unsupported_media_type /));

  for (const [what, head, content] of [
    ["a part that says that it is sent as it is", "Content-Transfer-Encoding: binary\r\n", `${line(mini)}\n`],
    ["a stored e-mail", "", "--x\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--x--\r\n"],
    ["a document with zero bytes", "", '\0\0{"body":\0\n\0{\0\xff\0'],
    ["many lines", "", `${line(mini)}\n`.repeat(2_000)],
  ] as const)
    it(`passes with ${what}`, async () => assert.equal(await send(form(head, content)), "200"));

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
