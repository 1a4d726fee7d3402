/** Providers with certificates of a private authority. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Authority, certificateAuthority } from "../harness/certificates.ts";
import { eventually, key, type Manifest, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_tls_alice_000001";

describe("TLS to providers", () => {
  let upstream: Upstream;
  let ours: Authority;
  let other: Authority;
  let gateway: TestGateway;

  const manifests = (tls: Record<string, unknown> | null, more: Record<string, unknown> = {}): Manifest[] => [
    provider("up", upstream.url, { ...(tls ? { tls } : {}), circuitBreaker: { failureThreshold: 1000 }, ...more }),
    secret("up-credentials", { apiKey: "sk" }),
    policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
    ...key("alice", alice),
  ];
  const ask = async (): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "hi" }] }),
    });
    return { status: response.status, text: await response.text() };
  };

  before(async () => {
    ours = await certificateAuthority("Ours");
    other = await certificateAuthority("Other");
    // For a name that the endpoint, an address, does not have.
    upstream = await startUpstream(openai, await ours.issue("llm.internal"));
    gateway = await startGateway(manifests({ caBundle: ours.cert, serverName: "llm.internal" }));
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("calls a server whose authority and name the provider states", async () => {
    assert.equal((await ask()).status, 200);
  });

  for (const [name, tls] of [
    ["no authority", () => null],
    ["another authority", () => ({ caBundle: other.cert, serverName: "llm.internal" })],
    ["another name", () => ({ caBundle: ours.cert, serverName: "elsewhere.internal" })],
    ["the endpoint's name, which is not in the certificate", () => ({ caBundle: ours.cert })],
    ["a name, but the public authorities", () => ({ serverName: "llm.internal" })],
  ] as [string, () => Record<string, unknown> | null][])
    it(`with ${name}: 502, nothing sent, and no word of certificates to the caller`, async () => {
      await gateway.apply(manifests(tls()));
      upstream.requests.length = 0;
      const answer = await ask();
      assert.equal(answer.status, 502);
      assert.doesNotMatch(answer.text, /certificate|internal|authority/i);
      assert.equal(upstream.requests.length, 0);
    });

  it("takes a new authority beside the old one, and then instead of it", async () => {
    await gateway.apply(manifests({ caBundle: other.cert, serverName: "llm.internal" }));
    assert.equal((await ask()).status, 502);
    await gateway.apply(manifests({ caBundle: `${other.cert}\n# the new one\n${ours.cert}`, serverName: "llm.internal" }));
    assert.equal((await ask()).status, 200);
    await gateway.apply(manifests({ caBundle: other.cert, serverName: "llm.internal" }));
    assert.equal((await ask()).status, 502);
  });

  it("checks health with the same authority", async () => {
    const healthCheck = { path: "/models", interval: "1s", failureThreshold: 1 };
    const line = /ai_gateway_provider_healthy\{provider="default\/up"\} (\d)/;
    for (const [ca, wanted] of [
      [ours.cert, "1"],
      [other.cert, "0"],
    ] as const) {
      await gateway.apply(manifests({ caBundle: ca, serverName: "llm.internal" }, { healthCheck }));
      await eventually(async () => line.exec(await gateway.metrics())?.[1] === wanted);
    }
  });
});
