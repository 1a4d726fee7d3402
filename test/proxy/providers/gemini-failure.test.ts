import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { provider } from "../../../proxy/providers/gemini/index.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc from "../../harness/property.ts";
import { accountOf, modelOf } from "./drive.ts";
import { errorReply, geminiSetting } from "./gemini-call.ts";

describe("Gemini's errors", () => {
  const google = (status: string, message: string, details: unknown[] = []): JsonObject => ({
    error: { code: 0, message, status, details },
  });
  const retryInfo = { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "39.5s" };
  const badKey = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" };
  const table: [string, number, unknown, string, string, (number | null)?][] = [
    ["a bad argument", 400, google("INVALID_ARGUMENT", "Bad schema."), "BadRequest", "upstream_rejected_request"],
    [
      "a bad key",
      400,
      google("INVALID_ARGUMENT", "API key AIza-secret not valid.", [badKey]),
      "Unauthorized",
      "upstream_auth_error",
    ],
    [
      "too long a prompt",
      400,
      google(
        "INVALID_ARGUMENT",
        "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
      ),
      "BadRequest",
      "context_length_exceeded",
    ],
    ["no billing", 400, google("FAILED_PRECONDITION", "Enable billing."), "Unauthorized", "upstream_auth_error"],
    ["no credential", 401, google("UNAUTHENTICATED", "No."), "Unauthorized", "upstream_auth_error"],
    ["no permission", 403, google("PERMISSION_DENIED", "No."), "Unauthorized", "upstream_auth_error"],
    ["an unknown model", 404, google("NOT_FOUND", "No such model."), "NotFound", "upstream_model_not_found"],
    [
      "a limit",
      429,
      google("RESOURCE_EXHAUSTED", "Quota.", [{}, retryInfo]),
      "RateLimited",
      "upstream_rate_limited",
      39_500,
    ],
    [
      "a limit in an array",
      429,
      [google("RESOURCE_EXHAUSTED", "Quota.", [retryInfo])],
      "RateLimited",
      "upstream_rate_limited",
      39_500,
    ],
    [
      "a limit with an unusual delay",
      429,
      google("RESOURCE_EXHAUSTED", "Quota.", [{ ...retryInfo, retryDelay: "soon" }]),
      "RateLimited",
      "upstream_rate_limited",
      null,
    ],
    ["a cancelled call", 499, google("CANCELLED", "Cancelled."), "Unavailable", "upstream_unavailable"],
    ["a fault", 500, google("INTERNAL", "Oops."), "ServerError", "upstream_error"],
    ["overload", 503, google("UNAVAILABLE", "Overloaded."), "Unavailable", "upstream_unavailable"],
    ["a deadline", 504, google("DEADLINE_EXCEEDED", "Slow."), "Timeout", "upstream_timeout"],
    ["a page of HTML", 502, "<html>", "ServerError", "upstream_error"],
    ["a status like an object's own", 500, google("constructor", "?"), "ServerError", "upstream_error"],
  ];
  for (const [name, status, body, kind, code, retryAfterMs = null] of table) {
    test(`${name} is ${kind}`, () => {
      const error = provider.decodeError(errorReply(status, body));
      assert.deepEqual(
        [error.class, error.code, error.retryAfterMs, error.upstreamStatus],
        [kind, code, retryAfterMs, status],
      );
      assert.ok(!error.message.includes("AIza"));
    });
  }

  test("the header applies if the body gives no delay", () => {
    assert.equal(
      provider.decodeError(errorReply(429, google("RESOURCE_EXHAUSTED", "Quota."), { "retry-after": "7" }))
        .retryAfterMs,
      7_000,
    );
  });
});

describe("Gemini's embeddings", () => {
  const setting = geminiSetting({ upstream: "gemini-embedding-001" });
  const embed = (input: string | string[] | number[], more: JsonObject = {}) =>
    provider.embeddings?.({ model: "alias", input, ...more }, accountOf(setting), modelOf(setting));

  test("are requested in one batch", () => {
    const made = embed(["a", "b"], { dimensions: 256, encoding_format: "base64", user: "u" });
    assert.ok(made !== undefined && !isRefusal(made));
    assert.equal(made.path, "/v1beta/models/gemini-embedding-001:batchEmbedContents");
    const request = (text: string) => ({
      model: "models/gemini-embedding-001",
      content: { parts: [{ text }] },
      outputDimensionality: 256,
    });
    assert.deepEqual(JSON.parse(made.body), { requests: [request("a"), request("b")] });
    assert.deepEqual(made.dropped, ["user"]);
    assert.deepEqual(
      made.decodeReply(
        { embeddings: [{ values: [1, 2] }, { values: [3] }], usageMetadata: { promptTokenCount: 4 } },
        {},
      ),
      {
        model: "gemini-embedding-001",
        vectors: [[1, 2], [3]],
        usage: { prompt: 4, cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, estimated: false },
      },
    );
  });

  test("of tokens are refused", () => {
    const made = embed([1, 2]);
    assert.ok(made !== undefined && isRefusal(made));
    assert.equal(made.param, "input");
  });

  test("that are missing, some or all, are an error", () => {
    const made = embed("a");
    assert.ok(made !== undefined && !isRefusal(made));
    for (const body of [
      null,
      {},
      { embeddings: [] },
      { embeddings: [{}] },
      { embeddings: [{ values: ["x"] }] },
      { embeddings: [{ values: [1] }, 1, { values: [] }] },
    ]) {
      assert.partialDeepStrictEqual(made.decodeReply(body, {}), { code: "upstream_invalid_response" });
    }
    fc.assert(
      fc.property(fc.jsonValue(), (body) =>
        assert.ok("vectors" in made.decodeReply(body, {}) || "class" in made.decodeReply(body, {})),
      ),
    );
  });
});
