/** Which API of a cloud serves a model, where, and with which credential. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { provider as foundry } from "../../../proxy/providers/azure-ai-foundry/index.ts";
import { provider as bedrock } from "../../../proxy/providers/bedrock/index.ts";
import type { CloudCredentials, Outgoing, Provider, ProviderAccount } from "../../../proxy/providers/provider.ts";
import { provider as vertex } from "../../../proxy/providers/vertex-ai/index.ts";
import { TokenServiceError } from "../../../proxy/wire/causes.ts";
import { accepted, accountOf, environment, noCloud, type Setting } from "./drive.ts";

const google = { project: "my-project", location: "europe-west4" };
const inProject = "/v1/projects/my-project/locations/europe-west4";

interface Row {
  provider: Provider;
  setting: Setting;
  path: string;
}

const rows: Record<string, Row> = {
  Gemini: {
    provider: vertex,
    setting: { options: google, upstream: "gemini-2.5-pro" },
    path: `${inProject}/publishers/google/models/gemini-2.5-pro:generateContent`,
  },
  "Gemini, streamed": {
    provider: vertex,
    setting: { options: google, upstream: "gemini-2.5-pro", stream: true },
    path: `${inProject}/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse`,
  },
  "Claude on Vertex": {
    provider: vertex,
    setting: { options: google, upstream: "claude-opus-4-1@20250805" },
    path: `${inProject}/publishers/anthropic/models/claude-opus-4-1@20250805:rawPredict`,
  },
  "Claude on Vertex, streamed": {
    provider: vertex,
    setting: { options: google, upstream: "claude-opus-4-1@20250805", stream: true },
    path: `${inProject}/publishers/anthropic/models/claude-opus-4-1@20250805:streamRawPredict`,
  },
  "a name that can't leave its segment": {
    provider: vertex,
    setting: { options: { ...google, api: "Claude" }, upstream: "x/../../y?z" },
    path: `${inProject}/publishers/anthropic/models/x%2F..%2F..%2Fy%3Fz:rawPredict`,
  },
  "another publisher's model": {
    provider: vertex,
    setting: { options: google, upstream: "meta/llama-4-maverick" },
    path: `${inProject}/endpoints/openapi/chat/completions`,
  },
  "Gemini by the OpenAI-compatible endpoint": {
    provider: vertex,
    setting: { options: { ...google, api: "OpenAI" }, upstream: "google/gemini-2.5-pro" },
    path: `${inProject}/endpoints/openapi/chat/completions`,
  },
  "an endpoint that ends in /v1": {
    provider: vertex,
    setting: { options: google, upstream: "gemini-2.5-pro", endpoint: "https://gate.test/vertex/v1" },
    path: `/vertex${inProject}/publishers/google/models/gemini-2.5-pro:generateContent`,
  },
  "Claude on Foundry": {
    provider: foundry,
    setting: { upstream: "claude-sonnet-4-5" },
    path: "/anthropic/v1/messages",
  },
  "a deployment of Claude with a name of its own": {
    provider: foundry,
    setting: { options: { api: "Claude" }, upstream: "prod" },
    path: "/anthropic/v1/messages",
  },
  "another model on Foundry": {
    provider: foundry,
    setting: { upstream: "grok-4" },
    path: "/openai/v1/chat/completions",
  },
  "an endpoint as the portal shows it": {
    provider: foundry,
    setting: { upstream: "claude-sonnet-4-5", endpoint: "https://x.services.ai.azure.com/anthropic/v1" },
    path: "/anthropic/v1/messages",
  },
  "the other endpoint as the portal shows it": {
    provider: foundry,
    setting: { upstream: "grok-4", endpoint: "https://x.services.ai.azure.com/openai/v1/" },
    path: "/openai/v1/chat/completions",
  },
  "Bedrock's OpenAI-compatible endpoint": {
    provider: bedrock,
    setting: { options: { api: "OpenAI" }, upstream: "openai.gpt-oss-120b-1:0" },
    path: "/openai/v1/chat/completions",
  },
  "Claude by InvokeModel": {
    provider: bedrock,
    setting: { options: { api: "InvokeModel" }, upstream: "eu.anthropic.claude-sonnet-4-5-20250929-v1:0" },
    path: "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke",
  },
};

describe("the path of", () => {
  for (const [what, { provider, setting, path }] of Object.entries(rows))
    it(what, () => assert.equal(accepted(provider, {}, setting).path, path));
});

describe("a credential of", () => {
  const outgoing = (path = "/p"): Outgoing => ({ method: "POST", path, headers: {}, body: "{}" });
  const scopes: string[] = [];
  const cloud: CloudCredentials = {
    ...noCloud,
    bearer: async (_account, scope) => {
      scopes.push(scope);
      return "from-the-cloud";
    },
  };
  const env = { ...environment(0), cloud };
  const withIdentity = (identity: ProviderAccount["config"]["identity"], setting: Setting = {}): ProviderAccount => {
    const account = accountOf(setting);
    return { ...account, config: { ...account.config, ...(identity === undefined ? {} : { identity }) } };
  };

  it("Vertex AI is the Pod's identity, an account's key, or an API key", async () => {
    const own = withIdentity({ cloud: "google", serviceAccount: null });
    assert.deepEqual((await vertex.authorize(outgoing(), own, env)).headers, {
      authorization: "Bearer from-the-cloud",
    });
    assert.equal(scopes.at(-1), "https://www.googleapis.com/auth/cloud-platform");
    const key = accountOf({ credentials: { apiKey: "g-key" } });
    assert.deepEqual((await vertex.authorize(outgoing(), key, env)).headers, { "x-goog-api-key": "g-key" });
  });

  for (const [what, json] of [
    ["no JSON", "AIza"],
    ["an external account", '{"type":"external_account"}'],
    ["no key", '{"client_email":"a@b","private_key":"none"}'],
  ] as const)
    it(`Vertex AI that is no key of an account is refused in words: ${what}`, async () => {
      const account = accountOf({ options: { tokenUrl: "https://t.test" }, credentials: { serviceAccountJson: json } });
      const token = (_key: string, make: () => Promise<{ value: string }>) => make().then(({ value }) => value);
      await assert.rejects(
        async () => vertex.authorize(outgoing(), account, { ...env, token }),
        (error: TokenServiceError) =>
          error instanceof TokenServiceError && /not the key of a service account/.test(error.message),
      );
    });

  it("Foundry is the Pod's identity or an API key", async () => {
    const own = withIdentity(
      { cloud: "azure", clientId: null, tenantId: null },
      { options: { scope: "https://s/.default" } },
    );
    assert.deepEqual((await foundry.authorize(outgoing(), own, env)).headers, {
      authorization: "Bearer from-the-cloud",
    });
    assert.equal(scopes.at(-1), "https://s/.default");
    const key = accountOf({ credentials: { apiKey: "a-key" } });
    assert.deepEqual((await foundry.authorize(outgoing(), key, env)).headers, { "api-key": "a-key" });
  });

  for (const [what, provider, account] of [
    ["Vertex AI", vertex, withIdentity({ cloud: "google", serviceAccount: null })],
    ["Foundry", foundry, withIdentity({ cloud: "azure", clientId: null, tenantId: null })],
  ] as const)
    it(`${what} is got again where the provider refuses it, once for 401 only`, () => {
      const reply = (status: number) => ({ status, headers: {}, body: {}, nowMs: 0 });
      assert.equal(provider.renew?.(account, reply(401), env), true);
      assert.equal(provider.renew?.(account, reply(403), env), false);
      assert.equal(provider.renew?.(accountOf({ credentials: { apiKey: "k" } }), reply(401), env), false);
    });
});
