import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { APIError as AnthropicError } from "@anthropic-ai/sdk";
import { APIError } from "openai";
import { surfaces } from "../../../proxy/dialects/surfaces.ts";
import { type FailureCode, failure, failures, httpStatusOf } from "../../../proxy/failure.ts";
import { anthropic, openai } from "./sdk.ts";

const anthropicTypes: Partial<Record<FailureCode, string>> = {
  invalid_json: "invalid_request_error",
  invalid_api_key: "authentication_error",
  model_not_allowed: "permission_error",
  model_not_found: "not_found_error",
  method_not_allowed: "invalid_request_error",
  request_too_large: "request_too_large",
  rate_limit_exceeded: "rate_limit_error",
  budget_exceeded: "rate_limit_error",
  session_time_exceeded: "rate_limit_error",
  internal_error: "api_error",
  upstream_auth_error: "api_error",
  upstream_unavailable: "overloaded_error",
  upstream_timeout: "timeout_error",
};

describe("failures as the official SDKs read them", () => {
  test("every failure reaches the OpenAI SDK with code, type and param", async () => {
    for (const code of Object.keys(failures) as FailureCode[]) {
      const one = failure(code, "What to do.", { param: "messages[0]" });
      const call = openai(surfaces.openai.errorBody(one, "req-1"), httpStatusOf(one)).chat.completions.create({
        model: "m",
        messages: [],
      });
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof APIError);
        assert.deepEqual(
          [error.status, error.code, error.type, error.param],
          [failures[code].status, code, failures[code].type, "messages[0]"],
        );
        return /What to do\./.test(error.message);
      });
    }
  });

  for (const [code, type] of Object.entries(anthropicTypes) as [FailureCode, string][]) {
    test(`${code} is ${type} for the Anthropic SDK`, async () => {
      const one = failure(code, "What to do.");
      const call = anthropic(surfaces.anthropic.errorBody(one, "req-1"), httpStatusOf(one)).messages.create({
        model: "m",
        max_tokens: 1,
        messages: [],
      });
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof AnthropicError);
        assert.equal(error.status, failures[code].status);
        assert.deepEqual(error.error, { type: "error", error: { type, message: "What to do." }, request_id: "req-1" });
        return true;
      });
    });
  }
});
