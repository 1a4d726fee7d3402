/** Whatever a caller asks of a model, nothing is sent that the model is known to refuse. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ChatRequest, isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import { isSignature } from "../../harness/strict/answers.ts";
import { messagesComplaints } from "../../harness/strict/anthropic.ts";
import type { Json } from "../../harness/strict/json.ts";
import { factsOf, modelFacts } from "../../harness/strict/models.ts";
import { chatComplaints } from "../../harness/strict/openai-chat.ts";
import { converseComplaints } from "../../harness/strict/others.ts";
import { accountOf, modelOf } from "./drive.ts";

const efforts = [undefined, "none", "minimal", "low", "medium", "high", "xhigh", "max"];
const messages = [{ role: "user", content: "Hi" }];
const sampling = { temperature: 0.5, top_p: 0.9 };

/** What callers of each API may ask. */
const asks: Readonly<Record<string, Json[]>> = {
  "openai.chat": efforts.flatMap((effort) => [
    { messages, ...sampling, max_completion_tokens: 1_000_000, ...(effort ? { reasoning_effort: effort } : {}) },
    { messages, stop: ["x"], ...(effort ? { reasoning_effort: effort } : {}) },
  ]),
  "openai.responses": efforts.map((effort) => ({
    input: "Hi",
    ...sampling,
    max_output_tokens: 1_000_000,
    reasoning: { effort: effort ?? null },
  })),
  "anthropic.messages": [
    { type: "disabled" },
    { type: "adaptive" },
    { type: "adaptive", display: "omitted" },
    { type: "between_tools" },
    { type: "enabled", budget_tokens: 16_000 },
    undefined,
  ].flatMap((thinking) =>
    [undefined, "low", "max"].map((effort) => ({
      messages,
      max_tokens: 1_000_000,
      top_k: 5,
      ...(thinking === undefined ? {} : { thinking }),
      ...(effort === undefined ? {} : { output_config: { effort } }),
    })),
  ),
};

const isClaude = (model: string): boolean => model.startsWith("claude");

function sent(type: string, upstream: string, request: ChatRequest): { body: Json; dropped: string[] } {
  const options = {
    thinking: "Auto",
    sampling: "Auto",
    structuredOutputs: "Auto",
    modelFamily: "Auto",
    maxTokensField: "Auto",
  };
  const made = translatedChat(
    providers[type] as Provider,
    request,
    { account: accountOf({ options }), model: modelOf({ upstream }) },
    { stream: false, deadlineMs: 1, seed: "s" },
  );
  assert.ok(made !== null && !isRefusal(made), JSON.stringify(made));
  return { body: JSON.parse(made.body) as Json, dropped: made.dropped };
}

function decoded(format: string, ask: Json): ChatRequest {
  const request = dialects[format as keyof typeof dialects]?.decode({ model: "m", ...ask });
  assert.ok(request !== undefined && !isRefusal(request), JSON.stringify(request));
  return request;
}

describe("what a model accepts", () => {
  for (const model of Object.keys(modelFacts)) {
    for (const [format, bodies] of Object.entries(asks)) {
      it(`${model}, asked in ${format}`, () => {
        for (const ask of bodies) {
          const request = decoded(format, ask);
          const type = isClaude(model) ? "Anthropic" : "OpenAI";
          const { body } = sent(type, model, request);
          const complaints = isClaude(model) ? messagesComplaints(body, isSignature) : chatComplaints(body);
          assert.deepEqual(complaints, [], `${JSON.stringify(ask)} → ${JSON.stringify(body)}`);
          if (!isClaude(model)) continue;
          const converse = sent("Bedrock", `us.anthropic.${model}-v1:0`, request).body;
          assert.deepEqual(converseComplaints(converse, model, isSignature), [], JSON.stringify(converse));
        }
      });
    }
  }

  it("is the limit of Claude's answer where the caller gives none", () => {
    for (const model of Object.keys(modelFacts).filter(isClaude))
      assert.equal(
        sent("Anthropic", model, decoded("openai.chat", { messages })).body["max_tokens"],
        factsOf(model).maxOutput,
      );
  });

  it("is adapted where there is something near, and named where it is left out", () => {
    const asked = (model: string, more: Json) => sent("OpenAI", model, decoded("openai.chat", { messages, ...more }));
    assert.equal(asked("gpt-5", { reasoning_effort: "none" }).body["reasoning_effort"], "minimal");
    assert.equal(asked("gpt-5", { reasoning_effort: "max" }).body["reasoning_effort"], "high");
    const dropped = asked("gpt-4o-mini", { reasoning_effort: "high", max_tokens: 32_000 });
    assert.deepEqual([dropped.dropped, dropped.body["max_tokens"]], [["reasoning_effort"], 16_384]);
    assert.deepEqual(asked("gpt-5", sampling).dropped, ["temperature", "top_p"]);
  });

  it("shows Claude's reasoning, and keeps what a caller of Messages wrote", () => {
    const shown = sent("Anthropic", "claude-opus-5-5", decoded("openai.chat", { messages, reasoning_effort: "low" }));
    assert.deepEqual(shown.body["thinking"], { type: "adaptive", display: "summarized" });
    const ask = { messages, max_tokens: 32_000, thinking: { type: "enabled", budget_tokens: 16_000 } };
    const budget = sent("Bedrock", "anthropic.claude-sonnet-4-5-v1:0", decoded("anthropic.messages", ask)).body;
    assert.deepEqual(budget["additionalModelRequestFields"], { thinking: ask.thinking });
    const gemini = sent("Gemini", "gemini-2.5-pro", decoded("anthropic.messages", ask)).body;
    const { thinkingConfig } = gemini["generationConfig"] as { thinkingConfig: Json };
    assert.equal(thinkingConfig["thinkingBudget"], 16_000);
  });

  it("is what the LLMProvider says, where it says so", () => {
    const model = modelOf({ upstream: "gpt-next" });
    const capabilities = { reasoningEfforts: ["low"], sampling: false };
    const made = translatedChat(
      providers["OpenAICompatible"] as Provider,
      decoded("anthropic.messages", { messages, max_tokens: 9, thinking: { type: "adaptive" }, temperature: 0.5 }),
      { account: accountOf({}), model: { ...model, config: { ...model.config, capabilities } } },
      { stream: false, deadlineMs: 1, seed: "s" },
    );
    assert.ok(made !== null && !isRefusal(made));
    assert.equal((JSON.parse(made.body) as Json)["reasoning_effort"], "low");
    assert.deepEqual(made.dropped, ["temperature"]);
  });
});
