import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { believable, priceTable } from "../../operator/prices/table.ts";
import type { Price } from "../../proxy/config/provider.ts";
import { costNanoUsd } from "../../proxy/telemetry/cost.ts";

const table = priceTable(new Date("2026-11-20T00:00:00Z"));

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
          match: { models: models.map((one) => one.name) },
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
