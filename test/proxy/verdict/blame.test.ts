/** Whose fault a provider's failure is, from its status, its codes and its words. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { blame, statusIn } from "../../../proxy/dialects/verdict/blame.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { cpuMsOf } from "../../harness/cpu-time.ts";
import fc from "../../harness/property.ts";

const context = "context_length_exceeded";

/** What servers say of a prompt that is too long, as they say it. */
const tooLong: Record<string, [status: number, message: string]> = {
  "OpenAI, completions": [
    400,
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
  ],
  "OpenAI, responses": [
    400,
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
  ],
  vLLM: [
    400,
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).",
  ],
  "vLLM, model length": [
    400,
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.",
  ],
  "vLLM, V1": [
    400,
    "You passed 5000 input tokens and requested 100 output tokens. However, the model's context length is only 4096 tokens.",
  ],
  "vLLM, max_tokens": [
    400,
    "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 10 input tokens.",
  ],
  TGI: [
    422,
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000 `inputs` tokens and 20 `max_new_tokens`",
  ],
  "TGI, inputs": [422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 3000"],
  "llama.cpp": [
    400,
    "the request exceeds the available context size. try increasing the context size or enable context shift",
  ],
  "llama.cpp, with figures": [
    400,
    "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
  ],
  SGLang: [400, "The input (5000 tokens) is longer than the model's context length (4096 tokens)."],
  "SGLang, total": [
    400,
    "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5000 tokens",
  ],
  Ollama: [400, "the input length exceeds the context length"],
  "Ollama, with figures": [400, "prompt too long; exceeded max context length by 17 tokens"],
  LiteLLM: [
    400,
    "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: maximum context length",
  ],
  "LM Studio": [
    400,
    "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens",
  ],
  OpenRouter: [400, "This endpoint's maximum context length is 8192 tokens. However, you requested about 10000 tokens"],
  xAI: [400, "This model's maximum prompt length is 131072 but the request contains 200000 tokens."],
  Fireworks: [400, "The prompt is too long: 10000, model maximum context length: 8192"],
  Moonshot: [400, "Invalid request: Your request exceeded model token limit: 8192"],
  MiniMax: [400, "invalid params, context window exceeds limit"],
  Databricks: [400, "Request prompt has 5000 tokens in total, larger than the model input length limit 4096"],
  SambaNova: [
    400,
    "generating 10 tokens requires a sequence length of 5010, but the maximum supported sequence length is just 4096!",
  ],
  "TensorRT-LLM": [400, "prompt length (5000) exceeds maximum input length (4096)"],
  "Model Studio": [400, "Range of input length should be [1, 30720]"],
  Mistral: [
    400,
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
  ],
  Anthropic: [400, "prompt is too long: 210000 tokens > 200000 maximum"],
  "Anthropic, with the answer": [400, "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000"],
  Gemini: [400, "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576)."],
  Bedrock: [400, "Input is too long for requested model."],
  watsonx: [400, "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model"],
  "a server that says 500": [500, "context size exceeded: prompt is too long"],
};

/** What sounds like it and is something else. */
const notTooLong: Record<string, [status: number, message: string, code: string]> = {
  "an output limit of its own": [
    400,
    "max_tokens is too large: 32000. This model supports at most 16384 completion tokens",
    "upstream_rejected_request",
  ],
  "a text field": [
    400,
    "Invalid 'user': string too long. Expected a string with maximum length 64, but got 190 instead.",
    "upstream_rejected_request",
  ],
  "a body that is too large": [413, "Request Entity Too Large", "request_too_large"],
  "a prompt in a body that is too large": [
    413,
    "This model's maximum context length is 8192 tokens",
    "context_length_exceeded",
  ],
  "an id": [400, "Invalid 'messages[1].tool_calls[0].id': string too long.", "upstream_rejected_request"],
  "a token rate": [
    429,
    "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 50000. The input or output tokens must be reduced.",
    "upstream_rate_limited",
  ],
  "Cohere's output": [400, "too many tokens: max tokens must be less than 4096", "upstream_rejected_request"],
};

const others: [what: string, status: number, codes: string[], message: string, kind: string, code: string][] = [
  [
    "Anthropic's usage limits",
    400,
    ["invalid_request_error"],
    "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    "RateLimited",
    "upstream_rate_limited",
  ],
  [
    "a quota with status 400",
    400,
    ["billing_hard_limit_reached"],
    "Billing hard limit has been reached",
    "RateLimited",
    "upstream_rate_limited",
  ],
  [
    "a quota inside a 200",
    200,
    ["insufficient_quota"],
    "You exceeded your current quota",
    "RateLimited",
    "upstream_rate_limited",
  ],
  ["an account in arrears", 400, ["Arrearage"], "Access denied", "RateLimited", "upstream_rate_limited"],
  ["a failed dependency", 424, [], "model backend failed", "ServerError", "upstream_error"],
  ["a locked resource", 423, [], "", "Unavailable", "upstream_unavailable"],
  ["a conflict", 409, [], "", "Unavailable", "upstream_unavailable"],
  ["a call that something in between gave up", 499, [], "", "Unavailable", "upstream_unavailable"],
  ["Anthropic's overload", 529, ["overloaded_error"], "Overloaded", "Unavailable", "upstream_unavailable"],
  ["an overload inside a 200", 200, ["overloaded_error"], "Overloaded", "Unavailable", "upstream_unavailable"],
  [
    "an unknown model",
    404,
    ["model_not_found"],
    "The model `x` does not exist",
    "NotFound",
    "upstream_model_not_found",
  ],
  [
    "an unknown model with status 400",
    400,
    ["model_not_found"],
    "no such model",
    "NotFound",
    "upstream_model_not_found",
  ],
  ["a filter's code", 400, ["content_filter"], "", "BadRequest", "content_filter"],
  [
    "a filter's words",
    400,
    ["invalid_request_error"],
    "Output blocked by content filtering policy",
    "BadRequest",
    "content_filter",
  ],
  [
    "a flagged prompt",
    400,
    ["invalid_prompt"],
    "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
    "BadRequest",
    "content_filter",
  ],
  ["moderation with status 403", 403, [], "Your input was flagged by moderation", "BadRequest", "content_filter"],
  ["a bad key", 401, ["invalid_request_error"], "Incorrect API key", "Unauthorized", "upstream_auth_error"],
  [
    "a server's mistake that calls itself the caller's",
    500,
    ["invalid_request_error"],
    "boom",
    "ServerError",
    "upstream_error",
  ],
  [
    "a caller's mistake",
    400,
    ["invalid_request_error"],
    "messages: at least one message is required",
    "BadRequest",
    "upstream_rejected_request",
  ],
  [
    "a caller's mistake inside a 200",
    200,
    ["invalid_request_error"],
    "nope",
    "BadRequest",
    "upstream_rejected_request",
  ],
  ["an error without words inside a 200", 200, [], "", "ServerError", "upstream_error"],
];

describe("whose fault a failure is", () => {
  for (const [server, [status, message]] of Object.entries(tooLong)) {
    it(`${server} says that the prompt is too long`, () => {
      assert.deepEqual(blame({ status, codes: [], message }), { class: "BadRequest", code: context });
    });
  }
  for (const [what, [status, message, code]] of Object.entries(notTooLong)) {
    it(`${what} is no context length`, () => assert.equal(blame({ status, codes: [], message }).code, code));
  }
  for (const [what, status, codes, message, kind, code] of others) {
    it(what, () => assert.deepEqual(blame({ status, codes, message }), { class: kind, code }));
  }

  it("is said by the status, where nothing else is known, whatever the words are", () => {
    fc.assert(
      fc.property(fc.integer({ min: 400, max: 599 }), fc.string(), (status, message) => {
        const { class: kind } = blame({ status, codes: [], message });
        if (status >= 500) assert.ok(kind !== "Unauthorized" && kind !== "NotFound");
        if (status === 429) assert.equal(kind, "RateLimited");
      }),
    );
  });

  it("takes time in proportion to at most the beginning of what is said", () => {
    const repeated = ["prompt ", "exceed ", "maximum context ", "input tokens ", "`inputs` "].map((word) =>
      word.repeat(20_000),
    );
    const short = cpuMsOf(
      () => void repeated.map((message) => blame({ status: 400, codes: [], message: message.slice(0, 2_000) })),
    );
    const long = cpuMsOf(() => void repeated.map((message) => blame({ status: 400, codes: [], message })));
    assert.ok(long < 20 * short + 50, `${long} ms for what took ${short} ms`);
  });

  it("reads an error's own status, where it came inside a 200", () => {
    for (const [body, status] of [
      [{ error: { code: 503 } }, 503],
      [{ error: { code: "429", message: "slow" } }, 429],
      [{ object: "error", code: 400, message: "no" }, 400],
      [{ error: { message: "x" }, status_code: 529 }, 529],
      [[{ error: { code: 403 } }], 403],
      [{ error: { code: "insufficient_quota" } }, 200],
      [{ error: { code: 7 } }, 200],
      ["text", 200],
    ] as const)
      assert.equal(statusIn(body), status, JSON.stringify(body));
  });
});

describe("every provider's own decoder", () => {
  /** The envelope in which each of them says it. */
  const envelopes: Record<string, (message: string) => unknown> = {
    Anthropic: (message) => ({ type: "error", error: { type: "invalid_request_error", message } }),
    Bedrock: (message) => ({ message }),
    Cohere: (message) => ({ message }),
    Gemini: (message) => ({ error: { code: 400, status: "INVALID_ARGUMENT", message } }),
    Mistral: (message) => ({ object: "error", message, type: "invalid_request_error", code: "3051" }),
    WatsonX: (message) => ({ errors: [{ code: "invalid_input", message }] }),
  };
  for (const [type, { decodeError }] of Object.entries(providers)) {
    const body = envelopes[type] ?? ((message: string) => ({ error: { message, type: "invalid_request_error" } }));
    it(`${type} tells a prompt that is too long, a used-up quota and a failed dependency from a caller's mistake`, () => {
      const decoded = (status: number, message: string) => {
        const error = decodeError({ status, headers: {}, body: body(message), nowMs: 0 });
        return [error.class, error.code];
      };
      assert.deepEqual(decoded(400, "This model's maximum context length is 4096 tokens."), ["BadRequest", context]);
      assert.deepEqual(decoded(400, "You have reached your specified API usage limits."), [
        "RateLimited",
        "upstream_rate_limited",
      ]);
      if (type !== "Gemini") assert.deepEqual(decoded(424, "dependency failed"), ["ServerError", "upstream_error"]);
      assert.deepEqual(decoded(400, "temperature must be below 2"), ["BadRequest", "upstream_rejected_request"]);
    });
  }
});
