import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ChatRequest } from "../../../proxy/dialects/canonical.ts";
import { estimatePromptTokens, estimateTextTokens } from "../../../proxy/dialects/estimate.ts";

describe("estimating a prompt's tokens", () => {
  const rows: Record<string, [string, number]> = {
    nothing: ["", 0],
    "English: four characters a token": ["The quick brown fox jumps over the lazy dog.", 11],
    "Chinese: a character a token": ["你好世界", 4],
    "a long text is sampled": ["abcd".repeat(100_000), 100_000],
    "a long Japanese text": ["こ".repeat(50_000), 50_000],
  };
  for (const [name, [text, tokens]] of Object.entries(rows))
    test(name, () => assert.equal(estimateTextTokens(text), tokens));

  test("messages, images, tool calls and tools count", () => {
    const request: ChatRequest = { model: "m", messages: [{ role: "user", content: "abcd" }] };
    assert.equal(estimatePromptTokens(request), 5);
    const image: ChatRequest = {
      model: "m",
      messages: [
        {
          role: "user",
          content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(1e6)}` } }],
        },
      ],
    };
    assert.equal(estimatePromptTokens(image), 1_204);
    const called: ChatRequest = {
      ...request,
      messages: [
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "a", type: "function", function: { name: "look", arguments: '{"a":1}' } }],
        },
      ],
    };
    assert.equal(estimatePromptTokens(called), 7);
    assert.ok(estimatePromptTokens({ ...request, tools: [{ type: "function", function: { name: "f" } }] }) > 5);
  });
});
