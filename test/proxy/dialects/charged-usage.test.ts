/**
 * Every count in a provider's report that costs money is read in the provider's own form and charged at its own price.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Price } from "../../../proxy/config/price.ts";
import { decodeUsage as anthropic } from "../../../proxy/dialects/anthropic-messages/usage.ts";
import type { Usage } from "../../../proxy/dialects/canonical.ts";
import { decodeUsage as chat } from "../../../proxy/dialects/openai-chat/usage.ts";
import { usageOf as responses } from "../../../proxy/dialects/openai-responses/usage.ts";
import { passedReply } from "../../../proxy/pipeline/whole-reply.ts";
import { decodeUsage as bedrock } from "../../../proxy/providers/bedrock/reply.ts";
import { usageOf as cohere } from "../../../proxy/providers/cohere/reply.ts";
import { usageOf as gemini } from "../../../proxy/providers/gemini/reply.ts";
import { costNanoUsd } from "../../../proxy/telemetry/cost.ts";
import fc from "../../harness/property.ts";

const rate = (usd: number): number => usd * 1e9;
const price: Price = {
  input: rate(2),
  cachedInput: rate(0.2),
  cacheWrite: rate(2.5),
  output: rate(10),
  reasoning: rate(10),
  units: {
    cacheWrite1h: rate(4),
    inputAudio: rate(40),
    inputImage: rate(8),
    cachedAudio: rate(5),
    outputAudio: rate(80),
    outputImage: rate(30),
  },
  uses: { webSearch: rate(10), fileSearch: rate(2.5), codeExecution: rate(30), imageGeneration: rate(40) },
  multipliers: { priority: 2_000_000, flex: 500_000, fast: 6_000_000, "geo-us": 1_100_000 },
  tiers: [],
  source: "override",
};

const million = 1_000_000;
const rows: [what: string, usage: Usage | null, usd: number][] = [
  [
    "OpenAI: audio in and out",
    chat({
      prompt_tokens: million,
      completion_tokens: 100_000,
      prompt_tokens_details: { audio_tokens: million },
      completion_tokens_details: { audio_tokens: 100_000 },
    }),
    48,
  ],
  [
    "OpenAI: cached audio is part of the audio",
    chat({
      prompt_tokens: million,
      completion_tokens: 0,
      prompt_tokens_details: {
        cached_tokens: 200_000,
        audio_tokens: million,
        cached_tokens_details: { audio_tokens: 200_000 },
      },
    }),
    33,
  ],
  [
    "OpenAI: images in the prompt",
    chat({ prompt_tokens: million, prompt_tokens_details: { image_tokens: million } }),
    8,
  ],
  [
    "xAI, Gemini's compatible API: reasoning only in the total",
    chat({ prompt_tokens: 100_000, completion_tokens: 100_000, total_tokens: 1_200_000 }),
    11.2,
  ],
  [
    "OpenAI: reasoning included in the completion count is charged once",
    chat({
      prompt_tokens: 0,
      completion_tokens: 100_000,
      total_tokens: 100_000,
      completion_tokens_details: { reasoning_tokens: 60_000 },
    }),
    1,
  ],
  ["DeepSeek: its cache", chat({ prompt_tokens: million, prompt_cache_hit_tokens: million }), 0.2],
  ["Perplexity: searches", chat({ prompt_tokens: 0, completion_tokens: 0, num_search_queries: 50 }), 0.5],
  ["OpenAI: a tier that was not requested", chat({ prompt_tokens: million }, "priority"), 4],
  ["OpenAI: the standard tier", chat({ prompt_tokens: million }, "default"), 2],
  [
    "Responses: OpenAI's own tools",
    responses({
      usage: { input_tokens: 0, output_tokens: 0 },
      output: [
        { type: "web_search_call", action: { type: "search" } },
        { type: "web_search_call", action: { type: "open_page" } },
        { type: "web_search_call" },
        { type: "file_search_call" },
        { type: "code_interpreter_call", container_id: "c1" },
        { type: "code_interpreter_call", container_id: "c1" },
        { type: "image_generation_call" },
        { type: "message" },
        { type: "function_call" },
      ],
    }),
    0.02 + 0.0025 + 0.03 + 0.04,
  ],
  ["Responses: flex", responses({ usage: { input_tokens: million }, service_tier: "flex" }), 1],
  [
    "Anthropic: one-hour cache writes",
    anthropic({
      input_tokens: 0,
      output_tokens: 0,
      cache_creation_input_tokens: million,
      cache_creation: { ephemeral_5m_input_tokens: 400_000, ephemeral_1h_input_tokens: 600_000 },
    }),
    3.4,
  ],
  [
    "Anthropic: cache writes only in the details",
    anthropic({ input_tokens: 0, output_tokens: 0, cache_creation: { ephemeral_1h_input_tokens: million } }),
    4,
  ],
  [
    "Anthropic: web search",
    anthropic({ input_tokens: 0, output_tokens: 0, server_tool_use: { web_search_requests: 50 } }),
    0.5,
  ],
  ["Anthropic: restricted to a country", anthropic({ input_tokens: million, inference_geo: "us" }), 2.2],
  [
    "Anthropic: not restricted",
    anthropic({ input_tokens: million, inference_geo: "global", service_tier: "standard" }),
    2,
  ],
  ["Anthropic: fast", anthropic({ input_tokens: million, speed: "fast" }), 12],
  [
    "Bedrock: one-hour cache writes",
    bedrock({
      inputTokens: 0,
      outputTokens: 0,
      cacheWriteInputTokens: million,
      cacheDetails: [
        { ttl: "1h", inputTokens: 600_000 },
        { ttl: "5m", inputTokens: 400_000 },
      ],
      totalTokens: million,
    }),
    3.4,
  ],
  ["Bedrock: its tier", bedrock({ inputTokens: million, outputTokens: 0 }, { type: "priority" }), 4],
  [
    "Gemini: audio in",
    gemini({ promptTokenCount: million, promptTokensDetails: [{ modality: "AUDIO", tokenCount: million }] }),
    40,
  ],
  [
    "Gemini: images out",
    gemini({
      promptTokenCount: 0,
      candidatesTokenCount: 1_290,
      candidatesTokensDetails: [{ modality: "IMAGE", tokenCount: 1_290 }],
    }),
    0.0387,
  ],
  [
    "Gemini: thoughts only in the total",
    gemini({ promptTokenCount: 100_000, candidatesTokenCount: 0, totalTokenCount: 200_000 }),
    1.2,
  ],
  [
    "Cohere: billed units, not the tokens that the model processed",
    cohere({
      tokens: { input_tokens: 9_999, output_tokens: 9_999 },
      billed_units: { input_tokens: 1_000, output_tokens: 100 },
    }),
    0.003,
  ],
];

describe("what a usage report costs", () => {
  for (const [what, usage, usd] of rows) {
    it(what, () => {
      assert.ok(usage);
      assert.equal(costNanoUsd(usage, price), Math.ceil(Number((usd * 1e9).toFixed(3))));
      assert.equal(usage.implausible, undefined);
    });
  }

  it("a Responses answer that passes through has its tool uses counted, however large it is", () => {
    for (const padding of [10, 100_000]) {
      const body = JSON.stringify({
        output: [
          { type: "web_search_call", action: { type: "search" } },
          { type: "message", content: [{ type: "output_text", text: "x".repeat(padding) }] },
        ],
        usage: { input_tokens: 5, output_tokens: 3 },
      });
      const reply = passedReply(Buffer.from(body), responses, true);
      assert.ok("body" in reply);
      assert.equal(reply.usage?.units?.webSearch, 1);
    }
  });

  it("an implausible count is marked, wherever it occurs", () => {
    const odd = fc.oneof(
      fc.constantFrom(-1, -0.5, 1e300, 2e9, Number.NaN, Number.POSITIVE_INFINITY, "12", true, [], {}),
      fc.integer({ max: -1 }),
    );
    const forms: [(usage: never) => Usage | null, string[]][] = [
      [chat, ["prompt_tokens", "completion_tokens", "total_tokens"]],
      [(usage) => responses({ usage }), ["input_tokens", "output_tokens", "total_tokens"]],
      [anthropic, ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]],
      [bedrock, ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "totalTokens"]],
      [gemini, ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"]],
    ];
    for (const [decode, names] of forms)
      fc.assert(
        fc.property(odd, fc.constantFrom(...names), fc.nat(1_000), (value, name, sane) => {
          const report = Object.fromEntries(names.map((other) => [other, other === name ? value : sane]));
          const usage = decode(report as never);
          assert.equal(usage?.implausible, true, `${name}: ${String(value)}`);
          for (const figure of [usage?.prompt, usage?.completion, usage?.reasoning])
            assert.ok(Number.isSafeInteger(figure) && (figure as number) >= 0);
        }),
      );
  });
});
