/** Token services with a certificate of a private authority. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { type Authority, certificateAuthority, type Pair } from "../harness/certificates.ts";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../harness/gateway.ts";
import { type Answer, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_token_alice_00001";

/** A separate credential, so that each test has to fetch a token. */
const tokens: Answer = (request, response) => {
  const form = new URLSearchParams(request.text);
  json(response, 200, { access_token: `for-${form.get("apikey") ?? form.get("client_secret")}`, expires_in: 3600 });
};

describe("TLS to token services", () => {
  let model: Upstream;
  let service: Upstream;
  let asking: Upstream;
  let ours: Authority;
  let other: Authority;
  let pair: Pair;
  let foreign: Pair;
  let gateway: TestGateway;
  let credentials = 0;

  const types = {
    Watsonx: (url: string) => ({ options: { projectId: "p", iamUrl: url } }),
    AzureOpenAI: (url: string) => ({ options: { tenantId: "t", clientId: "c", authority: url } }),
  };
  const manifests = (type: keyof typeof types, url: string, more: Record<string, unknown>): Manifest[] => [
    provider("up", model.url, { type, circuitBreaker: { failureThreshold: 1000 }, ...types[type](url), ...more }),
    secret("up-credentials", { [type === "Watsonx" ? "apiKey" : "clientSecret"]: `planted-${++credentials}` }),
    { ...secret("pair", { "tls.crt": pair.cert, "tls.key": pair.key }), type: "kubernetes.io/tls" },
    { ...secret("foreign", { "tls.crt": foreign.cert, "tls.key": foreign.key }), type: "kubernetes.io/tls" },
    policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
    ...key("alice", alice),
  ];
  const ask = async (): Promise<{ status: number; text: string; cause: unknown }> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "hi" }] }),
    });
    const text = await response.text();
    const id = response.headers.get("x-request-id");
    const line = await eventually(() => gateway.logs.find((log) => log["msg"] === "call" && log["request_id"] === id));
    return { status: response.status, text, cause: line["cause"] };
  };

  before(async () => {
    [ours, other] = await Promise.all([certificateAuthority("Ours"), certificateAuthority("Other")]);
    const [own, internal] = await Promise.all([ours.issue("127.0.0.1"), ours.issue("iam.internal")]);
    [pair, foreign] = await Promise.all([ours.issue("gateway"), other.issue("gateway")]);
    model = await startUpstream((request, response) => openai(request, response));
    service = await startUpstream(tokens, internal);
    asking = await startUpstream(tokens, { ...own, clientCa: ours.cert });
    gateway = await startGateway(manifests("Watsonx", service.url, {}));
  });
  after(async () => {
    await gateway.close();
    await Promise.all([model, service, asking].map((one) => one.close()));
  });

  const trusted = (more: Record<string, unknown> = {}) => ({
    tokenService: { tls: { caBundle: ours.cert, serverName: "iam.internal", ...more } },
  });

  for (const type of ["Watsonx", "AzureOpenAI"] as const) {
    it(`fetches a token for ${type} from a service of the stated authority and name`, async () => {
      await gateway.apply(manifests(type, service.url, trusted()));
      assert.equal((await ask()).status, 200);
      assert.equal(model.requests.at(-1)?.headers.authorization, `Bearer for-planted-${credentials}`);
    });

    for (const [name, more, cause] of [
      ["nothing stated", () => ({}), "token_tls_unknown_authority"],
      ["another authority", () => trusted({ caBundle: other.cert }), "token_tls_unknown_authority"],
      ["another name", () => trusted({ serverName: "elsewhere.internal" }), "token_tls_wrong_name"],
    ] as const)
      it(`sends no credential of ${type} with ${name}, and gives the reason only in the log`, async () => {
        await gateway.apply(manifests(type, service.url, more()));
        const asked = [service.requests.length, model.requests.length];
        const answer = await ask();
        assert.deepEqual([answer.status, answer.cause], [502, cause]);
        assert.deepEqual([service.requests.length, model.requests.length], asked);
        assert.doesNotMatch(answer.text, /tls|certificate|authority/i);
        assert.doesNotMatch(gateway.logText(), /planted-/);
      });
  }

  for (const [name, shown, cause] of [
    [
      "shows it the certificate that it asks for",
      () => ({ clientCertificate: { secretRef: { name: "pair" } } }),
      undefined,
    ],
    ["tells where it asks for one in vain", () => ({}), "token_tls_client_certificate_missing"],
  ] as const)
    it(name, async () => {
      await gateway.apply(
        manifests("Watsonx", asking.url, { tokenService: { tls: { caBundle: ours.cert, ...shown() } } }),
      );
      const answer = await ask();
      assert.deepEqual([answer.status, answer.cause], [cause === undefined ? 200 : 502, cause]);
      if (cause === undefined)
        assert.equal(asking.requests.at(-1)?.client, new X509Certificate(pair.cert).fingerprint256);
    });

  it("refuses a certificate of another authority", async () => {
    const tls = { caBundle: ours.cert, clientCertificate: { secretRef: { name: "foreign" } } };
    await gateway.apply(manifests("Watsonx", asking.url, { tokenService: { tls } }));
    assert.equal((await ask()).status, 502);
  });

  it("reports the expiry of that certificate", async () => {
    const tls = { caBundle: ours.cert, clientCertificate: { secretRef: { name: "pair" } } };
    await gateway.apply(manifests("Watsonx", asking.url, { tokenService: { tls } }));
    const line = /sluice_client_certificate_not_after_seconds\{provider="default\/up"\} (\d+)/;
    assert.equal(
      line.exec(await gateway.metrics())?.[1],
      String(Date.parse(new X509Certificate(pair.cert).validTo) / 1000),
    );
  });

  it("is called again for a provider with other authorities, even with the same credential", async () => {
    await gateway.apply(manifests("Watsonx", service.url, trusted()));
    assert.equal((await ask()).status, 200);
    credentials--;
    await gateway.apply(manifests("Watsonx", service.url, {}));
    assert.deepEqual([(await ask()).cause], ["token_tls_unknown_authority"]);
  });

  it("causes fallback if it can't be reached, but not if it refuses the credential", async () => {
    const spare = [
      provider("spare", model.url),
      secret("spare-credentials", { apiKey: "k" }),
      policy("chat", {
        match: { models: ["gpt-4o"] },
        routing: { targets: [{ provider: { name: "up" } }, { provider: { name: "spare" }, priority: 2 }] },
      }),
    ];
    const both = (spec: Record<string, unknown>) => [
      ...manifests("Watsonx", service.url, spec).filter(({ kind }) => kind !== "RoutingPolicy"),
      ...spare,
    ];
    await gateway.apply(both({}));
    assert.equal((await ask()).status, 200);
    service.answer((_request, response) => json(response, 400, { errorCode: "BXNIM0415E" }));
    await gateway.apply(both(trusted()));
    assert.deepEqual([(await ask()).cause], ["token_refused"]);
    service.answer(tokens);
  });

  it("is the reason that an open breaker and a health check report", async () => {
    const circuitBreaker = { failureThreshold: 1, openFor: "60s" };
    const reason = async (): Promise<string> => {
      const { providers } = (await gateway.status()) as { providers: Record<string, unknown>[] };
      return String(providers[0]?.["reason"]);
    };
    await gateway.apply(manifests("Watsonx", service.url, { circuitBreaker }));
    await ask();
    assert.match(await reason(), /^every model's breaker is open: token service: .* \(token_tls_unknown_authority\)$/);
    await gateway.apply(
      manifests("Watsonx", service.url, { healthCheck: { path: "/models", interval: "1s", failureThreshold: 1 } }),
    );
    await eventually(async () => (await reason()).startsWith("no token for the provider: token service: "));
  });
});
