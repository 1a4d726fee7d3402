/** Images, audio and reranking under budgets and limits: what is reserved, what is refused. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { modelPrice } from "../../crds/types/price.ts";
import { measuredPrice } from "../../operator/compile/measured-price.ts";
import { priceOf } from "../../operator/compile/price.ts";
import { priceTable } from "../../operator/prices/table.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import { noUsage } from "../../proxy/media/format.ts";
import { capabilities as azure } from "../../proxy/providers/azure-openai/capabilities.ts";
import { capabilities as cohere } from "../../proxy/providers/cohere/capabilities.ts";
import { capabilities as openai } from "../../proxy/providers/openai/capabilities.ts";
import { capabilities as vertex } from "../../proxy/providers/vertex-ai/capabilities.ts";
import { costNanoUsd, imageRate, unpriced } from "../../proxy/telemetry/cost.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type MediaUpstream, startMediaUpstream } from "../harness/media-upstream.ts";

const clear = "slc_media_money_00000001";

describe("a hard budget", () => {
  let upstream: MediaUpstream;
  let gateway: TestGateway;
  const client = (): OpenAI => new OpenAI({ apiKey: clear, baseURL: `${gateway.url}/v1`, maxRetries: 0 });

  before(async () => {
    upstream = await startMediaUpstream();
    gateway = await startGateway([
      provider("openai", upstream.url, {
        type: "OpenAI",
        models: [
          { name: "dall-e-3" },
          { name: "tts-1" },
          { name: "omni-moderation-latest" },
          { name: "unpriced-images", price: { inputPerMillion: "0", outputPerMillion: "0" } },
        ],
      }),
      secret("openai-credentials", { apiKey: "sk-up" }),
      policy("all", {
        match: { models: ["dall-e-3", "tts-1", "omni-moderation-latest", "unpriced-images"] },
        routing: { targets: [{ provider: { name: "openai" } }] },
      }),
      ...key("ada", clear),
      {
        kind: "Budget",
        metadata: { name: "all" },
        spec: { amount: "0.10", period: "Total", enforcement: "Hard" },
      },
    ]);
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  it("reserves images by their size and quality, and refuses what is more than it has", async () => {
    const image = { model: "dall-e-3", prompt: "A cat" } as const;
    const isBeyond = (cause: unknown): boolean => cause instanceof OpenAI.APIError && cause.code === "budget_exceeded";
    await assert.rejects(client().images.generate({ ...image, n: 2, quality: "hd", size: "1024x1024" }), isBeyond);
    await assert.rejects(client().images.generate({ ...image, quality: "hd", size: "1792x1024" }), isBeyond);
    await client().images.generate({ ...image, quality: "standard", size: "1024x1024" });
    await client().images.generate({ ...image, quality: "standard", size: "1024x1024" });
    await assert.rejects(client().images.generate({ ...image, quality: "standard", size: "1024x1024" }), isBeyond);
    await client().moderations.create({ model: "omni-moderation-latest", input: "Hi" });
    await assert.rejects(
      client().audio.speech.create({ model: "tts-1", voice: "alloy", input: "a".repeat(4_000) }),
      isBeyond,
    );
  });

  it("refuses calls whose price it doesn't know", async () => {
    await assert.rejects(
      client().images.generate({ model: "unpriced-images", prompt: "A cat" }),
      (cause) => cause instanceof OpenAI.APIError && cause.code === "price_unknown",
    );
  });
});

describe("prices of images, audio and reranking", () => {
  const declared: Readonly<Record<string, Capabilities>> = { openai, azure, cohere, vertex };
  const table = priceTable(new Date("2026-11-30T00:00:00Z"));
  const rows: [string, string, object, number][] = [
    ["openai", "dall-e-3", { units: { image: 1 }, image: { size: "1024x1024", quality: "standard" } }, 0.04],
    ["openai", "dall-e-3", { units: { image: 2 }, image: { size: "1792x1024", quality: "hd" } }, 0.24],
    ["openai", "dall-e-3", { units: { image: 1 }, image: {} }, 0.12],
    ["openai", "dall-e-2", { units: { image: 10 }, image: { size: "256x256", quality: "standard" } }, 0.16],
    ["openai", "tts-1", { units: { character: 1_000 } }, 0.015],
    ["openai", "tts-1-hd", { units: { character: 1_000 } }, 0.03],
    ["openai", "whisper-1", { units: { audioSecond: 3_600 } }, 0.36],
    ["openai", "omni-moderation-latest", {}, 0],
    ["azure", "whisper", { units: { audioSecond: 60 } }, 0.006],
    ["cohere", "rerank-v3.5", { units: { searchUnit: 3 } }, 0.006],
    ["vertex", "semantic-ranker-default-004", { units: { searchUnit: 2 } }, 0.002],
  ];
  for (const [from, model, usage, usd] of rows)
    it(`${from}/${model} costs ${usd} for ${JSON.stringify(usage)}`, () => {
      const price = table(from, model) ?? measuredPrice(declared[from] as Capabilities, model);
      assert.equal(costNanoUsd({ ...noUsage, ...usage }, price), usd * 1_000_000_000);
      assert.deepEqual(unpriced({ ...noUsage, ...usage }, price), []);
    });

  it("are set by a manifest, the first entry that fits", () => {
    const price = priceOf(
      modelPrice.parse({
        inputPerMillion: "0",
        outputPerMillion: "0",
        imagePerThousand: "10",
        charactersPerMillion: "15",
        searchUnitPerThousand: "2",
        images: [
          { size: "1024x1024", quality: "hd", perThousand: "80" },
          { size: "1024x1024", perThousand: "40" },
        ],
      }),
    );
    const nano = 1_000_000_000;
    const rates: [object, number][] = [
      [{ size: "1024x1024", quality: "hd" }, 80],
      [{ size: "1024x1024", quality: "low" }, 40],
      [{ size: "1024x1024" }, 80],
      [{ size: "512x512", quality: "low" }, 10],
      [{}, 80],
    ];
    for (const [shape, usd] of rates) assert.equal(imageRate(price, shape), usd * nano, JSON.stringify(shape));
    assert.equal(costNanoUsd({ ...noUsage, units: { character: 2 } }, price), 30_000);
  });

  it("of a model that is sold by the hour say that its tokens are unknown", () => {
    const price = table("openai", "whisper-1");
    assert.deepEqual(unpriced({ ...noUsage, prompt: 10 }, price), ["tokens"]);
  });
});
