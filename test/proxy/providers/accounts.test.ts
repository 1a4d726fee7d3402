/** How providers are addressed and authenticated, where this takes more than a header. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { describe, it } from "node:test";
import { provider as azure } from "../../../proxy/providers/azure-openai/index.ts";
import { provider as bedrock } from "../../../proxy/providers/bedrock/index.ts";
import type { AuthEnvironment, Outgoing, Provider } from "../../../proxy/providers/provider.ts";
import { provider as watsonx } from "../../../proxy/providers/watsonx/index.ts";
import { tokenCauseOf } from "../../../proxy/wire/causes.ts";
import { TokenCache } from "../../../proxy/wire/tokens.ts";
import { eventually, key, policy, provider, secret, startGateway } from "../../harness/gateway.ts";
import { json, openai, startUpstream } from "../../harness/upstream.ts";
import { accepted, accountOf, modelOf, noCloud, type Setting } from "./drive.ts";

const outgoing = (): Outgoing => ({
  method: "POST",
  path: "/p",
  headers: { "content-type": "application/json" },
  body: "{}",
});

/** A token service, and a clock that the test controls. */
function tokenService(answer: () => { status: number; body: string }) {
  let nowMs = 1_000_000;
  const asked: { url: string; body: string }[] = [];
  const cache = new TokenCache(() => nowMs);
  const env: AuthEnvironment = {
    nowMs: () => nowMs,
    token: (name, make) => cache.token(name, make),
    forget: (name) => cache.forget(name),
    cloud: noCloud,
    send: async (url, { body }) => {
      asked.push({ url, body: body ?? "" });
      return answer();
    },
  };
  return { env, asked, pass: (ms: number) => (nowMs += ms) };
}

const tokens: { name: string; provider: Provider; setting: Setting; url: string; form: Record<string, string> }[] = [
  {
    name: "Watsonx",
    provider: watsonx,
    setting: { options: { iamUrl: "https://iam.test" }, credentials: { apiKey: "ibm-key" } },
    url: "https://iam.test/identity/token",
    form: { grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey: "ibm-key" },
  },
  {
    name: "AzureOpenAI with Entra",
    provider: azure,
    setting: {
      options: { authority: "https://login.test", tenantId: "t-1", clientId: "c-1", scope: "https://s.test/.default" },
      credentials: { clientSecret: "cs" },
    },
    url: "https://login.test/t-1/oauth2/v2.0/token",
    form: { grant_type: "client_credentials", client_id: "c-1", client_secret: "cs", scope: "https://s.test/.default" },
  },
];

for (const { name, provider: under, setting, url, form } of tokens) {
  describe(`tokens of ${name}`, () => {
    const account = accountOf(setting);

    it("are fetched once for all waiting callers, and renewed before they expire", async () => {
      let count = 0;
      const service = tokenService(() => ({
        status: 200,
        body: JSON.stringify({ access_token: `token-${++count}`, expires_in: 3600 }),
      }));
      const both = await Promise.all([
        under.authorize(outgoing(), account, service.env),
        under.authorize(outgoing(), account, service.env),
      ]);
      assert.deepEqual(
        both.map((one) => one.headers["authorization"]),
        ["Bearer token-1", "Bearer token-1"],
      );
      assert.deepEqual(service.asked, [{ url, body: new URLSearchParams(form).toString() }]);
      service.pass(2_879_000);
      assert.equal(
        (await under.authorize(outgoing(), account, service.env)).headers["authorization"],
        "Bearer token-1",
      );
      service.pass(2_000);
      assert.equal(
        (await under.authorize(outgoing(), account, service.env)).headers["authorization"],
        "Bearer token-2",
      );
    });

    for (const said of [undefined, null, "", 0, -1, "soon"])
      it(`are kept for five minutes if the service gives ${JSON.stringify(said)} as their lifetime`, async () => {
        const service = tokenService(() => ({
          status: 200,
          body: JSON.stringify({ access_token: "token", expires_in: said }),
        }));
        await under.authorize(outgoing(), account, service.env);
        service.pass(239_000);
        await under.authorize(outgoing(), account, service.env);
        assert.equal(service.asked.length, 1);
        service.pass(2_000);
        await under.authorize(outgoing(), account, service.env);
        assert.equal(service.asked.length, 2);
      });

    it("are renewed once when the provider refuses one, and not for other failures", async () => {
      let count = 0;
      const service = tokenService(() => ({
        status: 200,
        body: JSON.stringify({ access_token: `token-${++count}`, expires_in: 3600 }),
      }));
      await under.authorize(outgoing(), account, service.env);
      const reply = (status: number) => ({ status, headers: {}, body: {}, nowMs: 0 });
      assert.equal(under.renew?.(account, reply(403), service.env), false);
      assert.equal(under.renew?.(account, reply(401), service.env), true);
      assert.equal(
        (await under.authorize(outgoing(), account, service.env)).headers["authorization"],
        "Bearer token-2",
      );
    });

    it("fail without revealing the credential", async () => {
      for (const [answer, why] of [
        [{ status: 400, body: '{"error":"no"}' }, "token_refused"],
        [{ status: 200, body: "{}" }, "token_invalid"],
        [{ status: 200, body: '{"access_token":""}' }, "token_invalid"],
        [{ status: 200, body: "<html>" }, "token_invalid"],
        [{ status: 302, body: "" }, "token_invalid"],
        [{ status: 502, body: "" }, "token_failed"],
        [{ status: 429, body: "" }, "token_failed"],
      ] as const) {
        const service = tokenService(() => answer);
        await assert.rejects(
          async () => under.authorize(outgoing(), account, service.env),
          (cause: Error) => !/ibm-key|cs|html/.test(cause.message) && tokenCauseOf(cause) === why,
        );
      }
    });
  });
}

describe("Azure's two surfaces", () => {
  const rows: [string, Setting, string][] = [
    ["v1", { endpoint: "https://r.openai.azure.com", options: { surface: "V1" } }, "/openai/v1/chat/completions"],
    [
      "v1, with the path written out",
      { endpoint: "https://r.openai.azure.com/openai/v1", options: { surface: "V1" } },
      "/openai/v1/chat/completions",
    ],
    [
      "deployments",
      {
        endpoint: "https://r.openai.azure.com/",
        upstream: "my gpt",
        options: { surface: "Deployments", apiVersion: "2024-10-21" },
      },
      "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
    ],
    [
      "a path prefix of a gateway",
      { endpoint: "https://apim.test/llm", options: { surface: "V1" } },
      "/llm/openai/v1/chat/completions",
    ],
  ];
  for (const [name, setting, path] of rows) {
    it(name, () => {
      assert.equal(azure.passthroughPath("openai.chat", accountOf(setting), modelOf(setting)), path);
      assert.equal(accepted(azure, {}, setting).path, path);
    });
  }

  it("has no deployment in the path of responses", () => {
    const setting = { options: { surface: "Deployments", apiVersion: "2025-04-01-preview" }, upstream: "gpt" };
    assert.equal(
      azure.passthroughPath("openai.responses", accountOf(setting), modelOf(setting)),
      "/openai/responses?api-version=2025-04-01-preview",
    );
  });
});

describe("Bedrock's signature", () => {
  const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
  const env = { nowMs: () => nowMs } as AuthEnvironment;
  const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
  const hmac = (secretKey: string | Buffer, text: string): Buffer =>
    createHmac("sha256", secretKey).update(text).digest();

  /** Signature Version 4 as its documentation specifies it, independent of the signer in use. */
  function expectedSignature(headers: Record<string, string>, path: string, body: string): string {
    const signed = Object.keys(headers).sort();
    const canonical = [
      "POST",
      path
        .split("/")
        .map((part) => encodeURIComponent(part))
        .join("/"),
      "",
      ...signed.map((name) => `${name}:${headers[name]}`),
      "",
      signed.join(";"),
      hash(body),
    ];
    const scope = "20260102/us-east-1/bedrock/aws4_request";
    const toSign = ["AWS4-HMAC-SHA256", "20260102T030405Z", scope, hash(canonical.join("\n"))].join("\n");
    const signing = ["us-east-1", "bedrock", "aws4_request"].reduce(
      hmac as (k: Buffer, t: string) => Buffer,
      hmac("AWS4secret", "20260102"),
    );
    return hmac(signing, toSign).toString("hex");
  }

  for (const [name, more] of [
    ["long-lived keys", {}],
    ["temporary ones", { sessionToken: "tok" }],
  ] as const) {
    it(`is correct for ${name}`, async () => {
      const account = accountOf({
        endpoint: "https://bedrock-runtime.us-east-1.amazonaws.com",
        options: { region: "us-east-1" },
        credentials: { accessKeyId: "AKID", secretAccessKey: "secret", ...more },
      });
      const path = "/model/anthropic.claude-v2%3A1/converse";
      const made = await bedrock.authorize({ ...outgoing(), path, body: '{"a":"ü"}' }, account, env);
      const authorization = String(made.headers["authorization"]);
      const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(";") ?? [];
      const all: Record<string, string> = { ...made.headers, host: "bedrock-runtime.us-east-1.amazonaws.com" };
      assert.ok(names.includes("host") && names.includes("x-amz-date"));
      assert.equal(names.includes("x-amz-security-token"), "sessionToken" in more);
      const signedHeaders = Object.fromEntries(names.map((name) => [name, String(all[name])]));
      assert.ok(authorization.endsWith(`Signature=${expectedSignature(signedHeaders, path, '{"a":"ü"}')}`));
    });
  }

  it("is not used with a Bedrock API key", async () => {
    const account = accountOf({ credentials: { apiKey: "bk", accessKeyId: "a", secretAccessKey: "s" } });
    assert.equal((await bedrock.authorize(outgoing(), account, env)).headers["authorization"], "Bearer bk");
  });
});

describe("a provider with incomplete settings", () => {
  const rows: [string, Record<string, unknown>, Record<string, string>, RegExp][] = [
    [
      "Watsonx without project and space",
      { type: "Watsonx" },
      { apiKey: "k" },
      /exactly one of spec\.options\.projectId and spec\.options\.spaceId/,
    ],
    [
      "Watsonx with both",
      { type: "Watsonx", options: { projectId: "p", spaceId: "s" } },
      { apiKey: "k" },
      /exactly one of/,
    ],
    [
      "Azure with a client secret but no client",
      { type: "AzureOpenAI" },
      { clientSecret: "s" },
      /must hold apiKey, or clientSecret with spec\.options\.tenantId and spec\.options\.clientId/,
    ],
    [
      "Bedrock with half a key pair",
      { type: "Bedrock", options: { region: "us-east-1" } },
      { accessKeyId: "a" },
      /must hold apiKey, or accessKeyId and secretAccessKey/,
    ],
    ["Bedrock without a region", { type: "Bedrock" }, { apiKey: "a" }, /needs spec\.options\.region/],
  ];
  for (const [name, spec, held, expected] of rows) {
    it(name, async () => {
      const gateway = await startGateway([provider("up", "http://127.0.0.1:9", spec), secret("up-credentials", held)]);
      try {
        assert.match(gateway.printed.join("\n"), expected);
      } finally {
        await gateway.close();
      }
    });
  }
});

describe("a token that the provider no longer accepts", () => {
  it("is renewed and the call retried, without the caller noticing", async () => {
    let issued = 0;
    const upstream = await startUpstream((request, response) => {
      if (request.path === "/identity/token")
        return json(response, 200, { access_token: `t-${++issued}`, expires_in: 3600 });
      if (request.headers.authorization === "Bearer t-1")
        return json(response, 401, { errors: [{ code: "authentication_token_expired", message: "expired" }] });
      return openai(request, response);
    });
    const spec = { type: "Watsonx", endpoint: upstream.url, options: { projectId: "p", iamUrl: upstream.url } };
    const gateway = await startGateway([
      provider("up", upstream.url, spec),
      secret("up-credentials", { apiKey: "k" }),
      policy("all", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", "slc_accounts_key_01"),
    ]);
    try {
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer slc_accounts_key_01", "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
      });
      assert.equal(response.status, 200);
      assert.equal(issued, 2);
      await eventually(() => gateway.logs.some((line) => line["status"] === 200));
      assert.doesNotMatch(gateway.logText(), /t-1|t-2/);
    } finally {
      await gateway.close();
      await upstream.close();
    }
  });
});
