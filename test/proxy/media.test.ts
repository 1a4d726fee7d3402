/** Images, audio, moderations and reranking, with OpenAI's SDK: what arrives at the provider, and what it costs. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, beforeEach, describe, it } from "node:test";
import OpenAI, { AzureOpenAI, toFile } from "openai";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type MediaUpstream, pixels, spoken, startMediaUpstream, transcript } from "../harness/media-upstream.ts";

const clear = "slc_media_ada_000000001";
const usd = 1_000_000_000;

const models = [
  { name: "dall-e-3" },
  { name: "painter", upstream: "gpt-image-1" },
  { name: "tts-1" },
  { name: "gpt-4o-mini-tts" },
  { name: "whisper-1" },
  { name: "gpt-4o-transcribe" },
  { name: "omni-moderation-latest" },
];
const names = models.map(({ name }) => name);
const target = (name: string) => ({ provider: { name } });

/** A second of silence: 8,000 samples of one byte. */
function wave(seconds: number): Buffer {
  const head = Buffer.alloc(44);
  head.write("RIFF....WAVEfmt ", "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8_000, 24);
  head.writeUInt32LE(8_000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36, "latin1");
  return Buffer.concat([head, Buffer.alloc(8_000 * seconds - 44)]);
}

const recording = () => toFile(wave(60), "call.wav", { type: "audio/wav" });
const picture = () => toFile(Buffer.alloc(64, 1), "in.png", { type: "image/png" });

describe("images, audio, moderations and reranking", () => {
  let upstream: MediaUpstream;
  let gateway: TestGateway;
  let client: OpenAI;

  before(async () => {
    upstream = await startMediaUpstream();
    const endpoint = `${upstream.url}/v1`;
    const compatible = (name: string, spec: object) => provider(name, upstream.url, spec as Record<string, unknown>);
    gateway = await startGateway([
      provider("openai", upstream.url, { type: "OpenAI", endpoint, models, circuitBreaker: { failureThreshold: 100 } }),
      compatible("spare", { models: [{ name: "dall-e-3" }], options: { surfaces: "Images" } }),
      compatible("text", { models: [{ name: "words" }, { name: "dall-e-3" }] }),
      compatible("jina", {
        preset: "Jina",
        models: [{ name: "jina-reranker-v3", price: { inputPerMillion: "0.05", outputPerMillion: "0" } }],
      }),
      provider("cohere", upstream.url, {
        type: "Cohere",
        endpoint: `${upstream.url}/v2`,
        models: [{ name: "rerank-v3.5" }],
      }),
      provider("azure", upstream.url, {
        type: "AzureOpenAI",
        endpoint: upstream.url,
        options: { surface: "Deployments" },
        models: [
          { name: "azure-images", upstream: "prod images" },
          { name: "azure-whisper", upstream: "prod-whisper" },
        ],
      }),
      ...["openai", "spare", "text", "jina", "cohere"].map((name) =>
        secret(`${name}-credentials`, { apiKey: "sk-up" }),
      ),
      secret("azure-credentials", { apiKey: "key-azure" }),
      policy("openai", { match: { models: names }, routing: { targets: [target("openai")] } }),
      policy("spared", {
        match: { pathPrefix: "/spared", models: ["dall-e-3"] },
        routing: { targets: [target("text"), target("openai"), target("spare")] },
      }),
      policy("text", { match: { models: ["words"] }, routing: { targets: [target("text")] } }),
      policy("ranked", { match: { models: ["jina-reranker-v3"] }, routing: { targets: [target("jina")] } }),
      policy("cohere", { match: { models: ["rerank-v3.5"] }, routing: { targets: [target("cohere")] } }),
      policy("azure", {
        match: { models: ["azure-images", "azure-whisper"] },
        routing: { targets: [target("azure")] },
      }),
      policy("masked", {
        match: { pathPrefix: "/masked", models: names },
        routing: { targets: [target("openai")] },
        guard: { deny: ["forbidden fruit"], mask: { detect: ["Email"], answers: true } },
        request: { defaults: { temperature: 0.5, quality: "hd" } },
      }),
      policy("recorded", {
        match: { pathPrefix: "/recorded", models: names },
        routing: { targets: [target("openai")] },
        logging: { payloads: true },
      }),
      ...key("ada", clear, { user: "ada" }),
    ]);
    client = sdk();
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });
  beforeEach(() => void (upstream.asked.length = 0));

  const sdk = (prefix = "/v1"): OpenAI =>
    new OpenAI({ apiKey: clear, baseURL: `${gateway.url}${prefix}`, maxRetries: 0 });
  const sent = () => upstream.asked.at(-1);
  const lastLine = (): Record<string, unknown> => gateway.logs.findLast((line) => "cost_nano_usd" in line) ?? {};
  /** The log line of the latest call with this operation. */
  const lineOf = (operation: string) =>
    eventually(() => (lastLine()["operation"] === operation ? lastLine() : undefined));
  const costs = async (operation: string, expected: number | null): Promise<Record<string, unknown>> => {
    const line = await lineOf(operation);
    assert.equal(line["cost_nano_usd"], expected);
    return line;
  };

  it("make images at the price of their size and quality", async () => {
    const { data } = await client.images.generate({
      model: "dall-e-3",
      prompt: "A cat",
      n: 2,
      size: "1024x1792",
      quality: "hd",
      response_format: "url",
    });
    assert.equal(data?.length, 2);
    assert.equal(sent()?.path, "/v1/images/generations");
    const line = await costs("openai.images", 2 * 0.12 * usd);
    assert.deepEqual([line["images"], line["model"], line["provider"]], [2, "dall-e-3", "default/openai"]);
  });

  it("charge images that are made of tokens by what the answer reports", async () => {
    const made = await client.images.generate({ model: "painter", prompt: "A cat" });
    assert.equal(made.data?.[0]?.b64_json, pixels);
    assert.equal(sent()?.body["model"], "gpt-image-1");
    await costs("openai.images", 10 * 5_000 + 40 * 10_000 + 4_160 * 40_000);
  });

  it("stream images", async () => {
    const kinds: string[] = [];
    const stream = await client.images.generate({ model: "painter", prompt: "A cat", stream: true, partial_images: 1 });
    for await (const event of stream) kinds.push(event.type);
    assert.deepEqual(kinds, ["image_generation.partial_image", "image_generation.completed"]);
    await costs("openai.images", 10 * 5_000 + 40 * 10_000 + 4_160 * 40_000);
  });

  it("edit images that are uploaded", async () => {
    const image = [await picture(), await picture()];
    const edited = await client.images.edit({ model: "painter", prompt: "More cats", image, mask: await picture() });
    assert.equal(edited.data?.length, 1);
    assert.deepEqual(
      [
        sent()?.path,
        sent()?.body["model"],
        sent()
          ?.files.map(({ name, filename, bytes }) => [name, filename, bytes])
          .sort(),
      ],
      [
        "/v1/images/edits",
        "gpt-image-1",
        [
          ["image", "in.png", 64],
          ["image", "in.png", 64],
          ["mask", "in.png", 64],
        ],
      ],
    );
    await lineOf("openai.image_edits");
    await client.images.createVariation({ model: "dall-e-3", image: await picture() });
    assert.equal(sent()?.path, "/v1/images/variations");
  });

  it("speak, byte for byte, at the price of the characters", async () => {
    const answer = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Grüße 👋" });
    assert.equal(answer.headers.get("content-type"), "audio/mpeg");
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), spoken);
    const line = await costs("openai.speech", 7 * 15_000);
    assert.equal(line["characters"], 7);
  });

  it("speak as events, at the price of the tokens that the last one reports", async () => {
    const answer = await client.audio.speech.create({
      model: "gpt-4o-mini-tts",
      voice: "alloy",
      input: "Hello",
      stream_format: "sse",
    });
    assert.match(await answer.text(), /speech\.audio\.delta[\s\S]*speech\.audio\.done/);
    await costs("openai.speech", 8 * 600 + 30 * 12_000);
  });

  it("cut off a file that the provider doesn't finish", async () => {
    upstream.breakNext();
    const answer = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello" });
    await assert.rejects(answer.arrayBuffer());
    const line = await costs("openai.speech", 5 * 15_000);
    assert.equal(line["code"], "upstream_stream_truncated");
  });

  const minute = 61 * 100_000;
  const written: [string, object, RegExp, number][] = [
    ["as JSON, by the seconds that the answer reports", { response_format: "json" }, /ada@example\.com/, minute],
    ["as subtitles, by when they end", { response_format: "srt" }, /00:01:00,500/, minute],
    ["as text, by the length of the recording", { response_format: "text" }, /^Call me/, 60 * 100_000],
  ];
  for (const [name, body, expected, cost] of written)
    it(`transcribe ${name}`, async () => {
      const answer: unknown = await client.audio.transcriptions.create({
        model: "whisper-1",
        file: await recording(),
        ...body,
      });
      assert.match(typeof answer === "string" ? answer : (answer as { text: string }).text, expected);
      assert.deepEqual(sent()?.files, [{ name: "file", filename: "call.wav", bytes: 480_000 }]);
      await costs("openai.transcriptions", cost);
    });

  it("transcribe by tokens, whole and as a stream, and translate", async () => {
    const cost = 160 * 6_000 + 10 * 2_500 + 20 * 10_000;
    const file = await recording();
    const whole = await client.audio.transcriptions.create({
      model: "gpt-4o-transcribe",
      file,
      include: ["logprobs"],
      timestamp_granularities: ["word"],
    });
    assert.equal(whole.text, transcript);
    assert.deepEqual([sent()?.body["include"], sent()?.body["timestamp_granularities"]], [["logprobs"], ["word"]]);
    await costs("openai.transcriptions", cost);
    let text = "";
    const stream = await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file, stream: true });
    for await (const event of stream) if (event.type === "transcript.text.delta") text += event.delta;
    assert.equal(text, transcript);
    await costs("openai.transcriptions", cost);
    assert.equal((await client.audio.translations.create({ model: "whisper-1", file })).text, transcript);
    await costs("openai.translations", minute);
  });

  it("moderate for nothing", async () => {
    const input = [{ type: "text" as const, text: "Hi" }];
    const { results } = await client.moderations.create({ model: "omni-moderation-latest", input });
    assert.equal(results[0]?.flagged, false);
    await costs("openai.moderations", 0);
  });

  const rerank = (path: string, body: object) =>
    fetch(`${gateway.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ query: "cat", documents: ["a cat", { text: "a dog" }], ...body }),
    });

  it("rerank in Jina's shape, by the tokens", async () => {
    const answer = await rerank("/v1/rerank", { model: "jina-reranker-v3", top_n: 1, return_documents: true });
    assert.equal(((await answer.json()) as { results: unknown[] }).results.length, 2);
    await costs("cohere.rerank", 40 * 50);
  });

  it("rerank by Cohere, by search units, without what its version 2 lacks", async () => {
    const answer = await rerank("/v2/rerank", { model: "rerank-v3.5", return_documents: true });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("x-sluice-dropped-params"), "return_documents");
    assert.deepEqual([sent()?.path, sent()?.body["documents"]], ["/v2/rerank", ["a cat", "a dog"]]);
    const line = await costs("cohere.rerank", 2_000_000);
    assert.equal(line["search_units"], 1);
  });

  it("reach Azure by the deployment's path, also from Azure's SDK", async () => {
    const azure = new AzureOpenAI({ endpoint: gateway.url, apiKey: clear, apiVersion: "2024-10-21", maxRetries: 0 });
    await azure.images.generate({ model: "azure-images", prompt: "A cat" });
    assert.match(sent()?.path ?? "", /^\/openai\/deployments\/prod%20images\/images\/generations\?api-version=/);
    await azure.audio.transcriptions.create({ model: "azure-whisper", file: await recording() });
    assert.match(sent()?.path ?? "", /^\/openai\/deployments\/prod-whisper\/audio\/transcriptions\?/);
    assert.equal(sent()?.body["model"], "prod-whisper");
  });

  it("go to the targets that have them, and on to the next where one fails", async () => {
    upstream.failNext(503);
    const made = await sdk("/spared").images.generate({ model: "dall-e-3", prompt: "A cat" }).withResponse();
    assert.equal(made.response.headers.get("x-provider-used"), "spare");
    assert.deepEqual(
      upstream.asked.map(({ path }) => path),
      ["/v1/images/generations", "/v1/images/generations"],
    );
  });

  const refusals: [string, () => Promise<unknown>, number, string, RegExp][] = [
    [
      "a provider without images",
      () => client.images.generate({ model: "words", prompt: "A cat" }),
      400,
      "unsupported_operation",
      /No provider of this model has image generation/,
    ],
    [
      "no prompt",
      () => client.images.generate({ model: "dall-e-3" } as never),
      400,
      "missing_required_parameter",
      /prompt/,
    ],
    [
      "no upload",
      () => client.audio.transcriptions.create({ model: "whisper-1", file: "words" as never }),
      400,
      "missing_required_parameter",
      /file/,
    ],
    [
      "a model that the key can't use",
      async () => client.audio.transcriptions.create({ model: "other", file: await recording() }),
      404,
      "model_not_found",
      /other/,
    ],
    [
      "an upload as JSON",
      () => client.post("/audio/transcriptions", { body: { model: "whisper-1" } }),
      415,
      "unsupported_media_type",
      /multipart\/form-data/,
    ],
    [
      "what the provider refuses, in its words",
      () => client.images.generate({ model: "dall-e-3", prompt: "A cat", colour: "red" } as never),
      400,
      "upstream_rejected_request",
      /colour/,
    ],
    [
      "a prompt that the policy denies",
      () => sdk("/masked").images.generate({ model: "dall-e-3", prompt: "forbidden fruit" }),
      400,
      "prompt_denied",
      /./,
    ],
    [
      "the same in a form",
      async () => sdk("/masked").images.edit({ model: "painter", prompt: "forbidden fruit", image: await picture() }),
      400,
      "prompt_denied",
      /./,
    ],
  ];
  for (const [name, call, status, code, message] of refusals)
    it(`refuse ${name}: ${status} ${code}`, async () => {
      await assert.rejects(call, (cause) => {
        assert.ok(cause instanceof OpenAI.APIError);
        assert.deepEqual([cause.status, cause.code], [status, code]);
        assert.match(cause.message, message);
        return true;
      });
    });

  it("mask personal data in prompts, forms and transcripts, and take only parameters that fit", async () => {
    const masked = sdk("/masked");
    await masked.images.generate({ model: "dall-e-3", prompt: "A card for bob@example.com" });
    assert.deepEqual(sent()?.body, { model: "dall-e-3", prompt: "A card for [EMAIL]", quality: "hd" });
    const file = await recording();
    const whole = await masked.audio.transcriptions.create({ model: "whisper-1", file, prompt: "For bob@example.com" });
    assert.deepEqual([sent()?.body["prompt"], sent()?.files[0]?.bytes], ["For [EMAIL]", 480_000]);
    assert.equal(whole.text, "Call me at [EMAIL], please.");
    const text = await masked.audio.transcriptions.create({ model: "whisper-1", file, response_format: "text" });
    assert.equal(String(text).trim(), "Call me at [EMAIL], please.");
    let streamed = "";
    for await (const event of await masked.audio.transcriptions.create({ model: "whisper-1", file, stream: true }))
      if (event.type === "transcript.text.delta") streamed += event.delta;
    assert.equal(streamed, "Call me at [EMAIL], please.");
    await masked.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Write to bob@example.com" });
    assert.equal(sent()?.body["input"], "Write to [EMAIL]");
  });

  it("log no bytes of files", async () => {
    const recorded = sdk("/recorded");
    await recorded.images.edit({ model: "painter", prompt: "A hat", image: await picture() });
    const line = await eventually(() => gateway.logs.findLast((one) => "request_body" in one));
    const text = JSON.stringify(line);
    assert.match(text, /A hat/);
    assert.match(text, /in\.png/);
    assert.ok(!text.includes(pixels.slice(0, 64)), text.slice(0, 400));
  });

  it("are counted in the usage ledger, in their own units", async () => {
    const rows = await eventually(async () => {
      const answer = await fetch(`${gateway.statusUrl}/usage?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z`);
      const { rows: all } = (await answer.json()) as { rows: LedgerRow[] };
      const of = (model: string): LedgerRow | undefined => all.find((row) => row.model === model);
      const found = ["dall-e-3", "tts-1", "whisper-1", "rerank-v3.5"].map(of);
      return found.every((row) => row !== undefined) ? found : undefined;
    });
    const [images, speech, transcripts, ranked] = rows as LedgerRow[];
    assert.deepEqual(
      [(images?.images ?? 0) > 1, (speech?.characters ?? 0) > 11, (transcripts?.audioSeconds ?? 0) > 120],
      [true, true, true],
    );
    assert.equal(ranked?.searchUnits, 1);
    assert.match(await gateway.metrics(), /ai_gateway_units_total\{[^}]*model="dall-e-3"[^}]*unit="images"/);
  });
});
