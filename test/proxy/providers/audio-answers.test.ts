/** Chats that ask for an answer in sound: passed through and charged, and refused where the provider can't speak. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { type Json, list, own } from "../../harness/strict/json.ts";
import { json, startUpstream, type Upstream } from "../../harness/upstream.ts";

const clear = "slc_audio_answers_0001";
const audio = { id: "audio_1", data: "UklGRg==", expires_at: 9, transcript: "Hello." };
const usage = {
  prompt_tokens: 10,
  completion_tokens: 100,
  total_tokens: 110,
  completion_tokens_details: { audio_tokens: 80 },
};
const frame = (delta: Json, more: Json = {}): Json => ({
  id: "c",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta, finish_reason: null }],
  ...more,
});
const frames = [
  frame({ role: "assistant", content: null }),
  frame({ audio: { id: "audio_1", transcript: "Hel" } }),
  frame({ audio: { data: "UklGRg==", transcript: "lo." } }),
  frame({}, { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }),
  frame({}, { choices: [], usage }),
];
/** 10 + 20 tokens of text at $1, 80 of sound at $1,000 for a million each. */
const price = { inputPerMillion: "1", outputPerMillion: "1", outputAudioPerMillion: "1000" };
const nanoUsd = 30 * 1_000 + 80 * 1_000_000;
const asked = { modalities: ["text", "audio"], audio: { voice: "ash", format: "wav" } };

describe("an answer in sound", () => {
  let upstream: Upstream;
  let gateway: TestGateway;

  before(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.json["stream"] !== true) {
        const message = { role: "assistant", content: null, refusal: null, audio };
        const choices = [{ index: 0, message, finish_reason: "stop" }];
        return json(response, 200, { id: "c", object: "chat.completion", created: 1, model: "m", choices, usage });
      }
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const chunk of frames) response.write(`data: ${JSON.stringify(chunk)}\n\n`);
      return void response.end("data: [DONE]\n\n");
    });
    const target = (name: string, type: string, options: Json = {}) => [
      secret(`${name}-credentials`, { apiKey: "k" }),
      provider(name, "", { type, endpoint: `${upstream.url}/v1`, options, models: [{ name, price }] }),
      policy(name, { match: { models: [name] }, routing: { targets: [{ provider: { name } }] } }),
    ];
    gateway = await startGateway([
      ...target("openai", "OpenAI"),
      ...target("anthropic", "Anthropic"),
      ...target("gemini", "Gemini"),
      ...target("mistral", "Mistral"),
      ...target("cohere", "Cohere"),
      ...target("bedrock", "Bedrock", { region: "us-east-1" }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  const ask = (model: string, more: Json = {}): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], ...asked, ...more }),
    });
  const calls = () => gateway.logs.filter(({ msg }) => msg === "call");

  it("arrives whole, and is charged by its sound", async () => {
    const before = calls().length;
    const body = own(await (await ask("openai")).json());
    const { id, ...sound } = own(own(list(body["choices"])[0]?.["message"])["audio"]);
    const { id: theirs, ...rest } = audio;
    assert.deepEqual(sound, rest);
    assert.ok(String(id).startsWith(theirs), "sealed, for it stands for what the provider keeps");
    assert.deepEqual(upstream.requests.at(-1)?.json["audio"], asked.audio);
    const line = await eventually(() => calls()[before]);
    assert.equal(Number(line["cost_nano_usd"]), nanoUsd);
  });

  it("arrives in pieces, and is charged by its sound", async () => {
    const before = calls().length;
    const text = await (await ask("openai", { stream: true })).text();
    const chunks = text
      .split("\n")
      .flatMap((line) => (line.startsWith("data: {") ? [JSON.parse(line.slice(6)) as Json] : []));
    const pieces = chunks.map((chunk) => own(own(list(chunk["choices"])[0]?.["delta"])["audio"]));
    assert.equal(pieces.map(({ transcript = "" }) => transcript).join(""), audio.transcript);
    assert.match(text, /\[DONE\]/);
    const line = await eventually(() => calls()[before]);
    assert.equal(Number(line["cost_nano_usd"]), nanoUsd);
  });

  for (const model of ["anthropic", "gemini", "mistral", "cohere", "bedrock"])
    for (const more of [{}, { audio: null }])
      it(`is refused by ${model}, which the error says: ${JSON.stringify(more)}`, async () => {
        const sent = upstream.requests.length;
        const response = await ask(model, more);
        const error = own(own(await response.json())["error"]);
        assert.equal(response.status, 400);
        assert.match(String(error["param"]), /^(audio|modalities)$/);
        assert.match(String(error["message"]), /Leave|choose/);
        assert.equal(upstream.requests.length, sent);
      });
});
