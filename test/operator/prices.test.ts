import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { calcPrice, findProvider } from "@pydantic/genai-prices";
import { priceFields } from "../../crds/types/price.ts";
import { priceOf, withUsualModes } from "../../operator/compile/price.ts";
import { believable, priceTable } from "../../operator/prices/table.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import type { Price } from "../../proxy/config/price.ts";
import { tokenUnits, useUnits } from "../../proxy/config/price.ts";
import type { Usage } from "../../proxy/dialects/canonical.ts";
import { costNanoUsd, unpriced } from "../../proxy/telemetry/cost.ts";
import fc, { runs } from "../harness/property.ts";

const now = new Date("2026-11-20T00:00:00Z");
const table = priceTable(now);

import { eventually, key, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { startUpstream } from "../harness/upstream.ts";

describe("published prices", () => {
  const rows: { provider: string; model: string; expected: Partial<Price> | null }[] = [
    {
      provider: "openai",
      model: "gpt-4o-2024-08-06",
      expected: { input: 2_500_000_000, cachedInput: 1_250_000_000, output: 10_000_000_000, source: "table" },
    },
    { provider: "openai", model: "text-embedding-3-small", expected: { input: 20_000_000, output: 0 } },
    {
      provider: "anthropic",
      model: "claude-3-5-haiku-20241022",
      expected: { input: 800_000_000, output: 4_000_000_000 },
    },
    { provider: "openai", model: "no-such-model", expected: null },
    // The dataset has other sizes and versions of these.
    { provider: "google", model: "gemini-1.5-flash-8b", expected: null },
    { provider: "google", model: "gemini-1.5-flash-8b-001", expected: null },
    { provider: "google", model: "gemini-1.5-flash-002", expected: { input: 75_000_000 } },
    { provider: "aws", model: "amazon.titan-embed-text-v2:0", expected: null },
    { provider: "aws", model: "amazon.titan-embed-text-v1", expected: { input: 100_000_000 } },
    { provider: "aws", model: "us.anthropic.claude-3-5-sonnet-20241022-v2:0", expected: { input: 3_000_000_000 } },
    { provider: "no-such-provider", model: "gpt-4o", expected: null },
  ];
  for (const { provider, model, expected } of rows) {
    it(`${provider} ${model}: ${expected === null ? "unknown" : "known"}`, () => {
      const found = table(provider, model);
      if (expected === null) assert.equal(found, null);
      else assert.deepEqual({ ...found, ...expected }, found);
    });
  }

  it("rise with the size of the prompt where the provider says so", () => {
    const found = table("google", "gemini-2.5-pro");
    assert.deepEqual(
      found?.tiers.map((tier) => [tier.aboveTokens, tier.input]),
      [[200_000, 2_500_000_000]],
    );
  });

  const rates = { input: 2, cachedInput: 1, cacheWrite: 2.5, output: 8, reasoning: 8 };
  const slips: { name: string; rates: typeof rates; expected: boolean }[] = [
    { name: "are believed as they usually are", rates, expected: true },
    { name: "are not when the output is a thousandfold", rates: { ...rates, output: 8000 }, expected: false },
    { name: "are not when the input is a thousandfold", rates: { ...rates, input: 2000 }, expected: false },
    { name: "are not when the output is a thousandth", rates: { ...rates, output: 0.008 }, expected: false },
    { name: "are not when a cache read costs more than reading", rates: { ...rates, cachedInput: 3 }, expected: false },
    { name: "are not when negative", rates: { ...rates, input: -2 }, expected: false },
  ];
  for (const { name, rates: one, expected } of slips) {
    it(name, () => assert.equal(believable(one), expected));
  }
});

describe("prices that an installation sets", () => {
  it("go before published ones and behind the object's own", async () => {
    const settings = join(tmpdir(), `sluice-prices-${process.pid}.yaml`);
    await writeFile(
      settings,
      `prices:
  - { provider: OpenAICompatible, model: unpublished, inputPerMillion: "3", outputPerMillion: "4" }
  - { provider: OpenAICompatible, model: own, inputPerMillion: "3", outputPerMillion: "4" }
`,
    );
    const upstream = await startUpstream();
    const models = [
      { name: "unpublished" },
      { name: "own", price: { inputPerMillion: "1", outputPerMillion: "1" } },
      { name: "none" },
    ];
    const gateway = await startGateway(
      [
        provider("up", upstream.url, { models }),
        secret("up-credentials", { apiKey: "k" }),
        policy("all", {
          match: { models: models.map((model) => model.name) },
          routing: { targets: [{ provider: { name: "up" } }] },
        }),
        ...key("alice", "slc_prices_alice_001"),
      ],
      ["--settings", settings],
    );
    try {
      for (const { name } of models) {
        const body = JSON.stringify({ model: name, messages: [{ role: "user", content: "Hi" }] });
        const headers = { authorization: "Bearer slc_prices_alice_001", "content-type": "application/json" };
        await (await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", headers, body })).text();
      }
      await eventually(() => gateway.logs.filter((line) => line["msg"] === "call").length === 3);
      const costs = gateway.logs.filter((line) => line["msg"] === "call").map((line) => line["cost_nano_usd"]);
      assert.deepEqual(costs, [11 * 3000 + 7 * 4000, 18 * 1000, undefined]);
    } finally {
      await gateway.close();
      await upstream.close();
    }
  });
});

describe("what a call costs", () => {
  const price: Price = {
    input: 2_500_000_000,
    cachedInput: 1_250_000_000,
    cacheWrite: 3_000_000_000,
    output: 10_000_000_000,
    reasoning: 20_000_000_000,
    tiers: [],
    source: "override",
  };
  const usage = { prompt: 1000, cachedPrompt: 400, cacheWrite: 100, completion: 200, reasoning: 50, estimated: false };

  it("counts fresh, cached, written, plain and reasoning tokens each at their own price", () => {
    // 500 × 2.5 + 400 × 1.25 + 100 × 3 + 150 × 10 + 50 × 20, in thousands of nano-USD
    assert.equal(costNanoUsd(usage, price), 4_550_000);
  });

  it("takes the tier that the prompt's size reaches", () => {
    const tiered: Price = { ...price, tiers: [{ ...price, aboveTokens: 999, input: 5_000_000_000 }] };
    assert.equal(costNanoUsd(usage, tiered), 4_550_000 + 1_250_000);
    assert.equal(costNanoUsd({ ...usage, prompt: 999 }, tiered), 4_550_000 - 2_500);
  });

  it("is unknown without a price", () => assert.equal(costNanoUsd(usage, null), null));

  it("is a whole number, never negative and never too little, whatever a provider reports", () => {
    const tokens = fc.nat(10_000_000);
    fc.assert(
      fc.property(tokens, tokens, tokens, tokens, tokens, (prompt, cachedPrompt, cacheWrite, completion, reasoning) => {
        const cost = costNanoUsd({ prompt, cachedPrompt, cacheWrite, completion, reasoning, estimated: false }, price);
        assert.ok(Number.isSafeInteger(cost) && Number(cost) >= 0);
      }),
    );
  });
});

const capabilitiesOf: Readonly<Record<string, Capabilities>> = Object.fromEntries(
  Object.values(capabilitiesByType).map((type) => [type.pricesFrom, type]),
);

describe("what is charged apart from plain tokens", () => {
  const none: Usage = { prompt: 0, cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, estimated: false };
  const million = 1_000_000;
  const rows: { name: string; provider: string; model: string; usage: Partial<Usage>; usd: number }[] = [
    {
      name: "audio in and out",
      provider: "openai",
      model: "gpt-audio",
      usage: { prompt: million, completion: 100_000, units: { inputAudio: million, outputAudio: 100_000 } },
      usd: 32 + 6.4,
    },
    {
      name: "web searches",
      provider: "anthropic",
      model: "claude-opus-4-1",
      usage: { prompt: 100, completion: 100, units: { webSearch: 50 } },
      usd: 0.0015 + 0.0075 + 0.5,
    },
    {
      name: "image tokens of an answer",
      provider: "google",
      model: "gemini-2.5-flash-image",
      usage: { prompt: 10, completion: 1_290, units: { outputImage: 1_290 } },
      usd: 0.000003 + 0.0387,
    },
    {
      name: "audio of a prompt, among text",
      provider: "google",
      model: "gemini-2.5-flash",
      usage: { prompt: million + 1_000, completion: 0, units: { inputAudio: million } },
      usd: 1 + 0.0003,
    },
    {
      name: "cache writes of an hour along with those of five minutes",
      provider: "anthropic",
      model: "claude-haiku-4-5",
      usage: { prompt: 3_000, cacheWrite: 3_000, units: { cacheWrite1h: 1_000 } },
      usd: 0.0025 + 0.002,
    },
    {
      name: "a batch",
      provider: "openai",
      model: "gpt-4.1",
      usage: { prompt: million, completion: million, modes: ["batch"] },
      usd: 1 + 4,
    },
    {
      name: "priority processing",
      provider: "openai",
      model: "gpt-4o-mini",
      usage: { prompt: million, completion: million, modes: ["priority"] },
      usd: 0.25 + 1,
    },
    {
      name: "inference bound to a region, searches at their own price",
      provider: "anthropic",
      model: "claude-opus-4-6",
      usage: { prompt: 100_000, completion: 0, modes: ["geo-us"], units: { webSearch: 1 } },
      usd: 0.55 + 0.01,
    },
  ];
  for (const { name, provider: dataset, model, usage, usd } of rows) {
    it(name, () => {
      const published = table(dataset, model);
      const modes = capabilitiesOf[dataset]?.priceModes;
      const price = published === null ? null : withUsualModes(published, model, modes);
      const cost = costNanoUsd({ ...none, ...usage }, price);
      const expected = Math.round(usd * 1e9);
      assert.ok(cost !== null && cost >= expected && cost <= expected * 1.000_001 + 1, `${cost} for ${expected}`);
    });
  }

  it("agrees with the dataset's own arithmetic, whatever the model and the units", () => {
    const names = { inputAudio: "input_audio_tokens", outputAudio: "output_audio_tokens" } as const;
    const models = ["openai", "anthropic", "google", "aws", "azure", "mistral", "cohere"].flatMap((id) =>
      (findProvider({ providerId: id })?.models ?? []).map((model) => ({ id, model: model.id })),
    );
    const tokens = fc.nat(400_000);
    fc.assert(
      fc.property(
        fc.constantFrom(...models),
        fc.record({ text: tokens, cached: tokens, written: tokens, hourly: tokens, audio: tokens }),
        fc.record({ text: tokens, audio: tokens, searches: fc.nat(100) }),
        ({ id, model }, input, output) => {
          const price = table(id, model);
          if (price === null) return;
          const audio = price.units?.["inputAudio"] === undefined ? 0 : input.audio;
          const hourly = price.units?.["cacheWrite1h"] === undefined ? 0 : input.hourly;
          const cacheWrite = price.cacheWrite === price.input && hourly === 0 ? 0 : input.written + hourly;
          const spoken = price.units?.["outputAudio"] === undefined ? 0 : output.audio;
          const cached = price.cachedInput === price.input ? 0 : input.cached;
          const prompt = input.text + cached + cacheWrite + audio;
          const cost = costNanoUsd(
            {
              ...none,
              prompt,
              cachedPrompt: cached,
              cacheWrite,
              completion: output.text + spoken,
              units: { inputAudio: audio, outputAudio: spoken, cacheWrite1h: hourly, webSearch: output.searches },
            },
            price,
          );
          const independent = calcPrice(
            {
              input_tokens: prompt,
              cache_read_tokens: cached,
              cache_write_tokens: cacheWrite,
              cache_audio_read_tokens: 0,
              cache_audio_write_tokens: 0,
              ...(hourly > 0 ? { cache_write_1h_tokens: hourly } : {}),
              [names.inputAudio]: audio,
              output_tokens: output.text + spoken,
              [names.outputAudio]: spoken,
              ...(price.uses?.["webSearch"] === undefined ? {} : { web_searches: output.searches }),
            },
            model,
            { providerId: id, timestamp: now },
          );
          const expected = (independent?.total_price ?? 0) * 1e9;
          assert.ok(Math.abs((cost ?? 0) - expected) <= 2 + expected * 1e-9, `${model}: ${cost} for ${expected}`);
        },
      ),
      { numRuns: runs(2_000) },
    );
  });

  const plain = { inputPerMillion: "1", outputPerMillion: "2" };
  it("has a field in manifests for every unit, and each is charged", () => {
    for (const unit of Object.keys(tokenUnits)) {
      const name = `${unit}PerMillion`;
      assert.ok(Object.hasOwn(priceFields, name), name);
      const price = priceOf({ ...plain, [name]: "7" });
      const half = { ...none, prompt: 10, cachedPrompt: 0, cacheWrite: 0, completion: 10, units: { [unit]: 10 } };
      if (unit.startsWith("cached")) Object.assign(half, { cachedPrompt: 10 });
      if (unit.startsWith("cacheWrite")) Object.assign(half, { cacheWrite: 10 });
      const other = unit.startsWith("output") ? 10 : 20;
      assert.equal(costNanoUsd(half, price), 10 * 7_000 + other * 1_000, unit);
    }
    const owned = priceOf({ ...plain, compute: { perGPUHour: "3.60", gpus: 4, callsAtOnce: 2 } });
    assert.equal(costNanoUsd({ ...none, units: { computeMillisecond: 1_500 } }, owned), 3_000_000);
    for (const unit of useUnits) {
      if (unit === "computeMillisecond") continue;
      const written: Readonly<Record<string, string>> = { audioSecond: "3.6", character: "1000" };
      const odd: Readonly<Record<string, string>> = { audioSecond: "audioPerHour", character: "charactersPerMillion" };
      const name = odd[unit] ?? `${unit}PerThousand`;
      assert.ok(Object.hasOwn(priceFields, name), name);
      const price = priceOf({ ...plain, [name]: written[unit] ?? "1" });
      assert.equal(costNanoUsd({ ...none, units: { [unit]: 3 } }, price), 3_000_000, unit);
    }
  });

  it("by written context tiers and multipliers", () => {
    const price = priceOf({
      ...plain,
      multipliers: { flex: "0.5", "geo-eu": "1.1" },
      contextTiers: [
        { aboveTokens: 200, inputPerMillion: "4", outputPerMillion: "8" },
        { aboveTokens: 100, inputPerMillion: "2", outputPerMillion: "4" },
      ],
    });
    const cost = (prompt: number, modes?: string[]) =>
      costNanoUsd({ ...none, prompt, completion: 10, ...(modes === undefined ? {} : { modes }) }, price);
    assert.deepEqual([cost(100), cost(101), cost(201)], [120_000, 242_000, 884_000]);
    assert.equal(cost(100, ["flex", "geo-eu"]), 66_000);
  });

  it("says what the price lacks", () => {
    const usage = { ...none, units: { webSearch: 1, fileSearch: 0 }, modes: ["priority", "flex"] };
    const price = priceOf({ ...plain, multipliers: { flex: "0.5" } });
    assert.deepEqual(unpriced(usage, price), ["webSearch", "priority"]);
    assert.deepEqual(
      unpriced(
        { ...usage, modes: ["flex"] },
        priceOf({ ...plain, webSearchPerThousand: "0", multipliers: { flex: "1" } }),
      ),
      [],
    );
  });

  it("has the same fields in Helm values as in manifests", async () => {
    const schema = JSON.parse(await readFile("charts/sluice/values.schema.json", "utf8"));
    const { properties } = schema.properties.prices.items;
    assert.deepEqual(Object.keys(properties).sort(), [...Object.keys(priceFields), "provider", "model"].sort());
    const inTier = Object.keys(priceFields.contextTiers.unwrap().element.shape).sort();
    assert.deepEqual(Object.keys(properties.contextTiers.items.properties).sort(), inTier);
  });
});
