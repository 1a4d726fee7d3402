/** Applications of Entra that sign in with a certificate, at a token service that checks what Entra checks. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { constants, createHash, verify, X509Certificate } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { compile } from "../../../operator/compile/compile.ts";
import type { WorldObject } from "../../../operator/compile/world.ts";
import { secretFact } from "../../../operator/secrets.ts";
import { installation, renderedSettings } from "../../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../../proxy/config/capabilities.generated.ts";
import { certificateAuthority, type Pair } from "../../harness/certificates.ts";
import { key, policy, provider, secret, startGateway } from "../../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream, type UpstreamRequest } from "../../harness/upstream.ts";

const clear = "slc_assertion_key_00001";
const client = "11111111-2222-3333-4444-555555555555";
const tenant = "contoso.onmicrosoft.com";
const ca = await certificateAuthority();
const pair = await ca.issue("app.internal");
const other = await ca.issue("other.internal");
const expired = await ca.issueExpired("app.internal");

const part = (text: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(text ?? "", "base64url").toString("utf8")) as Record<string, unknown>;

/** https://learn.microsoft.com/entra/identity-platform/certificate-credentials */
class Entra {
  readonly ids = new Set<unknown>();
  refusals: string[] = [];
  registered: Pair = pair;

  why(form: URLSearchParams, audience: string): string | null {
    if (form.get("grant_type") !== "client_credentials") return "grant_type";
    if (form.get("client_id") !== client) return "client_id";
    if (form.has("client_secret")) return "both a secret and an assertion";
    if (form.get("client_assertion_type") !== "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") return "type";
    const [head, body, signature] = (form.get("client_assertion") ?? "").split(".");
    const der = new X509Certificate(this.registered.cert).raw;
    const header = part(head);
    const thumbprint = createHash("sha256").update(der).digest("base64url");
    if (header["alg"] !== "PS256" || header["typ"] !== "JWT" || header["x5t#S256"] !== thumbprint) return "header";
    const claims = part(body);
    const now = Date.now() / 1000;
    if (claims["aud"] !== audience || claims["iss"] !== client || claims["sub"] !== client) return "claims";
    if (Number(claims["nbf"]) > now + 60 || Number(claims["exp"]) < now - 60) return "time";
    if (Number(claims["exp"]) - Number(claims["nbf"]) > 600) return "a life above ten minutes";
    if (typeof claims["jti"] !== "string" || this.ids.has(claims["jti"])) return "jti";
    this.ids.add(claims["jti"]);
    const key = { key: this.registered.cert, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    const signed = verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature ?? "", "base64url"));
    return signed ? null : "signature";
  }
}

for (const [type, path] of [
  ["AzureOpenAI", "/openai/v1/chat/completions"],
  ["AzureAIFoundry", "/openai/v1/chat/completions"],
] as const)
  describe(`a certificate of ${type}`, () => {
    const entra = new Entra();
    let upstream: Upstream;
    let gateway: Awaited<ReturnType<typeof startGateway>>;
    let tokens = 0;
    const answer = (request: UpstreamRequest, response: Parameters<typeof openai>[1]): void => {
      if (!request.path.startsWith(`/${tenant}/`)) return void openai(request, response);
      const why = entra.why(new URLSearchParams(request.text), upstream.url + request.path);
      if (why !== null) entra.refusals.push(why);
      if (why !== null) json(response, 401, { error: "invalid_client", error_description: why });
      else json(response, 200, { token_type: "Bearer", expires_in: 3599, access_token: `token-${++tokens}` });
    };
    const manifests = (values: Pair) => [
      provider("up", upstream.url, {
        type,
        endpoint: upstream.url,
        options: { authority: upstream.url, tenantId: tenant, clientId: client },
        models: [{ name: "m" }],
        circuitBreaker: { failureThreshold: 100 },
      }),
      secret("up-credentials", { "tls.crt": values.cert, "tls.key": values.key }),
      policy("all", { match: { models: ["m"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
    ];
    const ask = (): Promise<Response> =>
      fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hi" }] }),
      });
    before(async () => {
      upstream = await startUpstream(answer);
      gateway = await startGateway(manifests(pair));
    });
    after(async () => {
      await gateway.close();
      await upstream.close();
    });

    it("gets a token that calls carry", async () => {
      const said = await ask();
      assert.deepEqual([said.status, entra.refusals], [200, []], await said.text());
      const call = upstream.requests.find((request) => request.path === path);
      assert.equal(call?.headers["authorization"], "Bearer token-1");
      assert.equal((await ask()).status, 200);
      assert.equal(tokens, 1);
    });

    it("gets a token of its own after a renewal, and neither key nor certificate is shown", async () => {
      entra.registered = other;
      await gateway.apply(manifests(other));
      assert.equal((await ask()).status, 200);
      assert.equal(upstream.requests.at(-1)?.headers["authorization"], "Bearer token-2");
      entra.registered = pair;
      await gateway.apply(manifests(await ca.issue("unregistered.internal")));
      const refused = await ask();
      assert.equal(refused.status, 502);
      for (const text of [await refused.text(), gateway.logText(), await gateway.metrics()])
        assert.doesNotMatch(text, /PRIVATE KEY|BEGIN CERTIFICATE|client_assertion/);
    });
  });

describe("a Secret with a certificate", () => {
  const pepper = new Uint8Array(32).fill(3);
  function problems(
    values: Record<string, string>,
    options: Record<string, string> = { tenantId: tenant, clientId: client },
  ) {
    const object: WorldObject = {
      kind: "LLMProvider",
      meta: { name: "p", namespace: "a", uid: "u", generation: 1, createdAtMs: 1, labels: {} },
      spec: {
        type: "AzureOpenAI",
        endpoint: "https://x.openai.azure.com",
        options,
        credentials: { secretRef: { name: "s" } },
        models: [{ name: "m" }],
      },
      status: {},
    };
    const facts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, secretFact(pepper, value)]));
    const { verdicts } = compile(
      {
        world: { objects: [object], secrets: { "a/s": facts }, namespaces: {} },
        settings: { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*" },
        previous: null,
        nowMs: Date.now(),
      },
      capabilitiesByType,
    );
    return verdicts[0]?.resolvedRefs.map(({ severity, reason, message }) => `${severity} ${reason}: ${message}`);
  }

  const rows: [what: string, values: Record<string, string>, said: RegExp | null][] = [
    ["and its key", { "tls.crt": pair.cert, "tls.key": pair.key }, null],
    [
      "alone",
      { "tls.crt": pair.cert },
      /^error SecretKeyNotFound: Secret s must hold apiKey, or clientSecret with .*, or tls.crt and tls.key with spec.options.tenantId and spec.options.clientId$/,
    ],
    [
      "and another's key",
      { "tls.crt": pair.cert, "tls.key": other.key },
      /^error SecretUnusable: Secret s has a private key that is not the certificate's$/,
    ],
    [
      "that expired",
      { "tls.crt": expired.cert, "tls.key": expired.key },
      /^warning CertificateExpired: Secret s has a certificate that expired at /,
    ],
    [
      "that is none",
      { "tls.crt": "x", "tls.key": pair.key },
      /^error SecretUnusable: Secret s, key tls.crt: the value is not a certificate in PEM$/,
    ],
  ];
  for (const [what, values, said] of rows)
    it(`${said === null ? "is used" : "is reported"} ${what}`, () => {
      const found = problems(values);
      assert.equal(found?.length, said === null ? 0 : 1, found?.join("\n"));
      if (said !== null) assert.match(found?.[0] ?? "", said);
    });

  it("needs tenant and client", () => {
    assert.match(
      problems({ "tls.crt": pair.cert, "tls.key": pair.key }, {})?.[0] ?? "",
      /SecretKeyNotFound.* must hold apiKey, or/,
    );
  });
});
