/** How models find their prices, and what an installation makes of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Compiled, compile } from "../../operator/compile/compile.ts";
import type { CompileSettings, WorldObject } from "../../operator/compile/world.ts";
import { priceSources, priceTable } from "../../operator/prices/table.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { Price } from "../../proxy/config/price.ts";

const nowMs = Date.parse("2026-11-20T00:00:00Z");

function compiled(spec: Record<string, unknown>, settings: Partial<CompileSettings> = {}): Compiled {
  const object: WorldObject = {
    kind: "LLMProvider",
    meta: { name: "p", namespace: "a", uid: "p", generation: 1, createdAtMs: 1, labels: {} },
    spec: { endpoint: "https://llm.example.com/v1", options: {}, ...spec },
    status: {},
  };
  return compile(
    {
      world: {
        objects: [object],
        namespaces: { a: {} },
        secrets: { "a/s": { apiKey: { digest: "d".repeat(64), displayPrefix: "" } } },
      },
      settings: { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [], ...settings },
      previous: null,
      nowMs,
      prices: priceTable(new Date(nowMs)),
      priceSources,
    },
    capabilitiesByType,
  );
}

function priceOf(
  type: string,
  model: Record<string, unknown>,
  more: Record<string, unknown> = {},
  settings: Partial<CompileSettings> = {},
): Price | null {
  const options = type === "Bedrock" ? { region: "eu-central-1" } : {};
  const spec = { type, credentials: { secretRef: { name: "s" } }, options, models: [{ name: "m", ...model }], ...more };
  const [provider] = compiled(spec, settings).config.providers;
  assert.ok(provider, `${type} ${JSON.stringify(model)} compiles`);
  return provider.models["m"]?.price ?? null;
}

/** USD for a million tokens in and out. */
const rates = (price: Price | null): [number, number] | null =>
  price === null ? null : [price.input / 1e9, price.output / 1e9];

describe("a model finds its price", () => {
  const rows: {
    name: string;
    type: string;
    model: Record<string, unknown>;
    more?: Record<string, unknown>;
    expected: [number, number] | null;
  }[] = [
    { name: "by its own name", type: "OpenAI", model: { upstream: "gpt-4o-mini" }, expected: [0.15, 0.6] },
    {
      name: "of an Azure deployment: none without priceAs",
      type: "AzureOpenAI",
      model: { upstream: "prod-chat" },
      expected: null,
    },
    {
      name: "of an Azure deployment, by priceAs",
      type: "AzureOpenAI",
      model: { upstream: "prod-chat", priceAs: "gpt-4o-mini" },
      expected: [0.15, 0.6],
    },
    {
      name: "of an Azure deployment that is called as another model",
      type: "AzureOpenAI",
      model: { upstream: "gpt-4", priceAs: "gpt-4o-mini" },
      expected: [0.15, 0.6],
    },
    {
      name: "by priceAs from another table",
      type: "AzureOpenAI",
      model: { upstream: "claude", priceAs: "anthropic/claude-sonnet-4-5" },
      expected: [3, 15],
    },
    {
      name: "of a Bedrock profile of a region",
      type: "Bedrock",
      model: { upstream: "eu.anthropic.claude-sonnet-4-20250514-v1:0" },
      expected: [3, 15],
    },
    {
      name: "of the ARN of a profile",
      type: "Bedrock",
      model: {
        upstream:
          "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-20250514-v1:0",
      },
      expected: [3, 15],
    },
    {
      name: "of the ARN of a model",
      type: "Bedrock",
      model: { upstream: "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0" },
      expected: [3, 15],
    },
    {
      name: "of an application's profile: none without priceAs",
      type: "Bedrock",
      model: { upstream: "arn:aws:bedrock:eu-central-1:1:application-inference-profile/abc123" },
      expected: null,
    },
    {
      name: "of an application's profile, by priceAs",
      type: "Bedrock",
      model: {
        upstream: "arn:aws:bedrock:eu-central-1:1:application-inference-profile/abc123",
        priceAs: "anthropic.claude-sonnet-4-20250514-v1:0",
      },
      expected: [3, 15],
    },
    {
      name: "of a fine-tuned model, dearer than its base",
      type: "OpenAI",
      model: { upstream: "ft:gpt-4.1-mini-2025-04-14:acme::abc" },
      expected: [0.8, 3.2],
    },
    {
      name: "with Gemini's prefix",
      type: "Gemini",
      model: { upstream: "models/gemini-2.5-pro" },
      expected: [1.25, 10],
    },
    {
      name: "of a compatible provider, by its endpoint",
      type: "OpenAICompatible",
      model: { upstream: "deepseek-chat" },
      more: { endpoint: "https://api.deepseek.com/v1" },
      expected: rates(priceTable(new Date(nowMs))("deepseek", "deepseek-chat")),
    },
    {
      name: "of a compatible provider behind another address, by pricing.from",
      type: "OpenAICompatible",
      model: { upstream: "openai/gpt-4o-mini" },
      more: { pricing: { from: "openrouter" } },
      expected: [0.15, 0.6],
    },
    {
      name: "of a self-hosted server, not at all",
      type: "OpenAICompatible",
      model: { upstream: "deepseek-chat" },
      expected: null,
    },
    {
      name: "with a vendor's prefix, by priceAs",
      type: "OpenAICompatible",
      model: { upstream: "x", priceAs: "openai/gpt-4o-mini" },
      expected: [0.15, 0.6],
    },
  ];
  for (const { name, type, model, more, expected } of rows)
    it(name, () => {
      if (expected !== null) assert.ok(expected[0] > 0);
      assert.deepEqual(rates(priceOf(type, model, more)), expected);
    });

  it("and says where the table has no provider of that name", () => {
    const { verdicts } = compiled({ type: "OpenAICompatible", pricing: { from: "gorq" }, models: [{ name: "m" }] });
    assert.match(verdicts[0]?.accepted[0]?.message ?? "", /spec\.pricing\.from: the price table has no provider gorq/);
  });
});

describe("what an installation makes of prices", () => {
  it("takes the discount off, then puts the markup on, and leaves an object's own price as it is", () => {
    const model = { upstream: "gpt-4o-mini" };
    const pricing = { discountPercent: "20", markupPercent: "5" };
    assert.deepEqual(rates(priceOf("OpenAI", model, {}, { pricing })), [0.126, 0.504]);
    assert.deepEqual(
      rates(priceOf("OpenAI", model, { pricing: { discountPercent: "50" } }, { pricing })),
      [0.07875, 0.315],
    );
    const price = { inputPerMillion: "1", outputPerMillion: "2" };
    assert.deepEqual(rates(priceOf("OpenAI", { ...model, price }, {}, { pricing })), [1, 2]);
  });

  it("scales every unit, and no rate to nothing", () => {
    const price = priceOf("OpenAI", { upstream: "gpt-audio" }, { pricing: { discountPercent: "50" } });
    assert.deepEqual(price?.units, { inputAudio: 16_000_000_000, outputAudio: 32_000_000_000 });
    const one = priceOf("OpenAI", { upstream: "gpt-4o-mini" }, { pricing: { discountPercent: "99.9999" } });
    assert.ok((one?.input ?? 0) > 0);
  });

  it("renders the currency that money is shown in", () => {
    const settings = installation.parse({ pricing: { currency: { code: "EUR", perUsd: "0.92" } } });
    assert.deepEqual(renderedSettings(settings).currency, { code: "EUR", perUsdMillionths: 920_000 });
    assert.ok(!installation.safeParse({ pricing: { currency: { code: "EUR", perUsd: "0" } } }).success);
  });
});
