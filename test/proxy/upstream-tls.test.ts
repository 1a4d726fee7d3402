/** Providers whose certificates have a private authority. */
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
import { openai, pausedStream, startUpstream, type Upstream } from "../harness/upstream.ts";

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
    // For a name other than the endpoint's, which is an address.
    upstream = await startUpstream(openai, await ours.issue("llm.internal"));
    gateway = await startGateway(manifests({ caBundle: ours.cert, serverName: "llm.internal" }));
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("calls a server with the configured authority and name", async () => {
    assert.equal((await ask()).status, 200);
  });

  for (const [name, tls] of [
    ["no authority", () => null],
    ["another authority", () => ({ caBundle: other.cert, serverName: "llm.internal" })],
    ["another name", () => ({ caBundle: ours.cert, serverName: "elsewhere.internal" })],
    ["the endpoint's name, which is not in the certificate", () => ({ caBundle: ours.cert })],
    ["a name, but the public authorities", () => ({ serverName: "llm.internal" })],
  ] as [string, () => Record<string, unknown> | null][])
    it(`with ${name}: 502, nothing sent, and the caller learns nothing about certificates`, async () => {
      await gateway.apply(manifests(tls()));
      upstream.requests.length = 0;
      const answer = await ask();
      assert.equal(answer.status, 502);
      assert.doesNotMatch(answer.text, /certificate|internal|authority/i);
      assert.equal(upstream.requests.length, 0);
    });

  it("accepts a new authority in addition to the old one, and then instead of it", async () => {
    await gateway.apply(manifests({ caBundle: other.cert, serverName: "llm.internal" }));
    assert.equal((await ask()).status, 502);
    await gateway.apply(
      manifests({ caBundle: `${other.cert}\n# the new one\n${ours.cert}`, serverName: "llm.internal" }),
    );
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

describe("certificates that the gateway presents to providers", () => {
  let upstream: Upstream;
  let ours: Authority;
  let first: Pair;
  let renewed: Pair;
  let foreign: Pair;
  let gateway: TestGateway;

  /** Each apply must change the config, because only a changed config is printed as live. */
  let revisions = 0;

  /** As cert-manager writes it. */
  const tlsSecret = (pair: Partial<Pair>): Manifest => ({
    ...secret("gateway-tls", {
      ...(pair.cert === undefined ? {} : { "tls.crt": pair.cert }),
      ...(pair.key === undefined ? {} : { "tls.key": pair.key }),
      "ca.crt": ours.cert,
    }),
    type: "kubernetes.io/tls",
  });
  const manifests = (pair: Partial<Pair> | null, more: Record<string, unknown> = {}): Manifest[] => [
    provider("up", upstream.url, {
      tls: { caBundle: ours.cert, ...(pair ? { clientCertificate: { secretRef: { name: "gateway-tls" } } } : {}) },
      circuitBreaker: { failureThreshold: 1000 },
      ...more,
    }),
    secret("up-credentials", { apiKey: "sk" }),
    ...(pair && Object.keys(pair).length > 0 ? [tlsSecret(pair)] : []),
    policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
    ...key("alice", alice),
    ...key("nobody", `slc_tls_nobody_${++revisions}`),
  ];
  const send = (more: Record<string, unknown> = {}): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "hi" }], ...more }),
    });
  const ask = async (): Promise<{ status: number; text: string }> => {
    const response = await send();
    return { status: response.status, text: await response.text() };
  };
  const fingerprint = ({ cert }: Pair): string => new X509Certificate(cert).fingerprint256;
  const shown = (): string | null | undefined => upstream.requests.at(-1)?.client;
  /** What the folder's watcher has printed since then. */
  const said = (since: number): string => gateway.printed.slice(since).join("\n");

  before(async () => {
    ours = await certificateAuthority("Ours");
    const other = await certificateAuthority("Other");
    [first, renewed, foreign] = await Promise.all([
      ours.issue("gateway.one"),
      ours.issue("gateway.two"),
      other.issue("gateway.one"),
    ]);
    upstream = await startUpstream(openai, { ...(await ours.issue("127.0.0.1")), clientCa: ours.cert });
    gateway = await startGateway(manifests(first));
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("presents the Secret's certificate to a server that requests one", async () => {
    assert.equal((await ask()).status, 200);
    assert.equal(shown(), fingerprint(first));
  });

  for (const [name, pair] of [
    ["none", () => null],
    ["one of another authority", () => foreign],
  ] as const)
    it(`with ${name}: 502, nothing arrives, and the caller learns nothing about certificates`, async () => {
      await gateway.apply(manifests(pair()));
      upstream.requests.length = 0;
      const answer = await ask();
      assert.equal(answer.status, 502);
      assert.doesNotMatch(answer.text, /certificate|tls|ssl|authority/i);
      assert.equal(upstream.requests.length, 0);
      await gateway.apply(manifests(first));
      assert.equal((await ask()).status, 200);
    });

  it("uses a renewed pair for the next call, while a running call continues with the old pair", async () => {
    await gateway.apply(manifests(first));
    const paused = pausedStream("gpt-4o");
    upstream.answer(paused.answer);
    const streaming = await send({ stream: true });
    assert.equal(streaming.status, 200);
    upstream.answer(openai);
    await gateway.apply(manifests(renewed));
    assert.equal((await ask()).status, 200);
    assert.equal(shown(), fingerprint(renewed));
    paused.finish();
    assert.match(await streaming.text(), / there.*\[DONE\]/s);
  });

  for (const [name, broken, why] of [
    [
      "a key that isn't the certificate's",
      () => ({ cert: renewed.cert, key: first.key }),
      /Secret gateway-tls has a tls\.key that is not the key of the first/,
    ],
    [
      "no key",
      () => ({ cert: renewed.cert }),
      /Secret gateway-tls has no key tls\.key; it must be a Secret of type kubernetes\.io\/tls/,
    ],
    [
      "what is no PEM",
      () => ({ cert: "c2VjcmV0", key: renewed.key }),
      /Secret gateway-tls key tls\.crt: the value is not a certificate in PEM/,
    ],
    ["no Secret", () => ({}), /Secret gateway-tls is not in namespace default/],
  ] as [string, () => Partial<Pair>, RegExp][])
    it(`keeps the old pair after ${name}, and reports the reason`, async () => {
      await gateway.apply(manifests(first));
      const since = gateway.printed.length;
      await gateway.apply(manifests(broken()));
      assert.match(said(since), why);
      assert.equal((await ask()).status, 200);
      assert.equal(shown(), fingerprint(first));
    });

  it("checks health with the same pair", async () => {
    const healthCheck = { path: "/models", interval: "1s", failureThreshold: 1 };
    const line = /ai_gateway_provider_healthy\{provider="default\/up"\} (\d)/;
    for (const [pair, wanted] of [
      [first, "1"],
      [foreign, "0"],
    ] as const) {
      await gateway.apply(manifests(pair, { healthCheck }));
      await eventually(async () => line.exec(await gateway.metrics())?.[1] === wanted);
    }
  });

  it("reports the certificate's expiry", async () => {
    await gateway.apply(manifests(renewed));
    const line = /sluice_client_certificate_not_after_seconds\{provider="default\/up"\} (\d+)/;
    assert.equal(
      line.exec(await gateway.metrics())?.[1],
      String(Date.parse(new X509Certificate(renewed.cert).validTo) / 1000),
    );
    await gateway.apply(manifests(null));
    assert.doesNotMatch(await gateway.metrics(), line);
  });

  it("never reveals the private key", async () => {
    const inside = first.key.split("\n")[1]?.trim() ?? "";
    assert.ok(inside.length > 40);
    const told = [gateway.logText(), said(0), await gateway.metrics(), JSON.stringify(await gateway.status())].join(
      "\n",
    );
    assert.ok(!told.includes(inside));
    assert.doesNotMatch(told, /PRIVATE KEY/);
  });
});
