/**
 * Callers and providers may name members as they like, also as the gateway names its own results: no body is taken for a
 * failure, a refusal or anything else that a stage returns.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AnthropicAccount } from "../harness/anthropic-account.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_members_alice_00001";

/** Of failures, refusals, errors of providers, and other results of stages. */
const members = {
  ...{ code: "internal_error", retryAfterMs: 1, cause: null, theirs: {} },
  ...{ refused: true, class: "BadRequest", upstreamStatus: 200 },
  ...{ kind: "failed", outgoing: {}, whole: null, bytes: "", json: {}, choices: [] },
};

const chat = [{ role: "user", content: "Hi" }];
const calls: readonly [path: string, body: object][] = [
  ["/v1/chat/completions", { messages: [{ ...members, ...chat[0] }] }],
  ["/v1/completions", { prompt: "Hi" }],
  ["/v1/embeddings", { input: "Hi" }],
  ["/v1/responses", { input: [{ ...members, role: "user", content: "Hi" }] }],
  ["/v1/responses/input_tokens", { input: "Hi" }],
  ["/v1/responses/compact", { input: "Hi" }],
  [
    "/v1/messages",
    { max_tokens: 5, messages: [{ ...members, role: "user", content: [{ ...members, type: "text", text: "Hi" }] }] },
  ],
  ["/v1/messages/count_tokens", { messages: chat }],
  ["/v1/images/generations", { prompt: "Hi" }],
  ["/v1/audio/speech", { input: "Hi", voice: "alloy" }],
  ["/v1/moderations", { input: "Hi" }],
  ["/v1/rerank", { query: "Hi", documents: [{ ...members, text: "Hi" }] }],
  [
    "/v1/messages/batches",
    {
      models: null,
      requests: [
        { ...members, custom_id: "a", params: { ...members, model: "sonnet", max_tokens: 5, messages: chat } },
      ],
    },
  ],
  ["/v1/sluice/tokens", { models: ["same"] }],
];

describe("members that are named as the gateway's own results", () => {
  let upstream: Upstream;
  const account = new AnthropicAccount();
  let gateway: TestGateway;

  before(async () => {
    upstream = await startUpstream();
    const url = await account.start();
    const routing = (name: string): object => ({ targets: [{ provider: { name } }] });
    gateway = await startGateway([
      provider("same", upstream.url, { options: { responses: "Native" }, models: [{ name: "same" }] }),
      provider("gemini", upstream.url, { type: "Gemini", endpoint: upstream.url, models: [{ name: "gemini" }] }),
      provider("claude", url, { type: "Anthropic", endpoint: url, models: [{ name: "sonnet" }] }),
      secret("same-credentials", { apiKey: "sk" }),
      secret("gemini-credentials", { apiKey: "sk" }),
      secret("claude-credentials", { apiKey: "sk-ant-up" }),
      policy("same", {
        match: { models: ["same"] },
        guard: { mask: {}, deny: ["nothing"] },
        cache: {},
        routing: routing("same"),
      }),
      policy("gemini", { match: { models: ["gemini"] }, routing: routing("gemini") }),
      policy("claude", {
        match: { models: ["sonnet"] },
        routing: routing("claude"),
        resources: { provider: { name: "claude" } },
      }),
      ...key("alice", clear, { role: "data-scientist", clientTokens: {} }),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await upstream.close();
    account.close();
  });

  const ask = async (path: string, body: object): Promise<{ status: number; text: string }> => {
    const headers = {
      authorization: `Bearer ${clear}`,
      "content-type": "application/json",
      "anthropic-version": "2023-06-01",
    };
    const answer = await fetch(`${gateway.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return { status: answer.status, text: await answer.text() };
  };

  for (const [path, body] of calls)
    for (const model of "models" in body ? [null] : ["same", "gemini", "sonnet"])
      it(`${path}${model === null ? "" : ` with ${model}`}: change nothing`, async () => {
        const named = model === null ? {} : { model };
        const each = Object.entries(members).map(([name, value]) => ({ [name]: value }));
        for (const more of [...each, members]) {
          const { status, text } = await ask(path, { ...more, ...named, ...body });
          assert.notEqual(status, 500, `${JSON.stringify(more)}: ${text}`);
        }
      });
});
